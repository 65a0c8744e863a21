"""The ledger: what was planned, what is done, what failed. It decides what is left to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from migration_assets.resources.ledger import schema

KEPT_GENERATIONS = 20
"""Generations of a table whose plan and partitions are kept, beside the one that the next run continues."""

KEPT_RESULTS = 10
"""Validations of a table that are kept whole; of older ones the verdict remains."""

FILE_STAGE = "workflow file"
"""The stage of errors that are in the file itself."""


class WorkflowStatus(str, Enum):
    """The life of a workflow."""

    PENDING = "PENDING"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"


class WorkflowType(str, Enum):
    """What a workflow does."""

    MIGRATION = "data-migration"
    VALIDATION = "data-validation"


class GenerationStatus(str, Enum):
    """The life of one generation of a table. PUBLISHED and SUPERSEDED are its ends.

    RESET was published, and is not continued any more.
    """

    PLANNED = "planned"
    RUNNING = "running"
    FAILED = "failed"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    RESET = "reset"


class PartitionStatus(str, Enum):
    """The life of one partition of a generation. UNCHANGED since the last one, it is not moved."""

    PLANNED = "planned"
    EXTRACTING = "extracting"
    EXTRACTED = "extracted"
    LOADED = "loaded"
    FAILED = "failed"
    UNCHANGED = "unchanged"


class TableBusyError(Exception):
    """Another run is moving the same table."""


@dataclass(frozen=True)
class SubmittedTable:
    """A table of a workflow as the file names it."""

    name: str
    source: str
    target: str


@dataclass(frozen=True)
class PlannedPartition:
    """A partition as it is written down when its generation is planned."""

    key: str
    description: str
    estimated_rows: int


@dataclass(frozen=True)
class PartitionRecord:
    """A partition as the ledger has it; `rows` grows while it is extracted."""

    key: str
    description: str
    estimated_rows: int
    status: PartitionStatus
    rows: int
    bytes: int
    snapshot: str | None
    checksum: str | None = None


@dataclass(frozen=True)
class GenerationRecord:
    """A generation of a table.

    Attributes:
        plan: the planner's JSON; empty of one that could not be planned, or is long past.
        source_facts: what the source said of its rows, as JSON.
        progress: what the run has settled under its snapshot, as JSON.
    """

    id: int
    workflow: str
    table: str
    number: int
    status: GenerationStatus
    config_hash: str
    plan: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    source_facts: str | None
    published_rows: int | None
    progress: str | None = None


@dataclass(frozen=True)
class WorkflowRecord:
    """A workflow as the ledger has it."""

    id: int
    name: str
    type: WorkflowType
    file: str
    content_hash: str
    status: WorkflowStatus
    affinity: str | None
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class CheckRecord:
    """The verdict of one check of a generation, with what it is based on."""

    name: str
    verdict: str
    details: Mapping[str, object]


@dataclass(frozen=True)
class ValidationRecord:
    """What a run found when it compared a table with its target; `result` is the validation's JSON."""

    table: str
    run_id: str
    verdict: str
    result: str
    evaluated_at: datetime


@dataclass(frozen=True)
class FileRecord:
    """A file of the drop folder as it was last seen."""

    path: str
    content_hash: str
    valid: bool
    problems: str


