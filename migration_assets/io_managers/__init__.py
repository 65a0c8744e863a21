"""Where staged partitions are written and found again."""
