"""Candidate strategies: noisy names become candidate sets."""
