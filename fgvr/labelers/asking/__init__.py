"""Asking: what is missing, how fast, for how much; on this machine, by batch, or on many machines."""
