"""Keeping a migrated table in step with its source."""
