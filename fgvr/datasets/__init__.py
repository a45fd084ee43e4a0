"""Readers of data sets: files and official lists, as photos with splits."""
