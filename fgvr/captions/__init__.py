"""Captions of any origin and their text features on disk: what CaSED takes candidate names from."""
