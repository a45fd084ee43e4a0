"""Truth in doubt: photos on which others agree against the given name, and what corrections change."""
