"""From the names that a labeler gave to the label space that a model is trained on."""
