"""Bounds from the histogram of an index's statistics, which costs nothing to read: at most 200 steps of a column.

A step has a key, the rows that are equal to it, and the rows between it and the key of the step before.
"""

from __future__ import annotations

from collections.abc import Sequence

from migration_assets.platforms.base import Bound, QueryRunner, Row
from migration_assets.platforms.key_ranges import Quantiles
from migration_assets.platforms.sqlserver import sql, values
from migration_assets.platforms.sqlserver.key_parts import KeyPart

# Needs SELECT on the columns of the statistics, or shows no row. A statistic of several columns has a histogram of
# its first one.
_STEPS = """\
SELECT {bound} AS bound,
       CAST(h.range_rows AS float) AS range_rows,
       CAST(h.equal_rows AS float) AS equal_rows,
       latest.changed AS changed
FROM (SELECT TOP (1) s.object_id AS object_id, s.stats_id AS stats_id, p.modification_counter AS changed
      FROM sys.stats AS s
      JOIN sys.stats_columns AS k ON k.object_id = s.object_id AND k.stats_id = s.stats_id AND k.stats_column_id = 1
      JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
      CROSS APPLY sys.dm_db_stats_properties(s.object_id, s.stats_id) AS p
      WHERE s.object_id = {object_id} AND c.name = {column} AND s.has_filter = 0
      ORDER BY p.last_updated DESC) AS latest
CROSS APPLY sys.dm_db_stats_histogram(latest.object_id, latest.stats_id) AS h
ORDER BY h.step_number"""

_STEPS_PER_RANGE = 4
_NO_VARIANT = ("hierarchyid",)
"""Types that sql_variant, in which a step's key comes, doesn't hold."""


def read_quantiles(run: QueryRunner, object_id: int, part: KeyPart, pieces: int) -> Quantiles | None:
    """The bounds of about `pieces` ranges of one column; None when a sample says more.

    That is so when the steps are too few for ranges of similar size, or when more rows have changed since than a range
    will have.
    """
    native = values.native_type(part.type)
    if native in _NO_VARIANT or native.endswith("(max)") or not part.is_column:
        return None
    key = values.from_variant(part.type, "h.range_high_key")
    steps = run(
        sql.fill(_STEPS, bound=part.text(key), object_id=object_id, column=sql.literal(part.column.name)),
    )
    present = [step for step in steps if step["bound"] is not None]
    absent = sum(_rows(step) for step in steps if step["bound"] is None)
    total = sum(_rows(step) for step in present)
    if len(present) < _STEPS_PER_RANGE * pieces or int(str(steps[0]["changed"] or 0)) * pieces > total:
        return None
    return Quantiles(
        round(total + absent), round(absent), {0: _bounds(part, present, total, pieces)}, "histogram ranges"
    )


def _bounds(part: KeyPart, steps: Sequence[Row], total: float, pieces: int) -> list[tuple[Bound, int]]:
    """The keys at which a piece begins, with the rows below each. One that fills a piece alone begins one as well."""
    bounds: list[tuple[Bound, int]] = []
    passed, begun = 0.0, 0
    for step in steps:
        before = passed + float(str(step["range_rows"]))
        passed = before + float(str(step["equal_rows"]))
        piece = int(before * pieces / total)
        fills = float(str(step["equal_rows"])) * pieces >= total
        bound = (part.read(step["bound"]),)
        if before > 0 and (piece > begun or fills) and part.is_bound(bound[0]):
            bounds.append((bound, round(before)))
            begun = piece
    return bounds


def _rows(step: Row) -> float:
    return float(str(step["range_rows"])) + float(str(step["equal_rows"]))
