"""Visual classifiers without gradients, and what each would say of a photo that it has not learned from."""
