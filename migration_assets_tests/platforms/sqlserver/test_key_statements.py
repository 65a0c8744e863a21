"""Every statement about keys is T-SQL, and stays what it was read as. A server of canned answers asks for them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from migration_assets.platforms.base import (
    KeyColumn,
    Partitioning,
    Row,
    SourceColumn,
    SourceTable,
    TableName,
)
from migration_assets.platforms.sqlserver import values, watermarks
from migration_assets.platforms.sqlserver.key_parts import alike_keys
from migration_assets.platforms.sqlserver.keys import partition_by_key, partition_by_value, split_by_value
from migration_assets.platforms.sqlserver.locations import partition_by_location
from migration_assets.platforms.types import TEXT, UUID, decimal

SNAPSHOT = Path(__file__).with_name("key_statements.sql")


def column(name: str, base: str, *arguments: int, nullable: bool = False, collation: str | None = None) -> SourceColumn:
    native = f"{base}({', '.join(map(str, arguments))})" if arguments else base
    return SourceColumn(name, native, base, nullable, type_arguments=arguments, collation=collation)


ID = column("id", "bigint")
GUID = column("guid", "uniqueidentifier")
DAY = column("day", "datetime", nullable=True)
NAME = column("na]me", "varchar", 40, nullable=True, collation="SQL_Latin1_General_CP1_CI_AS")
TITLE = column("title", "nvarchar", 100)
PRICE = column("price", "money")
VERSION = column("version", "rowversion")
TABLE = SourceTable(
    TableName("shop", "dbo", "it's"),
    "table",
    (ID, GUID, DAY, NAME, TITLE, PRICE, VERSION),
    primary_key=("id",),
    estimated_rows=1_000_000,
    bytes=10**9,
)


class Server:
    """Answers by the beginning of a statement, or by something that stands in it."""

    def __init__(self, **answers: Any) -> None:
        self.statements: list[str] = []
        self.counts = 0
        self.answers: dict[str, list[dict[str, Any]]] = {
            "sys.columns AS c\nWHERE": [],
            "is_not_null": [
                {"object_id": 7, "name": one.name, "is_not_null": int(not one.nullable), "has_histograms": 1}
                for one in TABLE.columns
            ],
            "is_clustered": [{"index_id": 1, "name": "id", "is_clustered": 1}],
            "sys.partition_schemes": [],
            "MIN(": [{"low": 1, "high": 1_000_000}],
            "dm_db_stats_histogram(": [],
            "code_page": [{"code_page": 65001}],
            "AS pairs": [{"pairs": 0}],
            **answers,
        }

    def run(self, sql: str) -> Sequence[Row]:
        self.statements.append(sql)
        for mark, answer in self.answers.items():
            if mark in sql:
                return answer
        if "AS kept" in sql:
            return [{"rows": 1000, "kept": 100}]
        if sql.startswith("WITH sample"):
            return self._quantiles(sql)
        if sql.startswith("WITH first"):
            return []
        if "COUNT_BIG(*) AS rows" in sql:
            self.counts += 1
            return [{"number": number, "rows": 600 if self.counts == 1 and number == 1 else 100} for number in range(6)]
        raise AssertionError(sql)

    def _quantiles(self, sql: str) -> list[dict[str, Any]]:
        """Three bounds that are as the first key column's type has them."""
        kinds: list[list[object]] = [["g", "x", 0], ["m", "y", 1], ["t", "z", 2]]
        if "'00000000" in sql or "[guid]" in sql:
            kinds = [[f"{digit}0000000-0000-4000-8000-000000000000", b"\x61", "5"] for digit in "159"]
        elif "[day]" in sql:
            kinds = [[f"2024-01-0{digit} 12:00:00.997", "Zo\u00eb's", b"x"] for digit in "159"]
        elif "[title]" in sql:
            kinds = [[f"{digit}\u00e9".encode(), "2", "3"] for digit in "abc"]
        elif "[price]" in sql:
            kinds = [[f"{digit}.5000", "2", "3"] for digit in "159"]
        elif "[version]" in sql:
            kinds = [[bytes([0] * 7 + [digit]), "2", "3"] for digit in (1, 5, 9)]
        elif "[id]" in sql:
            kinds = [[digit, "2", "3"] for digit in "159"]
        return [
            {"part": 1 if "THEN 0" in sql else 0, "before": 1000 * place, "sampled": 4000, "absent": 0, "begins": 1}
            | {f"t{number}": text for number, text in enumerate(texts, 1)}
            for place, texts in enumerate(kinds, 1)
        ]


def _keys() -> tuple[KeyColumn, ...]:
    return (
        KeyColumn(GUID, UUID, "[guid]"),
        KeyColumn(TITLE, TEXT, "[title]"),
        KeyColumn(PRICE, decimal(19, 4), "[price]"),
    )


