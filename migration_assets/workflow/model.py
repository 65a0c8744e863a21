"""The workflow format as models: frozen, strict about types and keys, silent about nothing.

Attributes are the keys of the file in snake case. In a file only the camelCase keys count; in Python both do.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from migration_assets.workflow import rules
from migration_assets.workflow.errors import Finding, echo
from migration_assets.workflow.identifiers import IDENTIFIER_PATTERN, Identifier, IdentifierError
from migration_assets.workflow.schedules import CRON_PATTERN, is_cron_expression, is_time_zone
from migration_assets.workflow.source_platforms import (
    BULK_UTILITIES,
    NO_BULK_UTILITY,
    TARGET_SYNTAX,
    BulkUtilityName,
    SourcePlatform,
)

M = TypeVar("M", bound="Model")

SUPPORTED_MAJOR_VERSION = "1"
WORKFLOW_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,2}$"
DURATION_PATTERN = r"^[0-9]{1,9}[dhms]( *[0-9]{1,9}[dhms])*$"
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
# A century: no watermark that a database holds in practice, less this, is out of the range of dates.
LONGEST_LOOKBACK = timedelta(days=36_500)


def invalid(message: str, cure: str) -> PydanticCustomError:
    """A wrong value, for a validator to raise."""
    return PydanticCustomError("value", "{message}", {"message": message, "cure": cure})


def _identifier(value: str) -> str:
    try:
        Identifier.parse(value)
    except IdentifierError as error:
        raise invalid(error.message, error.cure) from error
    return value


def _workflow_name(value: str) -> str:
    if not is_workflow_name(value):
        raise invalid(
            f"is not a workflow name: {echo(value)}",
            "Use letters, digits and underscores, and don't start with a digit.",
        )
    return value


def _schema_version(value: str) -> str:
    if not re.fullmatch(VERSION_PATTERN[1:-1], value):
        raise invalid(f"is not a version: {echo(value)}", 'Write it as "1", "1.0" or "1.0.0".')
    if value.split(".")[0] != SUPPORTED_MAJOR_VERSION:
        raise invalid(
            f"is version {echo(value)} of the format, which this program does not read",
            f'Use version "{SUPPORTED_MAJOR_VERSION}.0.0".',
        )
    return value


def _target_type(value: str) -> str:
    if not is_target_type(value):
        raise invalid(
            f"is not a data type of the target: {echo(value)}",
            'Write one type alone, such as "NUMBER(19, 4)".',
        )
    return value


def _stage_name(value: str) -> str:
    try:
        parts = [Identifier.parse(part) for part in re.split(r'\.(?=(?:[^"]*"[^"]*")*[^"]*$)', value)]
    except IdentifierError:
        parts = []
    if len(parts) != 3:
        raise invalid(
            f"is not a fully qualified stage name: {echo(value)}",
            'Write database, schema and stage, such as "MY_DB.MY_SCHEMA.MY_STAGE".',
        )
    return value


def _bulk_utility(value: object) -> object:
    known = get_args(BulkUtilityName)
    if isinstance(value, str) and value not in known:
        near = get_close_matches(value, known, n=1)
        suggestion = f'Did you mean "{near[0]}"? ' if near else ""
        listed = ", ".join(f"{name} (of {platform})" for name, platform in BULK_UTILITIES.items())
        raise invalid(f"is no bulk utility: {echo(value)}", f"{suggestion}Use one of: {listed}, {NO_BULK_UTILITY}.")
    return value


def _lookback(value: object) -> object:
    cure = 'Write a duration such as "2h" or "1d 12h" for dates and times, or a number for a numeric watermark.'
    if isinstance(value, str):
        if not re.fullmatch(DURATION_PATTERN[1:-1], value):
            raise invalid(f"is not a duration: {echo(value)}", cure)
        if _seconds(value) == 0:
            raise invalid("is no time at all", "Use a longer duration, or leave the key out.")
        if _seconds(value) > LONGEST_LOOKBACK.total_seconds():
            raise invalid(f"is {echo(value)}", f"Use a duration of at most {LONGEST_LOOKBACK.days:,} days.")
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise invalid(f"must be a duration or a number, but is {echo(value)}", cure)
    elif not 0 < value < math.inf:
        raise invalid(f"is {echo(value)}", "Use a number greater than 0.")
    return value


def _seconds(duration: str) -> int:
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([dhms])", duration))


def _schedule(value: str) -> str:
    if not re.fullmatch(CRON_PATTERN[1:-1], value):
        raise invalid(
            f"is not a cron expression of five fields: {echo(value)}",
            'Write minute, hour, day of month, month and weekday, such as "30 2 * * 1-5".',
        )
    if not is_cron_expression(value):
        raise invalid(
            f"does not name times that come: {echo(value)}",
            "Use minutes 0-59, hours 0-23, days 1-31 that are in the months, months 1-12 and weekdays 0-7, "
            "ranges that grow, and steps smaller than the field.",
        )
    return value


def _time_zone(value: str) -> str:
    if not is_time_zone(value):
        raise invalid(
            f"is not a time zone: {echo(value)}",
            'Use a name of the IANA database, such as "UTC" or "Europe/Berlin".',
        )
    return value


def is_workflow_name(text: str) -> bool:
    """Whether a text can name a workflow: letters, digits and underscores, no digit first."""
    return re.fullmatch(WORKFLOW_NAME_PATTERN[1:-1], text) is not None


def is_target_type(text: str) -> bool:
    """Whether a text is one data type of the target."""
    try:
        return isinstance(parse_one(text, dialect=TARGET_SYNTAX.dialect, into=exp.DataType), exp.DataType)
    except (SqlglotError, RecursionError):
        return False


def _hash(table: dict[str, object], source_platform: SourcePlatform) -> str:
    meaning = {"sourcePlatform": source_platform, "table": table}
    canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


# The text as written; `Identifier.parse` gives its parts, and can't fail on it any more.
Name = Annotated[
    StrictStr,
    AfterValidator(_identifier),
    WithJsonSchema({"type": "string", "pattern": IDENTIFIER_PATTERN}),
]
Text = Annotated[StrictStr, Field(min_length=1)]
# Bounds that keep every later product of sizes and counts within 64 bits.
Megabytes = Annotated[StrictFloat, Field(gt=0, le=1e9, allow_inf_nan=False)]
WorkflowName = Annotated[Text, AfterValidator(_workflow_name)]
Rows = Annotated[StrictInt, Field(gt=0, le=10**15)]
Share = Annotated[StrictFloat, Field(gt=0, le=1, allow_inf_nan=False)]
# Checked first, so that a wrong value is one problem and not one per type that it could have had.
Lookback = Annotated[
    StrictStr | StrictInt | StrictFloat,
    BeforeValidator(_lookback),
    WithJsonSchema({"type": ["string", "number"], "pattern": DURATION_PATTERN, "exclusiveMinimum": 0}),
]
Schedule = Annotated[StrictStr, AfterValidator(_schedule), WithJsonSchema({"type": "string", "pattern": CRON_PATTERN})]
TimeZone = Annotated[Text, AfterValidator(_time_zone)]


class Model(BaseModel):
    """What all objects of the format share: no unknown keys, no changes, and a null that means 'not set'."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        validate_by_alias=True,
        validate_by_name=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        # A null under a key that the format doesn't know stays, and is reported like any unknown key.
        known = {name for name, field in cls.model_fields.items()}
        known |= {field.alias for field in cls.model_fields.values() if field.alias}
        return {key: value for key, value in data.items() if value is not None or key not in known}

    def _obey(self: M, rule: Callable[[Mapping[str, object]], Iterator[Finding]]) -> M:
        # A default is nobody's wish, unless it is written out.
        findings = list(rule(self.model_dump(mode="json", by_alias=True, exclude_unset=True)))
        if findings:
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [
                    InitErrorDetails(
                        type=PydanticCustomError(
                            finding.kind, "{message}", {"message": finding.message, "cure": finding.cure}
                        ),
                        loc=finding.location,
                        input=None,
                    )
                    for finding in findings
                ],
            )
        return self


