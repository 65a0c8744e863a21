"""The ledger's tables and views, and how an older ledger is brought up to date."""

from __future__ import annotations

from datetime import datetime, timezone

import sqlalchemy as sa

VERSION = 3
"""Raise it with every change of the tables or views."""

metadata = sa.MetaData()


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A UTC time with zone in Python, on databases with and without time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.astimezone(timezone.utc) if value else None

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


ledger_version = sa.Table("ledger_version", metadata, sa.Column("version", sa.Integer, nullable=False))

files = sa.Table(
    "files",
    metadata,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("valid", sa.Boolean, nullable=False),
    sa.Column("problems", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

workflows = sa.Table(
    "workflows",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("workflow_type", sa.Text, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("source_platform", sa.Text, nullable=False),
    sa.Column("affinity", sa.Text),
    sa.Column("configuration", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("submitted_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
)

tables = sa.Table(
    "tables",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("workflow_id", sa.ForeignKey("workflows.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # Whether the workflow's present version still has the table.
    sa.Column("active", sa.Boolean, nullable=False),
    sa.UniqueConstraint("workflow_id", "name"),
)

generations = sa.Table(
    "generations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("table_id", sa.ForeignKey("tables.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("config_hash", sa.String(64), nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("source_facts", sa.Text),
    # What the run has settled under its snapshot: watermark, partitions that have changed, deletions.
    sa.Column("progress", sa.Text),
    sa.Column("published_rows", sa.BigInteger),
    sa.UniqueConstraint("table_id", "number"),
)

partitions = sa.Table(
    "partitions",
    metadata,
    sa.Column("generation_id", sa.ForeignKey("generations.id"), primary_key=True),
    sa.Column("key", sa.String(16), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("estimated_rows", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("snapshot", sa.Text),
    sa.Column("checksum", sa.Text),
    sa.Column("started_at", UtcDateTime),
    sa.Column("extracted_at", UtcDateTime),
    sa.Column("loaded_at", UtcDateTime),
)

checks = sa.Table(
    "checks",
    metadata,
    sa.Column("generation_id", sa.ForeignKey("generations.id"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("evaluated_at", UtcDateTime, nullable=False),
)

validations = sa.Table(
    "validations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("table_id", sa.ForeignKey("tables.id"), nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    # The whole result with its evidence; only the last ones of a table keep it.
    sa.Column("result", sa.Text),
    sa.Column("evaluated_at", UtcDateTime, nullable=False),
    sa.Index("validations_of_table", "table_id", "id"),
)

errors = sa.Table(
    "errors",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("workflow", sa.Text, nullable=False),
    sa.Column("table_name", sa.Text),
    sa.Column("generation_id", sa.ForeignKey("generations.id")),
    sa.Column("partition_key", sa.String(16)),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("occurred_at", UtcDateTime, nullable=False),
    sa.Index("errors_of_generation", "generation_id", "partition_key"),
)

# What operators query. Upper-case names, unquoted, so that every SQL client finds them.
_VIEWS = {
    "WORKFLOW": """
        SELECT id AS WORKFLOW_ID, name AS WORKFLOW_NAME, workflow_type AS WORKFLOW_TYPE, status AS STATUS,
               file AS FILE, source_platform AS SOURCE_PLATFORM, affinity AS AFFINITY,
               submitted_at AS SUBMITTED_AT, started_at AS STARTED_AT, ended_at AS ENDED_AT,
               configuration AS CONFIGURATION
        FROM workflows""",
    "TABLE_PROGRESS_WITH_EXAMPLE_ERROR": """
        SELECT t.workflow_id AS WORKFLOW_ID, w.name AS WORKFLOW_NAME, t.name AS TABLE_NAME,
               t.source AS SOURCE, t.target AS TARGET, g.number AS GENERATION, g.status AS STATUS,
               COALESCE(p.total, 0) AS PARTITIONS, COALESCE(p.planned, 0) AS PARTITIONS_PLANNED,
               COALESCE(p.extracting, 0) AS PARTITIONS_EXTRACTING,
               COALESCE(p.extracted, 0) AS PARTITIONS_EXTRACTED,
               COALESCE(p.loaded, 0) AS PARTITIONS_LOADED, COALESCE(p.failed, 0) AS PARTITIONS_FAILED,
               COALESCE(p.unchanged, 0) AS PARTITIONS_UNCHANGED,
               COALESCE(p.rows_moved, 0) AS ROWS_MOVED, COALESCE(p.bytes_moved, 0) AS BYTES_MOVED,
               g.started_at AS STARTED_AT, g.ended_at AS ENDED_AT,
               (SELECT e.message FROM errors e
                WHERE e.id = (SELECT MIN(f.id) FROM errors f WHERE f.generation_id = g.id)) AS EXAMPLE_ERROR
        FROM tables t
        JOIN workflows w ON w.id = t.workflow_id
        LEFT JOIN generations g ON g.table_id = t.id
            AND g.number = (SELECT MAX(h.number) FROM generations h WHERE h.table_id = t.id)
        LEFT JOIN (
            SELECT generation_id, COUNT(*) AS total,
                   SUM(CASE WHEN status = 'planned' THEN 1 ELSE 0 END) AS planned,
                   SUM(CASE WHEN status = 'extracting' THEN 1 ELSE 0 END) AS extracting,
                   SUM(CASE WHEN status = 'extracted' THEN 1 ELSE 0 END) AS extracted,
                   SUM(CASE WHEN status = 'loaded' THEN 1 ELSE 0 END) AS loaded,
                   SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed,
                   SUM(CASE WHEN status = 'unchanged' THEN 1 ELSE 0 END) AS unchanged,
                   CAST(SUM(rows) AS BIGINT) AS rows_moved, CAST(SUM(bytes) AS BIGINT) AS bytes_moved
            FROM partitions GROUP BY generation_id
        ) p ON p.generation_id = g.id
        WHERE t.active AND w.workflow_type = 'data-migration'""",
    "DATA_VALIDATION_RESULT": """
        SELECT t.workflow_id AS WORKFLOW_ID, w.name AS WORKFLOW_NAME, t.name AS TABLE_NAME,
               t.source AS SOURCE, t.target AS TARGET, v.verdict AS VERDICT, v.run_id AS RUN_ID,
               v.evaluated_at AS EVALUATED_AT
        FROM tables t
        JOIN workflows w ON w.id = t.workflow_id
        LEFT JOIN validations v ON v.id = (SELECT MAX(u.id) FROM validations u WHERE u.table_id = t.id)
        WHERE t.active AND w.workflow_type = 'data-validation'""",
    "DATA_MIGRATION_ERROR": """
        SELECT w.id AS WORKFLOW_ID, e.workflow AS WORKFLOW_NAME, e.table_name AS TABLE_NAME,
               g.number AS GENERATION, e.partition_key AS PARTITION_KEY, e.stage AS STAGE,
               e.message AS ERROR, e.run_id AS RUN_ID, e.occurred_at AS OCCURRED_AT
        FROM errors e
        LEFT JOIN workflows w ON w.name = e.workflow
        LEFT JOIN generations g ON g.id = e.generation_id
        WHERE e.id IN (
            SELECT MIN(id) FROM errors
            GROUP BY workflow, table_name, generation_id, COALESCE(partition_key, ''))""",
}


class LedgerVersionError(Exception):
    """The ledger was written by a newer release of this program."""


def upgrade(engine: sa.Engine) -> None:
    """Creates the ledger or brings it to `VERSION`; safe when several processes do it at once."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('migration-assets ledger'))"))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        found = _version(connection)
        if found == VERSION:
            return
        if found is not None and found > VERSION:
            raise LedgerVersionError(
                f"the ledger has version {found}, this release knows {VERSION}: install the release that wrote it"
            )
        metadata.create_all(connection)
        _add_columns(connection)
        for name, query in _VIEWS.items():
            connection.execute(sa.text(f"DROP VIEW IF EXISTS {name}"))
            connection.execute(sa.text(f"CREATE VIEW {name} AS {query}"))
        connection.execute(ledger_version.delete())
        connection.execute(ledger_version.insert().values(version=VERSION))


def _add_columns(connection: sa.Connection) -> None:
    """Gives the tables of an older ledger the columns that have come since; all of them may be NULL."""
    present = sa.inspect(connection)
    for table in metadata.sorted_tables:
        known = {column["name"] for column in present.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(connection.dialect)
                connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(ledger_version.name):
        return None
    return connection.execute(sa.select(ledger_version.c.version)).scalar()
