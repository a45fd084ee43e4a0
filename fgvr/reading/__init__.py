"""Raw reply -> class names."""