class SourceTable(Model):
    """A table in the source database."""

    database_name: Name
    """Database of the table."""
    schema_name: Name
    """Schema of the table."""
    table_name: Name
    """Name of the table."""


class IcebergConfig(Model):
    """Where an Iceberg table keeps its data and its metadata."""

    catalog: Text = "SNOWFLAKE"
    """SNOWFLAKE for tables that Snowflake manages, or the name of a catalog integration."""
    external_volume: Text | None = None
    """External volume for data and metadata; required with catalog SNOWFLAKE."""
    base_location_prefix: Text | None = None
    """Prefix of the table's path on the volume, for tables that Snowflake manages."""
    catalog_table_name: Text | None = None
    """The table's name in an external catalog; required with one."""
    catalog_sync: Text | None = None
    """Catalog integration to which Snowflake's metadata is published."""
    source_data_stage: Text | None = None
    """Stage path, starting with @, of Parquet files that exist already."""
    migration_strategy: Literal["catalog_link", "convert_to_managed", "copy_files"] | None = None
    """How the Iceberg table comes to be; the program chooses when it is not set."""

    @model_validator(mode="after")
    def _rules(self) -> IcebergConfig:
        return self._obey(rules.iceberg_findings)


class TargetTable(Model):
    """A table in the target database."""

    database_name: Name
    """Database of the table."""
    schema_name: Name
    """Schema of the table."""
    table_name: Name
    """Name of the table."""
    table_type: Literal["native", "iceberg"] = "native"
    """Kind of table to load."""
    iceberg_config: IcebergConfig | None = None
    """Required for tableType iceberg, and only allowed with it."""

    @model_validator(mode="after")
    def _rules(self) -> TargetTable:
        return self._obey(rules.target_findings)


