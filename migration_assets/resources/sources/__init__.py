"""Database systems that rows are read from."""
