"""What the worker itself computes: texts and hashes of Arrow data, differences of rows, their causes."""
