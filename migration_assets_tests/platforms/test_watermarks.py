"""Watermarks keep every digit, and consecutive ranges of them lose no row and have none twice, on every platform."""

from __future__ import annotations

import pytest

from migration_assets_tests.platforms.open_source import OpenSource

_POSTGRESQL: dict[str, list[str]] = {
    "smallint": ["-32768", "0", "32767"],
    "integer": ["-2147483648", "7", "8"],
    "bigint": ["-9223372036854775808", "9007199254740993", "9007199254740994", "9223372036854775806"],
    "numeric(38,10)": [
        "-0.0000000001",
        "1234567890123456789012345678.0123456789",
        "1234567890123456789012345678.012345679",
    ],
    "numeric": ["1e-30", "1e30", "1000000000000000000000000000000.000000000000000000000000000001"],
    "real": ["0.1", "0.10000001", "16777216"],
    "double precision": ["0.1", "0.30000000000000004", "1e308"],
    "date": ["0044-03-15 BC", "2024-02-29", "20000-01-01"],
    "timestamp": ["2024-02-29 00:00:00", "2024-02-29 00:00:00.000001", "2024-02-29 00:00:00.000002"],
    "timestamptz": ["2024-10-27 02:30:00.000001+02", "2024-10-27 02:30:00.000001+01", "2024-10-27 02:30:00.000002+01"],
    "time": ["00:00:00", "23:59:59.999999", "24:00:00"],
    "interval": ["-1 day", "1 month", "1 year 0.000001 seconds"],
    "text": ["", '\\ " é 😀', "it's"],
    'text COLLATE "C"': ["B", "a", "É"],
    "character(3)": ["a", "b ", "c"],
    "uuid": ["00000000-0000-0000-0000-000000000001", "7fffffff-0000-0000-0000-000000000000", "f" * 32],
    "pg_lsn": ["0/0", "0/16B3748", "FFFFFFFF/FFFFFFFF"],
    "xid8": ["3", "4294967299", "18446744073709551615"],
    "oid": ["1", "2147483648", "4294967295"],
    "inet": ["10.0.0.1/8", "10.0.0.1", "::1"],
    "mood": ["sad", "it's ok", "happy"],
    "integer[]": ["{}", "{1,NULL}", "{2}"],
    "stamp": ["2024-02-29 00:00:00", "2024-02-29 00:00:00.000001", "2024-03-01 00:00:00"],
}

_SQLSERVER: dict[str, list[str]] = {
    "tinyint": ["0", "7", "255"],
    "smallint": ["-32768", "0", "32767"],
    "int": ["-2147483648", "7", "8"],
    "bigint": ["-9223372036854775808", "9007199254740993", "9007199254740994"],
    "decimal(38,10)": [
        "-0.0000000001",
        "1234567890123456789012345678.0123456789",
        "1234567890123456789012345678.012345679",
    ],
    "money": ["-922337203685477.5807", "0.0001", "922337203685477.5807"],
    "float": ["0.1", "0.30000000000000004", "1e300"],
    "real": ["0.1", "0.5", "16777216"],
    "date": ["0001-01-01", "2024-02-29", "9999-12-30"],
    "datetime": [
        "2024-02-29T00:00:00",
        "2024-02-29T00:00:00.003",
        "2024-02-29T00:00:00.007",
        "2024-02-29T23:59:59.997",
    ],
    "smalldatetime": ["2024-02-29T00:00:00", "2024-02-29T00:01:00"],
    "datetime2(6)": ["2024-02-29T00:00:00", "2024-02-29T00:00:00.000001", "9000-02-28T00:00:00.000002"],
    "datetimeoffset(6)": [
        "2024-10-27T02:30:00.000001+02:00",
        "2024-10-27T02:30:00.000001+01:00",
        "2024-10-27T02:30:00.000002+01:00",
    ],
    "time(6)": ["00:00:00", "12:00:00.000001", "23:59:59.999999"],
    "nvarchar(20) COLLATE Latin1_General_BIN2": ["", '\\ " é', "\u6f22"],
}

_PREPARATION = {
    "postgresql": "CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy'); CREATE DOMAIN stamp AS timestamp",
    "sqlserver": "",
}
_OF = {"postgresql": _POSTGRESQL, "sqlserver": _SQLSERVER}


@pytest.mark.parametrize(
    "native",
    [pytest.param(native, marks=pytest.mark.platforms(name)) for name, values in _OF.items() for native in values],
)
def test_consecutive_ranges_have_every_row_once(opened: OpenSource, native: str) -> None:
    platform, values = opened.platform, _OF[opened.database.platform][native]
    if preparation := _PREPARATION[opened.database.platform]:
        opened.session.run_own(preparation)
    opened.session.run_own(f"CREATE TABLE t (id int NOT NULL, w {native} NULL, u int NULL)")
    column = opened.table("t").column("w")
    assert platform.watermark_problem(column, None) is None

    def ids(*conditions: str) -> list[int]:
        rows = opened.run(f"SELECT id FROM t WHERE {' AND '.join(conditions)} ORDER BY id")
        return [int(str(row["id"])) for row in rows]

    low: str | None = None
    read: list[int] = []
    for number, value in enumerate(values):
        # Rows with the same value as the bound belong to the range below it.
        written = f"CAST({opened.database.own_literal(value)} AS {native.partition(' COLLATE ')[0]})"
        rows = ", ".join(f"({3 * number + place}, {one}, 0)" for place, one in enumerate((written, written, "NULL")))
        opened.session.run_own(f"INSERT INTO t VALUES {rows}")
        high = str(opened.run(platform.watermark_query(opened.name("t"), column, None))[0]["high"])
        conditions = [platform.up_to(column, high), *([] if low is None else [platform.after(column, low)])]
        read += ids(*conditions)
        assert ids(platform.after(column, high, inclusive=True), platform.up_to(column, high)) == read[-2:]
        low = high
    assert read == ids("w IS NOT NULL")
    assert opened.run(platform.watermark_query(opened.name("t"), column, None))[0]["missing"] == len(values)
    found = opened.run(platform.watermark_query(opened.name("t"), column, "u > 0 -- none"))[0]
    assert dict(found) == {"high": None, "missing": 0}
