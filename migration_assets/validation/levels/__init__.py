"""The three levels of a validation: schema, metrics, rows."""
