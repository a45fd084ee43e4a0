"""Labelling: asking for what is missing, and the store that keeps every reply."""
