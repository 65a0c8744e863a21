"""The workflow format as models: frozen, strict about types and keys, silent about nothing.

Attributes are the keys of the file in snake case. In a file only the camelCase keys count; in Python both do.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
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
from migration_assets.workflow.source_platforms import TARGET_SYNTAX, SourcePlatform

M = TypeVar("M", bound="Model")

SUPPORTED_MAJOR_VERSION = "1"
WORKFLOW_NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,2}$"


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


def is_workflow_name(text: str) -> bool:
    """Whether a text can name a workflow: letters, digits and underscores, no digit first."""
    return re.fullmatch(WORKFLOW_NAME_PATTERN[1:-1], text) is not None


def is_target_type(text: str) -> bool:
    """Whether a text is one data type of the target."""
    try:
        return isinstance(parse_one(text, dialect=TARGET_SYNTAX.dialect, into=exp.DataType), exp.DataType)
    except (SqlglotError, RecursionError):
        return False


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
        findings = list(rule(self.model_dump(mode="json", by_alias=True)))
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

    @model_validator(mode="after")
    def _rules(self) -> TableConfiguration:
        return self._obey(rules.primary_key_findings)

    def config_hash(self, source_platform: SourcePlatform) -> str:
        """SHA-256, in hexadecimal, of what the configuration of a table on this platform means.

        It stays the same however the file is laid out, whether a value comes from the defaults or the table,
        and whether a default of the format is written out. So a later version of the format may add keys
        without changing the hash of today's tables.
        """
        table = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        meaning = {"sourcePlatform": source_platform, "table": table}
        canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


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
    default_table_configuration: dict[str, object] = Field(default_factory=dict)
    """Settings that every table starts from."""
    tables: tuple[dict[str, object], ...] = Field(min_length=1)
    """The tables to migrate."""
