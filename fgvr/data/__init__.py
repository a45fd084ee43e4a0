"""From labels to batches: image features, candidate sets, and the data module that joins the stages."""
