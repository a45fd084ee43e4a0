"""Which photos of the support set are shown to the labeler: one file a way to choose."""
