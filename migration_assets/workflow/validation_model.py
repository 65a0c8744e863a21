"""The validation format as models: which tables are compared with their targets, and how closely.

The keys are those of the Cloud Data Validation workflow format, in snake case. Keys that this program adds to
it are marked as extensions. A model describes either an object of the file (`ValidationTableEntry`) or what
comes of it with everything inherited (`ValidationTable`).
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

from migration_assets.workflow.identifiers import IDENTIFIER_PATTERN, QUALIFIED_NAME_PATTERN
from migration_assets.workflow.model import Model, Name, Rows, SourceTable, TargetTable, Text, WorkflowName, invalid
from migration_assets.workflow.source_platforms import SPELLINGS, SourcePlatform, spelled_platform

ObjectType = Literal["TABLE", "VIEW"]
Check = Literal["schema", "metrics", "rows"]
SchemaAspect = Literal["existence", "type", "precision", "scale", "length", "nullability", "order", "key"]
RowCause = Literal[
    # How a row differs,
    "missing",
    "extra",
    "changed",
    "duplicated",
    # and why its values do: validation's own names of them, which a test compares.
    "trailing spaces",
    "leading or inner white space",
    "upper and lower case",
    "Unicode normalization form",
    "replaced characters",
    "text decoded in another encoding",
    "line endings",
    "empty text against NULL",
    "NULL against a value",
    "cut off",
    "time zone",
    "precision of fractional seconds",
    "time of day lost",
    "digits after the point",
    "floating-point rounding",
    "sign",
    "other value",
]


def _in_any_case(*words: str) -> BeforeValidator:
    by_lower = {word.lower(): word for word in words}

    def canonical(value: object) -> object:
        return by_lower.get(value.lower(), value) if isinstance(value, str) else value

    return BeforeValidator(canonical)


def _any_case_schema(*words: str) -> WithJsonSchema:
    spelled = ("".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word) for word in words)
    return WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(spelled)})$", "examples": list(words)})


def _source_platform(value: object) -> object:
    return spelled_platform(value) or value


def _reason(value: str) -> str:
    if not value.strip():
        raise invalid("is empty", "Say why the difference is accepted; reports show it.")
    return value


Positive = Annotated[StrictFloat, Field(gt=0, le=1e9, allow_inf_nan=False)]
Count = Annotated[StrictInt, Field(gt=0, le=10**9)]
Bytes = Annotated[StrictInt, Field(gt=0, le=10**18)]
# The rules parse it, once they know the platform.
QualifiedName = Annotated[StrictStr, WithJsonSchema({"type": "string", "pattern": QUALIFIED_NAME_PATTERN})]
# Their keys are for the rules, too.
NameMappings = Annotated[dict[str, Name], Field(json_schema_extra={"propertyNames": {"pattern": IDENTIFIER_PATTERN}})]
AnySourcePlatform = Annotated[SourcePlatform, BeforeValidator(_source_platform), _any_case_schema(*SPELLINGS)]
AnyTargetPlatform = Annotated[Literal["Snowflake"], _in_any_case("Snowflake"), _any_case_schema("Snowflake")]
AnyObjectType = Annotated[ObjectType, _in_any_case("TABLE", "VIEW"), _any_case_schema("TABLE", "VIEW")]


class ValidationModel(Model):
    """What all objects of the validation format share; the names of attributes are the keys."""

    model_config = ConfigDict(alias_generator=str)


class Budget(ValidationModel):
    """What validating one table may cost; what exceeds it ends without a verdict. An extension."""

    seconds: Positive | None = None
    """Longest time, in seconds."""
    bytes: Bytes | None = None
    """Most bytes that both sides may send back."""
    rows: Rows | None = None
    """Most rows that both sides may send back."""


class ValidationConfiguration(ValidationModel):
    """The checks of a table, and how they are done."""

    schema_validation: StrictBool = True
    """Compare the columns: their existence, types, sizes and order."""
    metrics_validation: StrictBool = True
    """Compare figures of every column, such as its sum and the number of its NULLs."""
    row_validation: StrictBool = False
    """Compare the rows themselves, and find those that differ."""
    row_validation_mode: Literal["row", "cell"] = "row"
    """row: find the rows that differ. cell: also find the cells, and a likely cause of each."""
    continue_on_failure: StrictBool = False
    """Go on with the next check after one that failed."""
    max_failed_rows_number: Rows = 100
    """Most differing rows to report."""
    exclude_metrics: StrictBool = False
    """Leave out columns whose metrics can't be compared, instead of ending without a verdict."""
    apply_metric_column_modifier: StrictBool = True
    """Bring both sides' values to one form before their metrics are computed."""
    distinct_metrics: StrictBool = False
    """An extension: count the distinct values of every column, which reads far more."""
    mask_values: StrictBool = False
    """An extension: findings show lengths and hashes instead of values."""
    budget: Budget = Field(default_factory=Budget)
    """An extension: what validating one table may cost."""
    snapshot: Literal["required", "best_effort"] = "best_effort"
    """An extension. required: no verdict unless each side is read at one moment.
    best_effort: say in the result which side was not."""


