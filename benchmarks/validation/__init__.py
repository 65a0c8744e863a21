"""`make bench-validation`: how fast differences between two tables are found, and whether all of them are."""
