"""What of a table moves under a snapshot, and how the target is brought to that state."""
