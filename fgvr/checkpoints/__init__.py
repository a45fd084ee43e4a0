"""Which checkpoints a run keeps, and how one is chosen without true names."""
