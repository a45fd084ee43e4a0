"""Labelers for fgvr, as an example of how to write one."""