class ComparisonConfiguration(ValidationModel):
    """When two figures count as equal.

    Without a tolerance they must be equal, and sums of floating-point numbers equal up to their rounding. This
    deviates from the original format, whose default of 0.001 lets one row in a thousand go missing unnoticed.
    With both tolerances a difference within either is accepted.
    """

    tolerance: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)] | None = None
    """Largest accepted difference of a metric, relative to the source's: 0.001 is 0.1 percent."""
    absolute_tolerance: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)] | None = None
    """An extension: largest accepted difference of a metric, as a number."""
    type_mapping_file_path: Text | None = None
    """JSON file, relative to this one, with an object of source types and the target type, or list of them, that
    each may have become."""


class Waiver(ValidationModel):
    """Differences that are known and accepted; they are reported with the reason. An extension.

    It covers what agrees with every key that it has.
    """

    check: Check
    """The check that finds them."""
    column: Name | None = None
    """The column, by its name in the source; every column when it is not set."""
    aspect: SchemaAspect | None = None
    """For schema: the property that differs."""
    metric: Text | None = None
    """For metrics: the metric that differs."""
    cause: RowCause | None = None
    """For rows: how a row differs, or the likely cause of its differing values."""
    reason: Annotated[StrictStr, AfterValidator(_reason), WithJsonSchema({"type": "string", "pattern": r"\S"})]
    """Why they are accepted."""


class ValidationTableEntry(ValidationModel):
    """One table or view to compare with its target, as it is written."""

    fully_qualified_name: QualifiedName
    """The source as database.schema.table; for Teradata database.table will do."""
    use_column_selection_as_exclude_list: StrictBool = False
    """Whether column_selection_list names the columns to leave out, instead of those to compare."""
    column_selection_list: tuple[Name, ...] = ()
    """Columns of the source to compare, or to leave out; empty: all are compared."""
    target_name: Name | None = None
    """Name in the target; as in the source when it is not set."""
    target_database: Name | None = None
    """Database in the target, before database_mappings and the file's target_database."""
    target_schema: Name | None = None
    """Schema in the target, before schema_mappings."""
    where_clause: Text | None = None
    """Condition, in the SQL of the source, on its rows."""
    target_where_clause: Text | None = None
    """Condition, in Snowflake's SQL, on the target's rows; where_clause does not apply to them."""
    index_column_list: tuple[Name, ...] = ()
    """Columns of the source that identify a row; empty: the primary key, if there is one."""
    target_index_column_list: tuple[Name, ...] = ()
    """The same columns in the target, in the same order; needed only where column_mappings don't tell."""
    column_mappings: NameMappings = Field(default_factory=dict)
    """Target column by source column, for those that have another name there."""
    is_case_sensitive: StrictBool = False
    """Whether columns are matched by their exact names, instead of whatever their case."""
    chunk_number: Count | None = None
    """Into how many parts the rows are cut; the program chooses when it is not set."""
    max_failed_rows_number: Rows | None = None
    """As in validation_configuration, for this table; a different value there too is an error."""
    exclude_metrics: StrictBool | None = None
    """As in validation_configuration, for this table; a different value there too is an error."""
    apply_metric_column_modifier: StrictBool | None = None
    """As in validation_configuration, for this table; a different value there too is an error."""
    object_type: AnyObjectType | None = None
    """TABLE or VIEW, in any case; by default what the list holds. A view may stand among the tables."""
    partition_column: Name | None = None
    """Column of the source whose values cut the rows into parts; the program chooses when it is not set."""
    validation_configuration: ValidationConfiguration | None = None
    """Settings that differ from those of the file."""
    waivers: tuple[Waiver, ...] = ()
    """An extension: differences that are known and accepted."""


