"""The label store, and what people do with it: correct, review, count, take elsewhere."""
