"""What a model is asked about photos: one file a task."""
