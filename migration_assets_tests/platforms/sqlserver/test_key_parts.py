"""What is compared of a key's values has their order everywhere; what statistics and schemes say becomes ranges."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration_assets.platforms.base import KeyColumn, PlatformError, Row, SourceColumn
from migration_assets.platforms.sqlserver.histograms import read_quantiles
from migration_assets.platforms.sqlserver.key_parts import alike_keys, column_part, value_part
from migration_assets.platforms.sqlserver.keys import partition_by_key
from migration_assets.platforms.sqlserver.locations import partition_by_location
from migration_assets.platforms.types import TEXT, UUID, ColumnType, Kind, decimal, floating, integer, temporal
from migration_assets_tests.platforms.sqlserver.test_key_statements import TABLE, Server, column


def _key(base: str, *arguments: int, to: ColumnType, by: str = "[c]") -> KeyColumn:
    return KeyColumn(column("c", base, *arguments), to, by)


def _server(code_page: int | None = 65001) -> Server:
    return Server(code_page=[{"code_page": code_page}])


@pytest.mark.parametrize(
    ("key", "compared"),
    [
        (_key("int", to=integer(32)), "[c]"),
        (_key("decimal", 10, 2, to=decimal(20, 4), by="CAST([c] AS decimal(20, 4))"), "[c]"),
        (_key("money", to=decimal(19, 4)), "[c]"),
        (_key("datetime", to=temporal(Kind.TIMESTAMP, 3)), "[c]"),
        (_key("datetimeoffset", 7, to=temporal(Kind.TIMESTAMP_TZ, 7)), "[c]"),
        (_key("datetime2", 7, to=temporal(Kind.TIMESTAMP, 3), by="CUT([c])"), "CAST(CUT([c]) AS datetime2(7))"),
        (
            _key("date", to=temporal(Kind.TIMESTAMP), by="WIDE([c])"),
            "CAST(WIDE([c]) AS datetime2(7))",
        ),
        (_key("uniqueidentifier", to=UUID), "LOWER(CONVERT(char(36), [c])) COLLATE Latin1_General_BIN2"),
        (
            _key("nvarchar", 10, to=TEXT),
            "CAST(CAST([c] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(30)) AS varbinary(30))",
        ),
        (
            # COLLATE alone would keep ten bytes, and cut what has more of them in UTF-8.
            _key("varchar", 10, to=TEXT),
            "CAST(CAST(CAST([c] AS nvarchar(10)) COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(30)) "
            "AS varbinary(30))",
        ),
        (
            _key("char", 5000, to=TEXT),
            "CAST(CAST(CAST(RTRIM([c]) AS nvarchar(max)) COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(max)) "
            "AS varbinary(max))",
        ),
        (
            _key("nchar", 3000, to=TEXT),
            "CAST(CAST(RTRIM([c]) COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(max)) AS varbinary(max))",
        ),
    ],
)
def test_an_index_serves_values_that_are_staged_as_they_are(key: KeyColumn, compared: str) -> None:
    part = value_part(key)
    assert part.expression == compared
    assert part.is_column is (compared == "[c]")
    assert alike_keys(_server().run, [key]) == (key,)


@pytest.mark.parametrize(
    "key",
    [
        _key("float", to=floating(64)),
        _key("datetime2", 7, to=temporal(Kind.TIMESTAMP, 3)),
        _key("money", to=decimal(19, 2)),
        _key("xml", to=TEXT, by="CAST([c] AS nvarchar(max))"),
        _key("int", to=TEXT),
        _key("nvarchar", 36, to=UUID),
    ],
)
def test_values_of_another_order_are_no_key(key: KeyColumn) -> None:
    first = _key("int", to=integer(32))
    source = replace(key.source, orderable=key.source.base_type != "xml")
    assert alike_keys(_server().run, [first, replace(key, source=source), first]) == (first,)


def test_text_needs_a_server_that_knows_utf8() -> None:
    keys = [_key("int", to=integer(32)), _key("nvarchar", 10, to=TEXT)]
    assert alike_keys(_server(None).run, keys) == (keys[0],)
    # Nothing is asked where there is no text.
    assert alike_keys(lambda sql: pytest.fail(sql), keys[:1]) == (keys[0],)


_TEXTS = st.text(st.sampled_from("\0 \t!aAzé\ud7ff\ue000\uffff😀𐀀"), max_size=4)


@given(value=_TEXTS, bound=_TEXTS)
def test_bytes_that_are_filled_with_zeros_keep_the_order_of_a_target(value: str, bound: str) -> None:
    part = value_part(_key("nvarchar", 10, to=TEXT))
    if not part.is_bound(bound):
        assert "\0" in bound
        return
    low = bytes.fromhex(part.literal(bound)[2:])
    assert part.read(low) == bound
    # As SQL Server compares a varbinary: the shorter one is as long as the other.
    length = max(len(value.encode()), len(low))
    is_below = value.encode().ljust(length, b"\0") < low.ljust(length, b"\0")
    assert is_below is (value.encode() < bound.encode())


def _steps(*steps: tuple[Any, float, float], changed: int = 0) -> list[dict[str, Any]]:
    return [
        {"bound": bound, "range_rows": between, "equal_rows": equal, "changed": changed}
        for bound, between, equal in steps
    ]


def _quantiles(steps: list[dict[str, Any]], pieces: int, one: SourceColumn | None = None) -> Any:
    def run(sql: str) -> Sequence[Row]:
        assert "dm_db_stats_histogram" in sql
        return steps

    return read_quantiles(run, 7, column_part(TABLE.name, one or column("c", "int")), pieces)


def test_a_histogram_is_cut_at_equal_numbers_of_rows() -> None:
    found = _quantiles(_steps((None, 0, 50), *((str(n), 9, 1) for n in range(100))), 4)
    assert (found.sampled, found.absent, found.method) == (1050, 50, "histogram ranges")
    assert found.bounds[0] == [(("25",), 259), (("50",), 509), (("75",), 759)]


def test_a_key_of_a_histogram_that_fills_a_range_begins_one() -> None:
    skewed = _steps(*((str(n), 1, 1000 if n == 11 else 1) for n in range(20)))
    found = _quantiles(skewed, 4)
    assert found.bounds[0][0] == (("11",), 23)


@pytest.mark.parametrize(
    ("steps", "pieces", "one"),
    [
        ([], 2, None),
        (_steps(*((str(n), 9, 1) for n in range(7))), 2, None),
        (_steps(*((str(n), 9, 1) for n in range(8)), changed=41), 2, None),
        (_steps(*((str(n), 9, 1) for n in range(8))), 2, column("c", "nvarchar")),
        (_steps(*((str(n), 9, 1) for n in range(8))), 2, column("c", "hierarchyid")),
    ],
    ids=["none", "few steps", "out of date", "no variant of a long text", "no variant of a hierarchyid"],
)
def test_a_histogram_that_says_too_little_is_left(
    steps: list[dict[str, Any]], pieces: int, one: SourceColumn | None
) -> None:
    assert _quantiles(steps, pieces, one) is None


def test_a_key_of_several_columns_is_divided_by_the_statistics_of_its_first_one() -> None:
    steps = _steps(*((f"2024-01-{n + 1:02} 00:00:00.000", 900, 100) for n in range(20)))
    server = Server(**{"dm_db_stats_histogram(": steps})
    plan = partition_by_key(server.run, TABLE, ["day", "id"], None, 4)
    assert plan.method == "histogram ranges"
    assert [part.description for part in plan.partitions][-2:] == ["day from 2024-01-16 00:00:00.000", "day is null"]


def test_a_table_of_many_ranges_is_numbered_with_few_levels_of_case() -> None:
    server = Server()
    sample = {"part": 0, "sampled": 50_000, "absent": 0, "begins": 1}
    server.answers["WITH sample"] = [{**sample, "before": 10 * n, "t1": f"{n}.0000"} for n in range(1, 5000)]
    rows = [{"number": number, "rows": 1} for number in range(5000)]
    server.answers["numbered.number"] = rows
    plan = partition_by_key(server.run, replace(TABLE, estimated_rows=10**7), ["price"], None, 2, 2000)
    assert len(plan.partitions) == 5000
    for statement in server.statements:
        words = statement.replace("(", " ").replace(")", " ").split()
        depth = itertools.accumulate((word == "CASE") - (word == "END") for word in words)
        assert max(depth) <= 10
        assert statement.count("CAST(") < 65_535 // 4


def _located(on_right: int, *partitions: tuple[str | None, int], clustered: bool = False) -> Server:
    return Server(
        **{
            "is_clustered": [{"index_id": 1, "name": "id", "is_clustered": 1}] if clustered else [],
            "sys.partition_schemes": [{"name": "day", "function_id": 5, "on_right": on_right}],
            "partition_range_values": [
                {"number": number, "bound": bound, "rows": rows} for number, (bound, rows) in enumerate(partitions, 1)
            ],
        }
    )


_A, _B, _C = (f"2024-0{month}-01 00:00:00.000" for month in (1, 2, 3))
_LA, _LB, _LC = (f"CAST(N'2024-0{month}-01T00:00:00.000' AS datetime)" for month in (1, 2, 3))


@pytest.mark.parametrize(
    ("on_right", "partitions", "predicates"),
    [
        (
            1,
            [(_A, 10), (_B, 10), (_C, 10), (None, 10)],
            [
                f"[day] < {_LA} OR [day] IS NULL",
                f"[day] >= {_LA} AND [day] < {_LB}",
                f"[day] >= {_LB} AND [day] < {_LC}",
                f"[day] >= {_LC}",
            ],
        ),
        (
            0,
            [(_A, 10), (_B, 30), (None, 10)],
            [f"[day] <= {_LA} OR [day] IS NULL", f"[day] > {_LA} AND [day] <= {_LB}", f"[day] > {_LB}"],
        ),
        (1, [(None, 5), (_B, 5), (None, 30)], [f"[day] < {_LB} OR [day] IS NULL", f"[day] >= {_LB}"]),
        (1, [(None, 7)], [None]),
    ],
    ids=["right", "left", "a boundary that is NULL", "one"],
)
def test_the_partitions_of_a_scheme_are_ranges_of_its_column(
    on_right: int, partitions: list[tuple[str | None, int]], predicates: list[str | None]
) -> None:
    plan = partition_by_location(_located(on_right, *partitions).run, TABLE, None, 4)
    assert [part.predicate for part in plan.partitions] == predicates
    assert not plan.physical
    assert sum(part.rows for part in plan.partitions) == sum(rows for _, rows in partitions)


def test_bounds_of_a_text_are_compared_in_the_collation_of_its_column() -> None:
    """The literals beside it may have the database's, and two collations of columns don't agree by themselves."""
    title = SourceColumn("title", "nvarchar(20)", "nvarchar", False, type_arguments=(20,), collation="French_CI_AS")
    server = Server(
        **{
            "WITH sample": [
                {"part": 0, "before": 100 * place, "sampled": 400, "absent": 0, "begins": 1, "t1": text}
                for place, text in enumerate("gmt", 1)
            ]
        }
    )
    partition_by_key(server.run, replace(TABLE, columns=(*TABLE.columns[:4], title)), ["title"], None, 4)
    (proof,) = [statement for statement in server.statements if "AS pairs" in statement]
    assert "SELECT 0, [title] COLLATE French_CI_AS FROM" in proof


def test_boundaries_of_a_scheme_that_do_not_rise_as_they_are_written_are_refused() -> None:
    """Ranges of them would share rows."""
    server = _located(1, (_A, 10), (_B, 10), (_C, 10), (None, 10))
    server.answers["AS pairs"] = [{"pairs": 1}]
    with pytest.raises(PlatformError, match="not in the order"):
        partition_by_location(server.run, TABLE, None, 4)


def test_partitions_of_a_scheme_are_joined_to_as_many_as_are_wanted() -> None:
    months = [(f"20{year}-{month:02}-01 00:00:00.000", 10) for year in range(10, 20) for month in range(1, 13)]
    plan = partition_by_location(_located(1, *months, (None, 0)).run, TABLE, None, 4)
    assert [part.rows for part in plan.partitions] == [300] * 4
    few = partition_by_location(_located(1, *months, (None, 0)).run, replace(TABLE, estimated_rows=1200), None, 2, 35)
    assert max(part.rows for part in few.partitions) <= 35
    large = partition_by_location(_located(1, (_A, 50), (None, 0)).run, TABLE, None, 2, 35)
    assert "50 rows, more than max_rows, in day below 2024-01-01" in large.notes[0]


def test_a_clustered_key_is_divided_where_a_scheme_has_too_few_partitions() -> None:
    plan = partition_by_location(_located(1, (_A, 50), (None, 50), clustered=True).run, TABLE, None, 4)
    assert plan.method == "arithmetic ranges"
    assert plan.partitions[0].predicate == "[id] < CAST(N'250001' AS bigint)"
