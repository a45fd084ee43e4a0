"""Metrics over class-name strings, and the scoring of any predictions with them."""
