"""From the names that a labeler gave to the vocabulary that a model is trained on."""
