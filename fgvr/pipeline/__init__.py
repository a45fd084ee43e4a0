"""One run, from photos to its report."""
