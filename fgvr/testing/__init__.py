"""Contract checks and tiny plugins, public for the authors of plugins."""
