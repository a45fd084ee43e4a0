"""Backbones: an image tower and a text tower into one space."""
