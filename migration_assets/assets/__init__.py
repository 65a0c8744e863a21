"""The Dagster assets of a workflow's tables, and the generations they move."""
