"""Proof that source and target hold the same rows."""
