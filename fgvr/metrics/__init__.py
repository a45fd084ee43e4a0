"""Metrics over class-name strings, and the scoring of anybody's predictions with them."""
