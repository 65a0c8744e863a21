"""Which column types hold every value of others, unchanged."""

from __future__ import annotations

import pyarrow as pa
import pytest

from migration_assets.platforms.base import TargetPlatform
from migration_assets.platforms.duckdb import DuckDB
from migration_assets.platforms.snowflake import Snowflake
from migration_assets.platforms.types import (
    BINARY,
    BOOLEAN,
    DATE,
    JSON,
    TEXT,
    UUID,
    ColumnType,
    Kind,
    decimal,
    floating,
    integer,
    temporal,
    text,
)

TIMESTAMP = temporal(Kind.TIMESTAMP)

EVERY_KIND = [
    BOOLEAN,
    integer(16),
    integer(32),
    integer(64),
    decimal(10, 2),
    decimal(38, 0),
    floating(32),
    floating(64),
    TEXT,
    text(10),
    BINARY,
    DATE,
    temporal(Kind.TIME, 3),
    TIMESTAMP,
    temporal(Kind.TIMESTAMP_TZ, 3),
    temporal(Kind.TIMESTAMP, 7),
    JSON,
    UUID,
]

WIDER = [
    (integer(64), integer(32)),
    (integer(32), integer(16)),
    (integer(16), decimal(4, 0)),
    (decimal(5, 0), integer(16)),
    (decimal(19, 0), integer(64)),
    (decimal(12, 2), integer(32)),
    (decimal(12, 2), decimal(10, 2)),
    (decimal(12, 3), decimal(10, 1)),
    (floating(64), floating(32)),
    (floating(64), integer(32)),
    (temporal(Kind.TIME, 7), temporal(Kind.TIME)),
    (temporal(Kind.TIMESTAMP, 7), TIMESTAMP),
    (temporal(Kind.TIMESTAMP_TZ, 7), temporal(Kind.TIMESTAMP_TZ)),
    (TEXT, text(10)),
    (text(11), text(10)),
    (text(36), UUID),
    (TEXT, JSON),
    (BINARY, ColumnType(Kind.BINARY, length=5)),
    (TIMESTAMP, temporal(Kind.TIMESTAMP, 3)),
    (temporal(Kind.TIME), temporal(Kind.TIME, 0)),
]

APART = [
    (integer(32), decimal(9, 1)),
    (integer(64), BOOLEAN),
    (decimal(12, 2), integer(64)),
    (decimal(12, 2), decimal(9, 3)),
    (decimal(18, 3), floating(32)),
    (floating(64), integer(64)),
    (TEXT, integer(16)),
    (TEXT, DATE),
    (text(35), UUID),
    (JSON, BOOLEAN),
    (TIMESTAMP, DATE),
    (TIMESTAMP, temporal(Kind.TIMESTAMP_TZ)),
    (BINARY, TEXT),
]


@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_a_type_holds_its_own_values(kind: ColumnType) -> None:
    assert kind.holds(kind)


@pytest.mark.parametrize(("wide", "narrow"), WIDER, ids=str)
def test_a_wider_type_holds_the_narrower_one_and_not_the_reverse(wide: ColumnType, narrow: ColumnType) -> None:
    assert wide.holds(narrow)
    assert not narrow.holds(wide)


@pytest.mark.parametrize(("first", "second"), APART, ids=str)
def test_types_that_differ_in_more_than_width_don_t_hold_each_other(first: ColumnType, second: ColumnType) -> None:
    assert not first.holds(second)
    assert not second.holds(first)


@pytest.mark.parametrize("platform", [DuckDB(), Snowflake()], ids=lambda platform: platform.name)
@pytest.mark.parametrize("kind", EVERY_KIND, ids=str)
def test_what_a_target_makes_of_a_type_holds_its_values(platform: TargetPlatform, kind: ColumnType) -> None:
    made = platform.parse_type(platform.ddl_type(kind))

    assert made.holds(kind) or (kind is BINARY and made.length == platform.max_binary_length)


@pytest.mark.parametrize("kind", [Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ])
def test_times_of_more_digits_than_microseconds_are_staged_as_text(kind: Kind) -> None:
    assert temporal(kind, 7).is_staged_as_text
    assert temporal(kind, 7).to_arrow() == pa.string()
    assert not temporal(kind).is_staged_as_text


def test_an_instant_of_more_digits_would_be_cut_in_every_other_time() -> None:
    for kind in (Kind.TIMESTAMP, Kind.TIMESTAMP_TZ):
        assert temporal(kind, 7).is_rounded_in(temporal(Kind.TIMESTAMP_TZ))
        assert temporal(kind, 7).is_rounded_in(TIMESTAMP)
