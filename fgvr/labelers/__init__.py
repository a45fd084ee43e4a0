"""Labelers: who names the photos, and the store that keeps every reply."""
