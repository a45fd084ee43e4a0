"""An example of a vocabulary-free method for fgvr."""
