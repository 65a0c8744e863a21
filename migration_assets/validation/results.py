"""What a validation found: verdicts, findings, what was covered, and the evidence for it. Kept as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict


class Verdict(str, Enum):
    """What a check says. Only `pass` is proof; `inconclusive` is never taken for it.

    `waived` means that everything that was found is excused by a waiver of the workflow, with its reason.
    """

    PASS = "pass"  # noqa: S105 - a verdict
    WAIVED = "waived"
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The verdict of several together; `pass` of none."""
        order = list(cls)
        return max(verdicts, key=order.index, default=cls.PASS)


Level = Literal["schema", "metrics", "rows"]

LEVELS: tuple[Level, ...] = get_args(Level)
"""In the order in which they run."""

Value = int | float | str | None
"""A figure in JSON: decimals and times as text."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SchemaFinding(_Frozen):
    """One property of one column (or of the table, when `column` is None), compared.

    Attributes:
        aspect: what was compared.
        source: the property as the source has it; None when there is none.
        message: what differs, in a sentence; empty when nothing does.
        waiver: the reason of the waiver that excuses it.
    """

    column: str | None
    aspect: Literal["existence", "type", "precision", "scale", "length", "nullability", "order", "key"]
    source: str | None
    target: str | None
    verdict: Verdict
    message: str = ""
    waiver: str | None = None


class MetricFinding(_Frozen):
    """One metric of one column (or of the table, when `column` is None), compared.

    Attributes:
        difference: target minus source, for numbers, as text.
        relative: the difference divided by the source's value.
    """

    column: str | None
    metric: str
    source: Value
    target: Value
    verdict: Verdict
    difference: str | None = None
    relative: float | None = None
    waiver: str | None = None


class RowKind(str, Enum):
    """How a row differs."""

    MISSING = "missing"
    """In the source only."""
    EXTRA = "extra"
    """In the target only."""
    CHANGED = "changed"
    """On both sides, with other values."""
    DUPLICATED = "duplicated"
    """The very same row more often on one side than on the other."""


class RowFinding(_Frozen):
    """A row that differs.

    Attributes:
        row: number of the finding; its cells have the same.
        key: the values of the key columns by name; of all columns, when the table has no key.
        source_rows: how many such rows the source has.
        columns: the columns that differ, for changed rows.
    """

    row: int
    kind: RowKind
    key: dict[str, str | None]
    source_rows: int
    target_rows: int
    columns: tuple[str, ...] = ()
    waiver: str | None = None


class Cause(str, Enum):
    """Why two values are likely to differ."""

    TRAILING_SPACES = "trailing spaces"
    WHITESPACE = "leading or inner white space"
    CASE = "upper and lower case"
    UNICODE_FORM = "Unicode normalization form"
    REPLACED_CHARACTERS = "replaced characters"
    ENCODING = "text decoded in another encoding"
    LINE_ENDINGS = "line endings"
    EMPTY_TEXT_AND_NULL = "empty text against NULL"
    NULL_AND_VALUE = "NULL against a value"
    TRUNCATED = "cut off"
    TIME_ZONE = "time zone"
    TIME_PRECISION = "precision of fractional seconds"
    DATE_ONLY = "time of day lost"
    SCALE = "digits after the point"
    FLOAT_PRECISION = "floating-point rounding"
    SIGN = "sign"
    OTHER = "other value"


class CellFinding(_Frozen):
    """A cell that differs; values are canonical text (floats in their shortest exact form), None is NULL."""

    row: int
    column: str
    source: str | None
    target: str | None
    cause: Cause
    detail: str = ""


class CauseGroup(_Frozen):
    """All differences of one column with one likely cause.

    Attributes:
        detail: what is the same in all of them, such as `+02:00`; empty when there is nothing to add.
        cells: how many differences were looked at and have this cause.
        of: how many differences of the column were looked at.
        example_row: a row finding that shows it.
    """

    column: str
    cause: Cause
    detail: str
    cells: int
    of: int
    example_row: int | None = None
    waiver: str | None = None

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        if self.of == 1:
            return f"the difference in column {self.column} is {self.cause.value}{detail}"
        how_many = f"all {self.of:,}" if self.cells == self.of else f"{self.cells:,} of {self.of:,}"
        return f"{how_many} differences in column {self.column} are {self.cause.value}{detail}"


class BucketFinding(_Frozen):
    """A bucket of rows whose fingerprints differ.

    Attributes:
        bucket: its name: a range of the key, or a prefix of a hash.
        position: its place among all buckets, 0 to 1, for plots.
    """

    bucket: str
    position: float
    source_rows: int
    target_rows: int


class Coverage(_Frozen):
    """What was compared and what was not.

    Attributes:
        compared: columns whose values were compared.
        excluded: columns that the workflow leaves out.
        skipped: columns that could not be compared, with the reason; they make a verdict inconclusive.
        notes: what a reader should know of how values were compared.
        key: the columns that rows are aligned by; empty when rows were compared as a multiset.
        buckets: how many buckets there were; `different` of them differ.
        located: whether every differing bucket was looked into.
        snapshot: what both sides were read at, in words; None when a side could not be pinned.
    """

    compared: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    skipped: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    source_rows: int | None = None
    target_rows: int | None = None
    buckets: int = 0
    different: int = 0
    located: bool = True
    source_snapshot: str | None = None
    target_snapshot: str | None = None


class Evidence(_Frozen):
    """One query that was asked, and what it cost.

    Attributes:
        step: what it was asked for.
        fingerprint: `rows:high:low` of all rows that it covers, where it computes one.
        bytes: an estimate of what came back.
    """

    step: str
    side: Literal["source", "target"]
    sql: str
    query_id: str | None
    seconds: float
    rows: int
    bytes: int
    fingerprint: str | None = None


class LevelResult(_Frozen):
    """The verdict of one level; `ran` is false when it was not asked for, or an earlier level ended the work."""

    level: Level
    verdict: Verdict
    summary: str
    ran: bool = True
    seconds: float = 0.0


class TableResult(_Frozen):
    """All that came of validating one table.

    Attributes:
        table: the table's short name in the workflow.
        rows_different: how many differing rows were found; `rows` holds the first of them.
    """

    workflow: str
    table: str
    source: str
    target: str
    spec: str
    started_at: datetime
    seconds: float
    levels: tuple[LevelResult, ...]
    coverage: Coverage = Coverage()
    schema_findings: tuple[SchemaFinding, ...] = ()
    metrics: tuple[MetricFinding, ...] = ()
    rows: tuple[RowFinding, ...] = ()
    rows_different: int = 0
    cells: tuple[CellFinding, ...] = ()
    causes: tuple[CauseGroup, ...] = ()
    buckets: tuple[BucketFinding, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    error: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of the levels; inconclusive when nothing ran or it ended with an error."""
        verdicts = [level.verdict for level in self.levels if level.ran]
        if self.error is not None or not verdicts:
            verdicts.append(Verdict.INCONCLUSIVE)
        return Verdict.worst(verdicts)

    def level(self, name: Level) -> LevelResult | None:
        """The result of a level; None when the workflow doesn't have it."""
        return next((level for level in self.levels if level.level == name), None)


class WorkflowResult(_Frozen):
    """The tables of a validation workflow."""

    workflow: str
    file: str
    tables: tuple[TableResult, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the tables; inconclusive when there are none."""
        return Verdict.worst(table.verdict for table in self.tables) if self.tables else Verdict.INCONCLUSIVE
