"""What a run leaves for people to look at: tables, predictions, the report, W&B tables."""
