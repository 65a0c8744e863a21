"""What a type doesn't say: one scan finds the digits of numeric columns without precision; money's scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migration_assets.platforms.base import (
    ColumnMapping,
    PlatformError,
    QueryRunner,
    Row,
    SourceColumn,
    SourceTable,
)
from migration_assets.platforms.postgresql import sql
from migration_assets.platforms.postgresql.types import decimal_mapping, refused
from migration_assets.platforms.types import MAX_DECIMAL_PRECISION, decimal

_SMALL_PRECISION = 18
_SPARE_DIGITS = 2
_MONEY_DIGITS = 19

# scale() of NaN and of the infinities is NULL, in versions that don't know `'Infinity'::numeric` as well.
_NUMERIC = """\
count({column}) AS values_{number},
    max(scale({column})) AS scale_{number},
    length(nullif(trunc(max(abs({column})) FILTER (WHERE scale({column}) IS NOT NULL)), 0)::text)
        AS digits_{number},
    count(*) FILTER (WHERE {column} = 'NaN'::numeric) AS nan_{number},
    count(*) FILTER (WHERE {column} <> 'NaN'::numeric AND scale({column}) IS NULL) AS infinite_{number}"""
_SCAN = "SELECT {columns} FROM {relation}{where}"
_MONEY_SCALE = "SELECT scale(0::money::numeric) AS scale"


def profile(
    run: QueryRunner, table: SourceTable, where: str | None, columns: Sequence[SourceColumn]
) -> Mapping[str, ColumnMapping]:
    """The mappings of columns whose type says too little, after one scan of the filtered rows for all of
    them.

    A numeric column becomes the smaller of decimal(18, s) and decimal(38, s) that holds all its values, s
    being the largest scale found. Small means that the values leave two of the 18 digits free for rows that
    come before the extraction: 18 digits are what targets keep in 8 bytes. A value that comes later and
    doesn't fit fails its extraction, it is not rounded. A column without values becomes decimal(38, 0).

    Raises:
        PlatformError: a column's type needs no profile.
    """
    numeric = [column for column in columns if column.base_type == "numeric"]
    money = [column for column in columns if column.base_type == "money"]
    others = [column.name for column in columns if column not in numeric and column not in money]
    if others:
        raise PlatformError(f"The types of the columns {others} of {table.name} need no profile.")
    mappings: dict[str, ColumnMapping] = {}
    if numeric:
        aggregates = ",\n    ".join(
            sql.fill(_NUMERIC, column=sql.quote(column.name), number=number) for number, column in enumerate(numeric)
        )
        query = sql.fill(_SCAN, columns=aggregates, relation=sql.relation(table.name), where=sql.where_clause(where))
        found = run(query)[0]
        mappings |= {column.name: _numeric(column, found, number) for number, column in enumerate(numeric)}
    if money:
        scale = _integer(run(_MONEY_SCALE)[0]["scale"])
        wanted = decimal(max(_MONEY_DIGITS, scale), scale)
        mappings |= {column.name: decimal_mapping(column, wanted) for column in money}
    return mappings


def _numeric(column: SourceColumn, found: Row, number: int) -> ColumnMapping:
    values, nan, infinite = (_integer(found[f"{name}_{number}"]) for name in ("values", "nan", "infinite"))
    if nan or infinite:
        counts = [f"{count} value(s) {name}" for count, name in ((nan, "NaN"), (infinite, "±Infinity")) if count]
        return refused(column, f"the column holds {' and '.join(counts)}, which no decimal has")
    scale, digits = _integer(found[f"scale_{number}"] or 0), _integer(found[f"digits_{number}"] or 0)
    if scale + digits > MAX_DECIMAL_PRECISION:
        return refused(
            column,
            f"its values have up to {digits} digits before and {scale} after the point, together more than "
            f"the {MAX_DECIMAL_PRECISION} that travel exactly",
        )
    small = values > 0 and scale + digits + _SPARE_DIGITS <= _SMALL_PRECISION
    precision = _SMALL_PRECISION if small else MAX_DECIMAL_PRECISION
    what = f"{digits} digits before and {scale} after the point" if values else "no values"
    return decimal_mapping(
        column, decimal(precision, scale), f"numeric without precision: {what} were found when it was planned"
    )


def _integer(value: object) -> int:
    return int(str(value))
