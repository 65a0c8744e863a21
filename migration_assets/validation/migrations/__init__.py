"""The checks of a table that this program moves."""
