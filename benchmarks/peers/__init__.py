"""What each peer is asked to do, as its user would write it; every module runs in its peer's own environment.

All take the same arguments: the table, the key to divide it by, and an empty folder. The connection comes in libpq's
variables (PGHOST, ...). The last line on stdout is `{"seconds": ...}`, from the first connection to the last closed
file.
"""
