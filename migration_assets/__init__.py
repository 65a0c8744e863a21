"""Migrates tables from other database systems to Snowflake, table by table, as Dagster assets."""