class ExtractionStrategy(Model):
    """Who writes the rows of a source table to files, and where."""

    strategy: Literal["regular", "unload"]
    """regular: queries through this program. unload: Redshift writes the files to a bucket itself."""
    external_stage: Annotated[Text, AfterValidator(_stage_name)] | None = None
    """Stage over the bucket, as DATABASE.SCHEMA.STAGE; for unload only."""
    bulk_utility: Annotated[BulkUtilityName, BeforeValidator(_bulk_utility)] | None = None
    """Program of the source's maker that reads the rows, or none; for regular only. The source's settings choose
    when it is not set."""

    @model_validator(mode="after")
    def _rules(self) -> ExtractionStrategy:
        return self._obey(rules.extraction_findings)


class SynchronizationStrategy(Model):
    """How a repeated migration finds the rows to move."""

    strategy: Literal["none", "checksum", "watermark"]
    """none: all rows. checksum: partitions whose rows changed. watermark: rows above the last watermark."""
    watermark_column: Name | None = None
    """Column that grows with every insert and update; for watermark only."""
    track_modifications: StrictBool = False
    """Replace modified rows by primary key; for watermark only, needs primaryKeyColumns."""
    lookback: Lookback | None = None
    """How far behind the last watermark the next run reads again, for rows that come late; for watermark only.
    A duration such as "2h" or "1d 12h" for dates and times; for a numeric watermark a number in its unit."""
    track_deletions: StrictBool = False
    """Delete the target's rows that are gone in the source; for watermark only, needs primaryKeyColumns."""
    deletion_limit: Share = 0.2
    """Largest share of the target's rows that trackDeletions may delete in one run."""

    @property
    def lookback_window(self) -> timedelta | Decimal | None:
        """What to take from the last watermark: a time, or a number as it is written."""
        if self.lookback is None:
            return None
        if isinstance(self.lookback, str):
            return timedelta(seconds=_seconds(self.lookback))
        return Decimal(str(self.lookback))

    @model_validator(mode="after")
    def _rules(self) -> SynchronizationStrategy:
        return self._obey(rules.synchronization_findings)


class PartitionSize(Model):
    """How large a partition is: left to the program, by megabytes, or by rows."""

    target_size_mb: Megabytes | None = None
    """Approximate size of a partition in megabytes."""
    max_rows_per_partition: Rows | None = None
    """Largest number of rows of a partition."""

    @property
    def is_auto(self) -> bool:
        """Whether the program chooses the size."""
        return self.target_size_mb is None and self.max_rows_per_partition is None

    @model_validator(mode="wrap")
    @classmethod
    def _one_form(cls, data: object, handler: Callable[[object], PartitionSize]) -> PartitionSize:
        if isinstance(data, cls):
            return data
        if data == "auto":
            return handler({})
        cure = 'Use "auto", {"targetSizeMb": N} or {"maxRowsPerPartition": N}.'
        if not isinstance(data, Mapping):
            raise invalid(f"is not a partition size: {echo(data)}", cure)
        parsed = handler(data)
        if (parsed.target_size_mb is None) == (parsed.max_rows_per_partition is None):
            raise invalid("must hold exactly one of targetSizeMb and maxRowsPerPartition", cure)
        return parsed

    @model_serializer(mode="plain")
    def _as_written(self) -> str | dict[str, float | int]:
        if self.target_size_mb is not None:
            return {"targetSizeMb": self.target_size_mb}
        if self.max_rows_per_partition is not None:
            return {"maxRowsPerPartition": self.max_rows_per_partition}
        return "auto"


class ColumnTypeMapping(Model):
    """A source type and the target type that its columns get."""

    source_type: Text
    """Type as the source names it, such as MONEY or NUMERIC(10, 2)."""
    target_type: Annotated[Text, AfterValidator(_target_type)]
    """Type in the target, such as NUMBER(19, 4)."""


class ColumnNameMapping(Model):
    """A column that has another name in the target."""

    source_name: Name
    """Column in the source."""
    target_name: Name
    """Column in the target."""


