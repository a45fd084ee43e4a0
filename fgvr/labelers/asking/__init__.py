"""Asking a server: how fast, how often, for how much."""
