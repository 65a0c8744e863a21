"""The demo: a PostgreSQL of its own, filled with public flight data, and a migration of it."""