class Ledger:
    """The state of all workflows in one SQL database.

    Args:
        url: a SQLAlchemy URL; `sqlite:///path` or `postgresql+psycopg2://…`.
    """

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)

    @cached_property
    def _engine(self) -> sa.Engine:
        if self._url.get_backend_name() == "sqlite":
            Path(str(self._url.database)).parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(self._url, connect_args={"timeout": 60})
            sa.event.listen(engine, "connect", _configure_sqlite)
        else:
            keepalives = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
            engine = sa.create_engine(self._url, pool_pre_ping=True, connect_args=keepalives)
        schema.upgrade(engine)
        return engine

    # -- files of the drop folder ---------------------------------------------------------------

    def file(self, path: str) -> FileRecord | None:
        """What is known of a dropped file."""
        table = schema.files
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(table).where(table.c.path == path)).first()
        return FileRecord(row.path, row.content_hash, row.valid, row.problems) if row else None

    def files(self) -> list[FileRecord]:
        """All files that were seen, by path."""
        table = schema.files
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.path)).all()
        return [FileRecord(row.path, row.content_hash, row.valid, row.problems) for row in rows]

    def record_file(self, path: str, content_hash: str, problems: str = "") -> None:
        """Writes down that a file was seen, with what is wrong in it, which is its one error from then on."""
        table = schema.files
        values: dict[str, object] = {
            "content_hash": content_hash,
            "valid": not problems,
            "problems": problems,
            "seen_at": _now(),
        }
        with self._engine.begin() as connection:
            changed = connection.execute(table.update().where(table.c.path == path).values(values))
            if not changed.rowcount:
                connection.execute(table.insert().values(path=path, **values))
            self._clear_file_error(connection, path)
            if problems:
                connection.execute(
                    schema.errors.insert().values(
                        workflow=Path(path).stem, stage=FILE_STAGE, message=problems, occurred_at=_now()
                    )
                )

    def forget_file(self, path: str) -> None:
        """Forgets a file and its error."""
        with self._engine.begin() as connection:
            connection.execute(schema.files.delete().where(schema.files.c.path == path))
            self._clear_file_error(connection, path)

    def _clear_file_error(self, connection: sa.Connection, path: str) -> None:
        errors = schema.errors
        of_file = (errors.c.workflow == Path(path).stem) & (errors.c.stage == FILE_STAGE)
        connection.execute(errors.delete().where(of_file))

    # -- workflows ------------------------------------------------------------------------------

    def submit_workflow(
        self,
        *,
        name: str,
        file: str,
        content_hash: str,
        source_platform: str,
        affinity: str | None,
        configuration: Mapping[str, object],
        tables: Sequence[SubmittedTable],
        status: WorkflowStatus = WorkflowStatus.PENDING,
        workflow_type: WorkflowType = WorkflowType.MIGRATION,
    ) -> None:
        """Writes a workflow down, or its new version in the place of the old one.

        Args:
            status: EXECUTING when the caller plans it at once; a sensor asks for a run of a PENDING one.
        """
        table = schema.workflows
        values = {
            "file": file,
            "workflow_type": workflow_type.value,
            "content_hash": content_hash,
            "source_platform": source_platform,
            "affinity": affinity,
            "configuration": json.dumps(configuration),
            "status": status.value,
            "submitted_at": _now(),
            "started_at": _now() if status is WorkflowStatus.EXECUTING else None,
            "ended_at": None,
        }
        with self._engine.begin() as connection:
            changed = connection.execute(table.update().where(table.c.name == name).values(values))
            if not changed.rowcount:
                connection.execute(table.insert().values(name=name, **values))
            # What kept its former version from being planned is no news of this one.
            errors = schema.errors
            of_workflow = (errors.c.workflow == name) & errors.c.table_name.is_(None) & (errors.c.stage != FILE_STAGE)
            connection.execute(errors.delete().where(of_workflow))
            workflow_id = connection.execute(sa.select(table.c.id).where(table.c.name == name)).scalar_one()
            self._submit_tables(connection, workflow_id, tables)

    def move_workflow(self, name: str, file: str) -> None:
        """The workflow's file has another path now."""
        table = schema.workflows
        with self._engine.begin() as connection:
            connection.execute(table.update().where(table.c.name == name).values(file=file))

    def _submit_tables(self, connection: sa.Connection, workflow_id: int, submitted: Sequence[SubmittedTable]) -> None:
        table = schema.tables
        mine = table.c.workflow_id == workflow_id
        known = set(connection.execute(sa.select(table.c.name).where(mine)).scalars())
        connection.execute(table.update().where(mine).values(active=False))
        rows: list[dict[str, object]] = [
            {
                "source": one.source,
                "target": one.target,
                "position": position,
                "active": True,
                "of_name": one.name,
            }
            for position, one in enumerate(submitted)
        ]
        old = [row for row in rows if row["of_name"] in known]
        new = [row for row in rows if row["of_name"] not in known]
        if old:
            named = mine & (table.c.name == sa.bindparam("of_name"))
            columns = ("source", "target", "position", "active")
            bound: dict[str, object] = {column: sa.bindparam(f"new_{column}") for column in columns}
            connection.execute(
                table.update().where(named).values(bound),
                [{"of_name": row["of_name"], **{f"new_{c}": row[c] for c in columns}} for row in old],
            )
        if new:
            connection.execute(
                table.insert(),
                [{"workflow_id": workflow_id, "name": row.pop("of_name"), **row} for row in new],
            )

    def workflows(self) -> list[WorkflowRecord]:
        """All workflows, by name."""
        table = schema.workflows
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.name)).all()
        return [
            WorkflowRecord(
                row.id,
                row.name,
                WorkflowType(row.workflow_type),
                row.file,
                row.content_hash,
                WorkflowStatus(row.status),
                row.affinity,
                row.submitted_at,
                row.started_at,
                row.ended_at,
            )
            for row in rows
        ]

    def workflow(self, name: str) -> WorkflowRecord | None:
        """One workflow."""
        return next((record for record in self.workflows() if record.name == name), None)

    def set_workflow_status(self, name: str, status: WorkflowStatus) -> None:
        """Moves a workflow along its life, and notes when it started and ended."""
        table = schema.workflows
        values: dict[str, object] = {"status": status.value}
        if status is WorkflowStatus.EXECUTING:
            values |= {"started_at": sa.func.coalesce(table.c.started_at, _now()), "ended_at": None}
        if status is WorkflowStatus.COMPLETED:
            values["ended_at"] = _now()
        with self._engine.begin() as connection:
            connection.execute(table.update().where(table.c.name == name).values(values))

    def complete_workflow_if_done(self, name: str) -> None:
        """Ends a workflow when each of its tables is published, failed or reset."""
        going_on = (None, GenerationStatus.PLANNED.value, GenerationStatus.RUNNING.value)
        if not any(row["status"] in going_on for row in self.view("TABLE_PROGRESS_WITH_EXAMPLE_ERROR", name)):
            self.set_workflow_status(name, WorkflowStatus.COMPLETED)

    # -- generations ----------------------------------------------------------------------------

    def start_generation(
        self,
        *,
        workflow: str,
        table: str,
        config_hash: str,
        plan: str,
        partitions: Sequence[PlannedPartition],
        status: GenerationStatus = GenerationStatus.PLANNED,
    ) -> GenerationRecord:
        """Writes the next generation of a submitted table down; an unfinished one before it is superseded.

        Args:
            plan: the planner's JSON; empty for a table that can't be planned, whose status is FAILED.
            status: RUNNING when the caller moves it at once; a sensor asks for a run of a PLANNED one.
        """
        tables, generations = schema.tables, schema.generations
        with self._engine.begin() as connection:
            workflow_id = sa.select(schema.workflows.c.id).where(schema.workflows.c.name == workflow)
            named = (tables.c.workflow_id == workflow_id.scalar_subquery()) & (tables.c.name == table)
            # Changes nothing, but makes others wait that plan the same table: numbers must not meet.
            connection.execute(tables.update().where(named).values(active=tables.c.active))
            table_id = connection.execute(sa.select(tables.c.id).where(named)).scalar_one()
            of_table = generations.c.table_id == table_id
            last = connection.execute(sa.select(sa.func.max(generations.c.number)).where(of_table)).scalar()
            self._supersede_unfinished(connection, of_table)
            self._forget_old_plans(connection, of_table, (last or 0) + 1)
            now = _now()
            inserted = connection.execute(
                generations.insert().values(
                    table_id=table_id,
                    number=(last or 0) + 1,
                    status=status.value,
                    config_hash=config_hash,
                    plan=plan,
                    created_at=now,
                    started_at=now if status is GenerationStatus.RUNNING else None,
                    ended_at=now if status is GenerationStatus.FAILED else None,
                )
            )
            generation_id = _key(inserted)
            rows = [
                {
                    "generation_id": generation_id,
                    "key": partition.key,
                    "position": position,
                    "description": partition.description,
                    "estimated_rows": partition.estimated_rows,
                    "status": PartitionStatus.PLANNED.value,
                }
                for position, partition in enumerate(partitions)
            ]
            if rows:
                connection.execute(schema.partitions.insert(), rows)
        found = self.generation(workflow, table)
        assert found is not None
        return found

    def _supersede_unfinished(self, connection: sa.Connection, of_table: sa.ColumnElement[bool]) -> None:
        table = schema.generations
        ends = (GenerationStatus.PUBLISHED.value, GenerationStatus.RESET.value)
        connection.execute(
            table.update()
            .where(of_table & table.c.status.not_in(ends))
            .values(status=GenerationStatus.SUPERSEDED.value)
        )

    def _forget_old_plans(self, connection: sa.Connection, of_table: sa.ColumnElement[bool], number: int) -> None:
        """Plans and partitions of a table that runs every few minutes would fill the ledger."""
        generations, partitions = schema.generations, schema.partitions
        published = generations.c.status == GenerationStatus.PUBLISHED.value
        newest = connection.execute(sa.select(sa.func.max(generations.c.number)).where(of_table & published)).scalar()
        old = of_table & (generations.c.number <= number - KEPT_GENERATIONS) & (generations.c.plan != "")
        if newest is not None:
            old &= generations.c.number != newest
        ids = list(connection.execute(sa.select(generations.c.id).where(old)).scalars())
        if ids:
            connection.execute(partitions.delete().where(partitions.c.generation_id.in_(ids)))
            connection.execute(generations.update().where(generations.c.id.in_(ids)).values(plan=""))

    def published(self, workflow: str, table: str) -> GenerationRecord | None:
        """The last generation that was published, and was not reset since."""
        g, t, w = schema.generations, schema.tables, schema.workflows
        query = (
            _GENERATIONS.where((w.c.name == workflow) & (t.c.name == table))
            .where(g.c.status == GenerationStatus.PUBLISHED.value)
            .order_by(g.c.number.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return _generation_record(row) if row else None

    def published_numbers(self, workflow: str, table: str, count: int) -> list[int]:
        """The last so many generations of a table that were published."""
        g, t, w = schema.generations, schema.tables, schema.workflows
        ends = (GenerationStatus.PUBLISHED.value, GenerationStatus.RESET.value)
        query = (
            sa.select(g.c.number)
            .join(t, t.c.id == g.c.table_id)
            .join(w, w.c.id == t.c.workflow_id)
            .where((w.c.name == workflow) & (t.c.name == table) & g.c.status.in_(ends))
            .order_by(g.c.number.desc())
            .limit(count)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def reset_table(self, workflow: str, table: str) -> None:
        """Has the table's next run begin anew: what was published is not continued, nor what is unfinished."""
        tables, generations = schema.tables, schema.generations
        workflow_id = sa.select(schema.workflows.c.id).where(schema.workflows.c.name == workflow)
        named = (tables.c.workflow_id == workflow_id.scalar_subquery()) & (tables.c.name == table)
        of_table = generations.c.table_id == sa.select(tables.c.id).where(named).scalar_subquery()
        published = generations.c.status == GenerationStatus.PUBLISHED.value
        with self._engine.begin() as connection:
            connection.execute(
                generations.update().where(of_table & published).values(status=GenerationStatus.RESET.value)
            )
            self._supersede_unfinished(connection, of_table)

    def record_progress(self, generation_id: int, progress: str, checksums: Mapping[str, str]) -> None:
        """Keeps what a run has settled under its snapshot. What the source said under an earlier one is forgotten.

        Args:
            checksums: by partition; all partitions of the generation, or none.
        """
        generations, partitions = schema.generations, schema.partitions
        of_key = (partitions.c.generation_id == generation_id) & (partitions.c.key == sa.bindparam("of_key"))
        with self._engine.begin() as connection:
            settled = generations.update().where(generations.c.id == generation_id)
            connection.execute(settled.values(progress=progress, source_facts=None))
            if checksums:
                connection.execute(
                    partitions.update().where(of_key).values(checksum=sa.bindparam("new_checksum")),
                    [{"of_key": key, "new_checksum": text} for key, text in checksums.items()],
                )

    def generation(self, workflow: str, table: str) -> GenerationRecord | None:
        """The latest generation of a table."""
        return next(iter(self.generations(workflow, table)), None)

    def generations(
        self, workflow: str | None = None, table: str | None = None, *, status: GenerationStatus | None = None
    ) -> list[GenerationRecord]:
        """The latest generation of each table that is still in its workflow, in the order of the files.

        Args:
            status: only those in this status.
        """
        g, t, w = schema.generations, schema.tables, schema.workflows
        newer = g.alias("newer")
        latest = sa.select(sa.func.max(newer.c.number)).where(newer.c.table_id == g.c.table_id)
        query = _GENERATIONS.where((g.c.number == latest.scalar_subquery()) & t.c.active).order_by(
            w.c.name, t.c.position
        )
        if workflow is not None:
            query = query.where(w.c.name == workflow)
        if table is not None:
            query = query.where(t.c.name == table)
        if status is not None:
            query = query.where(g.c.status == status.value)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [_generation_record(row) for row in rows]

    def set_generation_status(
        self,
        generation_id: int,
        status: GenerationStatus,
        *,
        published_rows: int | None = None,
        unproven: Sequence[str] = (),
    ) -> None:
        """Moves a generation along its life, and notes when it started and ended.

        Args:
            unproven: partitions that the next run moves again, whatever their checksums are then.
        """
        table = schema.generations
        values: dict[str, object] = {"status": status.value}
        if status is GenerationStatus.RUNNING:
            values |= {"started_at": _now(), "ended_at": None}
        if status in (GenerationStatus.PUBLISHED, GenerationStatus.FAILED):
            values["ended_at"] = _now()
        if published_rows is not None:
            values["published_rows"] = published_rows
        with self._engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == generation_id).values(values))
            if unproven:
                one = schema.partitions.c
                of_unproven = (one.generation_id == generation_id) & one.key.in_(unproven)
                connection.execute(schema.partitions.update().where(of_unproven).values(checksum=None))

    def ask_again(self, generation_id: int) -> None:
        """Has a planned generation asked for once more, after its run was refused."""
        table = schema.generations
        with self._engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == generation_id).values(ended_at=_now()))

    def record_source_facts(self, generation_id: int, facts: str) -> None:
        """Keeps what the source said of its rows under the snapshot that was extracted."""
        table = schema.generations
        with self._engine.begin() as connection:
            connection.execute(table.update().where(table.c.id == generation_id).values(source_facts=facts))

    # -- partitions -----------------------------------------------------------------------------

    def partitions(self, generation_id: int) -> list[PartitionRecord]:
        """The partitions of a generation in plan order."""
        table = schema.partitions
        query = sa.select(table).where(table.c.generation_id == generation_id).order_by(table.c.position)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            PartitionRecord(
                row.key,
                row.description,
                row.estimated_rows,
                PartitionStatus(row.status),
                row.rows,
                row.bytes,
                row.snapshot,
                row.checksum,
            )
            for row in rows
        ]

    def update_partitions(
        self,
        generation_id: int,
        keys: Sequence[str],
        status: PartitionStatus,
        *,
        rows: Mapping[str, int] | None = None,
        sizes: Mapping[str, int] | None = None,
        snapshots: Mapping[str, str | None] | None = None,
    ) -> None:
        """Moves partitions along their life, with the rows, bytes and snapshot of each where they are known."""
        if not keys:
            return
        table = schema.partitions
        moment = {
            PartitionStatus.EXTRACTING: "started_at",
            PartitionStatus.EXTRACTED: "extracted_at",
            PartitionStatus.LOADED: "loaded_at",
        }.get(status)
        values: dict[str, object] = {"status": status.value}
        if moment:
            # Progress is written down again and again; a partition starts once.
            is_start = status is PartitionStatus.EXTRACTING
            values[moment] = (
                sa.func.coalesce(table.c[moment], sa.literal(_now(), schema.UtcDateTime)) if is_start else _now()
            )
        for column, known in (("rows", rows), ("bytes", sizes), ("snapshot", snapshots)):
            if known is not None:
                values[column] = sa.bindparam(f"new_{column}")
        statement = (
            table.update()
            .where((table.c.generation_id == generation_id) & (table.c.key == sa.bindparam("of_key")))
            .values(values)
        )
        parameters = []
        for key in keys:
            parameter: dict[str, object] = {"of_key": key}
            for column, known in (("rows", rows), ("bytes", sizes), ("snapshot", snapshots)):
                if known is not None:
                    parameter[f"new_{column}"] = known[key]
            parameters.append(parameter)
        with self._engine.begin() as connection:
            connection.execute(statement, parameters)

    # -- checks ---------------------------------------------------------------------------------

    def record_check(self, generation_id: int, check: CheckRecord) -> None:
        """Keeps the verdict of a check; a later one takes its place."""
        table = schema.checks
        same = (table.c.generation_id == generation_id) & (table.c.name == check.name)
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(same))
            connection.execute(
                table.insert().values(
                    generation_id=generation_id,
                    name=check.name,
                    verdict=check.verdict,
                    details=json.dumps(check.details),
                    evaluated_at=_now(),
                )
            )

    def checks(self, generation_id: int) -> list[CheckRecord]:
        """The verdicts of a generation."""
        table = schema.checks
        query = sa.select(table).where(table.c.generation_id == generation_id).order_by(table.c.evaluated_at)
        with self._engine.connect() as connection:
            return [
                CheckRecord(row.name, row.verdict, json.loads(row.details)) for row in connection.execute(query).all()
            ]

    # -- validations ----------------------------------------------------------------------------

    def record_validation(self, *, workflow: str, table: str, run_id: str, verdict: str, result: str) -> None:
        """Keeps what a run found; the whole of it for the last `KEPT_RESULTS` runs of a table."""
        validations, tables, workflows = schema.validations, schema.tables, schema.workflows
        of_table = (
            sa.select(tables.c.id)
            .join(workflows, workflows.c.id == tables.c.workflow_id)
            .where(workflows.c.name == workflow, tables.c.name == table)
        )
        with self._engine.begin() as connection:
            table_id = connection.execute(of_table).scalar_one()
            connection.execute(
                validations.insert().values(
                    table_id=table_id, run_id=run_id, verdict=verdict, result=result, evaluated_at=_now()
                )
            )
            mine = validations.c.table_id == table_id
            newest = sa.select(validations.c.id).where(mine).order_by(validations.c.id.desc()).limit(KEPT_RESULTS)
            kept = list(connection.execute(newest).scalars())
            connection.execute(validations.update().where(mine, validations.c.id.not_in(kept)).values(result=None))

    def validations(self, workflow: str) -> list[ValidationRecord]:
        """The last result of each table of a workflow that has one, in the workflow's order."""
        validations, tables, workflows = schema.validations, schema.tables, schema.workflows
        newest = sa.select(sa.func.max(validations.c.id)).group_by(validations.c.table_id)
        query = (
            sa.select(tables.c.name, validations)
            .join(tables, tables.c.id == validations.c.table_id)
            .join(workflows, workflows.c.id == tables.c.workflow_id)
            .where(workflows.c.name == workflow, tables.c.active, validations.c.id.in_(newest))
            .order_by(tables.c.position)
        )
        with self._engine.connect() as connection:
            return [
                ValidationRecord(row.name, row.run_id, row.verdict, row.result, row.evaluated_at)
                for row in connection.execute(query).all()
            ]

    # -- errors ---------------------------------------------------------------------------------

    def record_error(
        self,
        *,
        workflow: str,
        stage: str,
        message: str,
        table: str | None = None,
        generation_id: int | None = None,
        partition: str | None = None,
        run_id: str | None = None,
    ) -> None:
        """Keeps an error for the operators."""
        with self._engine.begin() as connection:
            connection.execute(
                schema.errors.insert().values(
                    workflow=workflow,
                    table_name=table,
                    generation_id=generation_id,
                    partition_key=partition,
                    stage=stage,
                    message=message,
                    run_id=run_id,
                    occurred_at=_now(),
                )
            )

    def clear_errors(self, generation_id: int) -> None:
        """Forgets the errors of a generation that was repaired."""
        table = schema.errors
        with self._engine.begin() as connection:
            connection.execute(table.delete().where(table.c.generation_id == generation_id))

    def has_error_of_run(self, run_id: str) -> bool:
        """Whether a run has already told what went wrong."""
        query = sa.select(schema.errors.c.id).where(schema.errors.c.run_id == run_id).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def view(self, name: str, workflow: str | None = None) -> list[dict[str, object]]:
        """The rows of one of the operators' views, with lower-case column names."""
        known = (
            "WORKFLOW",
            "TABLE_PROGRESS_WITH_EXAMPLE_ERROR",
            "DATA_MIGRATION_ERROR",
            "DATA_VALIDATION_RESULT",
        )
        if name not in known:
            raise ValueError(f"unknown view {name}; one of {', '.join(known)}")
        query = sa.select(sa.text("*")).select_from(sa.text(name))
        if workflow is not None:
            query = query.where(sa.literal_column("WORKFLOW_NAME") == workflow)
        with self._engine.connect() as connection:
            result = connection.execute(query)
            return [{key.lower(): value for key, value in row.items()} for row in result.mappings()]

    # -- locks ----------------------------------------------------------------------------------

    @contextmanager
    def lock_table(
        self, workflow: str, table: str, wait_seconds: float = 0, *, whole_run: bool = False
    ) -> Iterator[None]:
        """Keeps other runs away from a table; the lock ends with the process that holds it.

        Args:
            whole_run: the lock that is held from a table's planning to its publish, within which its steps take theirs.

        Raises:
            TableBusyError: another run has held it for `wait_seconds`.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(TableBusyError),
            stop=stop_after_delay(wait_seconds),
            wait=wait_random(0.1, 1),
            reraise=True,
        )
        with ExitStack() as held:
            attempts(lambda: held.enter_context(self._lock(f"{workflow}/{table}", whole_run=whole_run)))
            yield

    def is_locked(self, workflow: str, table: str) -> bool:
        """Whether a run is moving a table at this moment."""
        try:
            with self.lock_table(workflow, table, whole_run=True), self.lock_table(workflow, table):
                return False
        except TableBusyError:
            return True

    @contextmanager
    def _lock(self, table: str, *, whole_run: bool) -> Iterator[None]:
        busy = TableBusyError(f"another run is moving the table {table}: wait for it, or stop it, then start again")
        name = f"run of {table}" if whole_run else table
        if self._url.get_backend_name() == "postgresql":
            key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
            # Without a transaction, which the server may end when it is idle for long.
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar():
                    raise busy
                try:
                    yield
                finally:
                    # With its connection the lock is gone already.
                    with suppress(sa.exc.DBAPIError):
                        connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
            return
        # The operating system drops a file lock when its process dies, whatever killed it.
        import fcntl

        folder = Path(str(self._url.database)).parent / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / hashlib.sha256(name.encode()).hexdigest()[:32]).open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise busy from None
            yield


def _configure_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    # Readers and one writer at once; a crash of the machine may lose the last commits but not the file. What is on
    # the stage carries the token of its plan, so that what a lost commit has planned is not taken for another plan's.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


_GENERATIONS = (
    sa.select(
        schema.generations,
        schema.tables.c.name.label("table_name"),
        schema.workflows.c.name.label("workflow_name"),
    )
    .join(schema.tables, schema.tables.c.id == schema.generations.c.table_id)
    .join(schema.workflows, schema.workflows.c.id == schema.tables.c.workflow_id)
)


def _generation_record(row: sa.Row[tuple[object, ...]]) -> GenerationRecord:
    return GenerationRecord(
        row.id,
        row.workflow_name,
        row.table_name,
        row.number,
        GenerationStatus(row.status),
        row.config_hash,
        row.plan,
        row.created_at,
        row.started_at,
        row.ended_at,
        row.source_facts,
        row.published_rows,
        row.progress,
    )


def _key(inserted: sa.CursorResult[tuple[object, ...]]) -> int:
    key = inserted.inserted_primary_key
    assert key is not None
    return int(key[0])


def _now() -> datetime:
    return datetime.now(timezone.utc)