class ValidationWorkflowConfiguration(ValidationModel):
    """The outermost object of a validation workflow file."""

    name: WorkflowName | None = None
    """An extension: name of the workflow; the file's name without its extension when it is not set."""
    source_platform: AnySourcePlatform | None = None
    """Database system of all sources, in any case; may be given when the workflow is loaded instead."""
    target_platform: AnyTargetPlatform = "Snowflake"
    """Snowflake, in any case: the platform the file is written for. Which warehouse is read, the deployment
    decides."""
    target_database: Name | None = None
    """Database of every target that no other key gives one."""
    validation_configuration: ValidationConfiguration = Field(default_factory=ValidationConfiguration)
    """Settings that every table starts from."""
    comparison_configuration: ComparisonConfiguration = Field(default_factory=ComparisonConfiguration)
    """When two figures count as equal."""
    database_mappings: NameMappings = Field(default_factory=dict)
    """Target database by source database."""
    schema_mappings: NameMappings = Field(default_factory=dict)
    """Target schema by source schema."""
    tables: tuple[ValidationTableEntry, ...] = Field(min_length=1)
    """The tables to compare."""
    views: tuple[ValidationTableEntry, ...] = ()
    """The views to compare, in the same form."""
    affinity: Text | None = None
    """Queue of the workers that may run this workflow."""
    use_snowflake_compute: StrictBool = False
    """Accepted and ignored: each side always computes its own figures."""


class ValidationTable(ValidationConfiguration):
    """One table or view to compare, with everything that it inherits.

    Names are texts as written, for `Identifier.parse(...).folded(...)`.

    Attributes:
        included_columns: columns of the source to compare; empty for all.
        excluded_columns: columns of the source to leave out; at most one of the two holds any.
        target_index_columns: as many as `index_columns`, or empty.
        column_mappings: target column by source column.
        tolerance: relative; None for exact.
        type_mappings: by source type, the target types that it may have become.
    """

    source: SourceTable
    target: TargetTable
    object_type: ObjectType = "TABLE"
    included_columns: tuple[Name, ...] = ()
    excluded_columns: tuple[Name, ...] = ()
    where_clause: str | None = None
    target_where_clause: str | None = None
    index_columns: tuple[Name, ...] = ()
    target_index_columns: tuple[Name, ...] = ()
    column_mappings: dict[str, Name] = Field(default_factory=dict)
    is_case_sensitive: bool = False
    chunk_number: int | None = None
    partition_column: Name | None = None
    tolerance: float | None = None
    absolute_tolerance: float | None = None
    type_mappings: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()

    def config_hash(self, source_platform: SourcePlatform) -> str:
        """SHA-256, in hexadecimal, of what the configuration of a table on this platform means.

        It stays the same however the file is laid out and wherever in it a value is written.
        """
        table = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        meaning = {"sourcePlatform": source_platform, "table": table}
        return hashlib.sha256(json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
