"""Lineitem from SQL Server to Parquet files, beside peers; `python -m benchmarks.sqlserver`."""
