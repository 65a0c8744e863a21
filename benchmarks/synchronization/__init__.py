"""What it costs to keep a table in step, beside a peer and beside the bare scan."""
