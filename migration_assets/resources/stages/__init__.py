"""Places where extracted files wait for their load."""
