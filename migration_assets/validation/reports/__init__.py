"""Results as an HTML page and as tables."""
