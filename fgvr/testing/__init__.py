"""Contract checks, public for the authors of plugins, and the small backbone that a head is checked with."""
