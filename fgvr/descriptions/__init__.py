"""Descriptions of photos and of groups of photos: who is asked, what came, and files of them."""
