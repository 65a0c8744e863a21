"""A stand-in for bcp, and what it is told to play."""
