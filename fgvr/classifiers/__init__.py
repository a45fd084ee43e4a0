"""Classifiers: what a method puts up for evaluation, one for each row of the result table."""