def _statements() -> dict[str, list[str]]:
    """What is asked, by what for."""
    found: dict[str, list[str]] = {}

    def ask(what: str, server: Server, *arguments: Any) -> Partitioning:
        plan = partition_by_key(server.run, *arguments)
        found[what] = [*server.statements, *_predicates(plan)]
        return plan

    ask("arithmetic ranges of an integer", Server(), TABLE, ["id"], None, 4)
    sparse = replace(TABLE, primary_key=())
    steps = [{"bound": str(1000 * n), "range_rows": 900.0, "equal_rows": 100.0, "changed": 10} for n in range(20)]
    ask("a histogram", Server(**{"dm_db_stats_histogram(": steps}), sparse, ["id"], None, 4)
    ask("a sample of pages, no index", Server(), TABLE, ["day", "na]me"], None, 4)
    ask("a filter", Server(), TABLE, ["price"], "price > 3 -- dear", 4)
    ask(
        "a view, whose rows are counted and taken by chance",
        Server(),
        replace(TABLE, kind="view"),
        ["version"],
        None,
        4,
    )
    ask("ranges of a limited size, by index", Server(), sparse, ["id"], None, 2, 500)
    ask("ranges of a limited size, in one pass", Server(), TABLE, ["day", "na]me"], None, 2, 500)
    server = Server()
    keys = alike_keys(server.run, _keys())
    plan = partition_by_value(server.run, TABLE, keys[:2], None, 4)
    found["ranges of values"] = [*server.statements, *_predicates(plan)]
    server = Server()
    split_by_value(server.run, TABLE, keys[1:], None, ("a\u00e9", "1.5000"), ("\u00fc", "2.0000"), 300)
    found["a range of values is divided"] = server.statements
    server = Server(
        **{
            "sys.partition_schemes": [{"name": "day", "function_id": 5, "on_right": 1}],
            "partition_range_values": [
                {"number": 1, "bound": "2024-01-01 00:00:00.000", "rows": 10},
                {"number": 2, "bound": "2024-02-01 00:00:00.000", "rows": 500_000},
                {"number": 3, "bound": None, "rows": 499_990},
            ],
        }
    )
    plan = partition_by_location(server.run, TABLE, None, 2)
    found["a partition scheme"] = [*server.statements, *_predicates(plan)]
    for one in (VERSION, DAY, NAME, ID):
        low = {"rowversion": "0x00000000000007D1", "datetime": "2024-02-29 23:59:59.997"}.get(one.base_type, "7")
        ranges = f"{watermarks.after(one, low, inclusive=False)} AND {watermarks.up_to(one, low)}"
        found[f"a watermark of {one.native_type}"] = [
            watermarks.watermark_query(TABLE.name, one, "price > 3"),
            f"SELECT 1 WHERE {ranges}",
        ]
    found["literals"] = [
        f"SELECT {values.literal(one, text)} AS v WHERE {values.text_of(one, '[c]')} IS NULL" for one, text in _LITERALS
    ]
    return found


def _predicates(plan: Partitioning) -> list[str]:
    return [f"SELECT 1 WHERE {part.predicate}" for part in plan.partitions]


_LITERALS = [
    (column("c", "bit"), "1"),
    (column("c", "tinyint"), "255"),
    (column("c", "decimal", 38, 10), "-1234567890123456789012345678.0123456789"),
    (column("c", "smallmoney"), "-1.2345"),
    (column("c", "float"), "1.0000000000000001e-001"),
    (column("c", "real"), "1.25"),
    (column("c", "date"), "0001-01-01"),
    (column("c", "time", 7), "23:59:59.9999999"),
    (column("c", "smalldatetime"), "2024-02-29 23:59:00"),
    (column("c", "datetime2", 7), "9999-12-31 23:59:59.9999999"),
    (column("c", "datetimeoffset", 7), "2024-02-29 23:59:59.9999999+00"),
    (column("c", "char", 5, collation="French_CI_AS"), "\u00e9"),
    (column("c", "nchar", 5), "it's\\\nso"),
    (column("c", "nvarchar"), "\u6f22"),
    (column("c", "binary", 4), "0x01020304"),
    (column("c", "varbinary", 4), "0x"),
    (column("c", "uniqueidentifier"), "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    (column("c", "hierarchyid"), "/1/2.1/"),
]


def test_the_statements_are_those_that_were_read() -> None:
    parts = [
        "\n\n".join([f"-- {what}", *(f"{statement.rstrip()};" for statement in statements)])
        for what, statements in _statements().items()
    ]
    written = "\n\n".join(parts) + "\n"
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(written, encoding="utf-8")
        pytest.fail(f"{SNAPSHOT.name} was missing and is written now: read it, and commit it")
    assert written == SNAPSHOT.read_text(encoding="utf-8")


def test_the_statements_are_tsql() -> None:
    for statements in _statements().values():
        for statement in statements:
            parsed = sqlglot.parse(statement, dialect="tsql")
            assert parsed
            assert not any(isinstance(one, sqlglot.exp.Command) for one in parsed), statement


@pytest.mark.parametrize(("one", "text"), _LITERALS, ids=[one.native_type for one, _ in _LITERALS])
def test_a_literal_s_text_is_one_that_the_type_has(one: SourceColumn, text: str) -> None:
    assert values.is_exact(one, text)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (NAME, "CAST(v AS nvarchar(1001))"),
        (column("c", "char", 3), "CAST(v AS nvarchar(1001))"),
        (TITLE, "CAST(v AS nvarchar(100))"),
        (PRICE, "CAST(v AS money)"),
    ],
)
def test_a_text_of_a_variant_keeps_characters_that_the_database_s_code_page_lacks(
    one: SourceColumn, expected: str
) -> None:
    assert values.from_variant(one, "v") == expected


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (column("c", "int"), "1.0"),
        (column("c", "datetime2", 7), "infinity"),
        (column("c", "nvarchar", 5), "a\0"),
        (column("c", "nvarchar", 5), "\ud83d"),
        (column("c", "nvarchar"), "x" * 1001),
        (column("c", "float"), "1.#INF"),
    ],
)
def test_what_has_no_literal_is_no_bound(one: SourceColumn, text: str) -> None:
    assert not values.is_exact(one, text)
