"""What the labelers of hosted models share: prices, tokens, errors."""
