"""Labelers: who names the photos."""
