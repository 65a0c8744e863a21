"""SQL Server for the peers' scripts: the connection string that the benchmark gives them, and its parts."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, quote_plus

QUERY = "SELECT * FROM dbo.lineitem"
ROWS = 100_000


def connection_string() -> str:
    """For ODBC, with the database."""
    return f"{os.environ['BENCHMARK_SQLSERVER']}Database={os.environ['BENCHMARK_DATABASE']};"


def sqlalchemy_uri() -> str:
    """For SQLAlchemy, over pyodbc."""
    return f"mssql+pyodbc:///?odbc_connect={quote_plus(connection_string())}"


def connectorx_uri() -> str:
    """For ConnectorX, which has a driver of its own."""
    parts = {name: value.replace("}}", "}") for name, value in re.findall(r"(\w+)={(.*?)};", connection_string())}
    host, _, port = parts["Server"].partition(",")
    user, password = quote(parts["UID"], safe=""), quote(parts["PWD"], safe="")
    encrypt = "true" if parts["Encrypt"] == "yes" else "false"
    trust = "true" if parts["TrustServerCertificate"] == "yes" else "false"
    options = f"encrypt={encrypt}&trust_server_certificate={trust}"
    return f"mssql://{user}:{password}@{host}:{port}/{os.environ['BENCHMARK_DATABASE']}?{options}"
