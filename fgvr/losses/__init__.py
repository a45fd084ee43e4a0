"""Losses over candidate sets."""