# The keys of a table that say how its rows are moved, not which. Columns to partition by are among them, but for
# checksum, which keeps the division from run to run.
_HOW: dict[str, bool | dict[str, bool]] = {
    "partition_size": True,
    "consistency": True,
    "metrics_check": True,
    "fingerprint_check": True,
    "replace_existing": True,
    "schema_drift": True,
    "staged_generations": True,
    "synchronization": {"lookback": True, "track_deletions": True, "deletion_limit": True},
}


class TableConfiguration(Model):
    """One table to migrate, with its defaults merged in."""

    source: SourceTable
    """Table to read."""
    target: TargetTable
    """Table to write."""
    column_names_to_partition_by: tuple[Name, ...] = ()
    """Columns whose values cut the table into partitions; empty: the program chooses."""
    extraction: ExtractionStrategy = ExtractionStrategy(strategy="regular")
    """How rows leave the source."""
    synchronization: SynchronizationStrategy = SynchronizationStrategy(strategy="none")
    """What moves when the table is migrated again."""
    column_type_mappings: tuple[ColumnTypeMapping, ...] = ()
    """Target types that differ from the program's own choice."""
    column_name_mappings: tuple[ColumnNameMapping, ...] = ()
    """Columns that have another name in the target."""
    primary_key_columns: tuple[Name, ...] = ()
    """Columns of the source that identify a row."""
    partition_size: PartitionSize = PartitionSize.model_validate("auto")
    """How large a partition is."""
    where_clause_criteria: Text | None = None
    """Condition, in the SQL of the source, on the rows to migrate."""
    consistency: Literal["snapshot", "strict"] = "snapshot"
    """snapshot: partitions extracted after a crash may read a newer snapshot, and validation says so.
    strict: the table is extracted again instead."""
    metrics_check: StrictBool = True
    """Compare the metrics of every column between source and target after a load."""
    fingerprint_check: StrictBool = True
    """Compare the fingerprint of all rows between source and load table before the load is published."""
    replace_existing: StrictBool = False
    """Allow the load to replace a target table that this program did not create."""
    schema_drift: Literal["fail", "evolve", "ignore"] = "fail"
    """When the source's columns have changed since the last run. fail: refuse the table and list every change.
    evolve: add new columns to the target and widen types, together with the data.
    ignore: go on with the columns that both sides have, and list what is not moved."""
    staged_generations: Annotated[StrictInt, Field(ge=0, le=1000)] = 1
    """Of how many published generations the staged files stay on the stage."""

    @model_validator(mode="after")
    def _rules(self) -> TableConfiguration:
        return self._obey(rules.primary_key_findings)

    def config_hash(self, source_platform: SourcePlatform) -> str:
        """SHA-256, in hexadecimal, of what the configuration of a table on this platform means.

        It stays the same however the file is laid out, whether a value comes from the defaults or the table,
        and whether a default of the format is written out. So a later version of the format may add keys
        without changing the hash of today's tables.
        """
        return _hash(self.model_dump(mode="json", by_alias=True, exclude_defaults=True), source_platform)

    def content_hash(self, source_platform: SourcePlatform) -> str:
        """SHA-256, in hexadecimal, of what decides which rows and values the target holds.

        Where it has changed, what the target holds can't be continued. It is as stable as `config_hash`, which
        also covers how the rows are moved and checked.
        """
        # Which program reads the rows doesn't change them.
        extraction = self.extraction.model_copy(update={"bulk_utility": None})
        table = self.model_copy(update={"extraction": extraction})
        how = _HOW if self.synchronization.strategy == "checksum" else {**_HOW, "column_names_to_partition_by": True}
        return _hash(table.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=how), source_platform)


class WorkflowConfiguration(Model):
    """The outermost object of a workflow file, before the defaults are merged into its tables."""

    schema_version: Annotated[Text, AfterValidator(_schema_version)] = "1.0.0"
    """Version of the format, as major, major.minor or major.minor.patch."""
    name: WorkflowName | None = None
    """Name of the workflow; the file's name without its extension when it is not set."""
    source_platform: SourcePlatform | None = None
    """Database system of all source tables; may be given when the workflow is loaded instead."""
    affinity: Text | None = None
    """Queue of the workers that may run this workflow."""
    schedule: Schedule | None = None
    """When the workflow runs by itself, as a cron expression of five fields."""
    schedule_time_zone: TimeZone = "UTC"
    """Time zone of the schedule, by its name in the IANA database."""
    default_table_configuration: dict[str, object] = Field(default_factory=dict)
    """Settings that every table starts from."""
    tables: tuple[dict[str, object], ...] = Field(min_length=1)
    """The tables to migrate."""

    @model_validator(mode="after")
    def _rules(self) -> WorkflowConfiguration:
        return self._obey(rules.schedule_findings)
