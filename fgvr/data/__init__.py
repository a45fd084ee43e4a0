"""Photos: readers of data sets, the support sample, image features, and the data module that joins them."""
