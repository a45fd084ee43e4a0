"""A drawn world of birds: species as combinations of attributes, their names, and photos of them."""
