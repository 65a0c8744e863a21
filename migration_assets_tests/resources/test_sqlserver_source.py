"""SQL Server as a source, against a server that speaks TDS."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import date, datetime, timezone
from datetime import time as time_of_day
from decimal import Decimal

import pyarrow as pa
import pytest

from migration_assets.platforms import types
from migration_assets.platforms.base import ReadColumn, SourceColumn, TableName
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.sources import sqlserver_readers
from migration_assets.resources.sources.base import SnapshotLostError, SourceError, TransientSourceError
from migration_assets.resources.sources.sqlserver import SQLServerSource
from migration_assets_tests.faults.proxies import cutting_proxy

# Read before the fixtures hide what the shell is configured for.
_PREFIX = "SOURCE_SQLSERVER_"
_SETTINGS: Mapping[str, str] = {
    name.removeprefix(_PREFIX): value for name, value in os.environ.items() if name.startswith(_PREFIX)
}

pytestmark = pytest.mark.skipif(
    "HOST" not in _SETTINGS,
    reason="needs a server that speaks TDS: set SOURCE_SQLSERVER_HOST (and _PORT, _USERNAME, _PASSWORD)",
)

SLOW = "SELECT COUNT_BIG(*) AS id FROM t a, t b, t c, t d, t e, t f, t g, t h, t i, t j, t k"
"""A query that has no answer for some seconds; not for long, since not every server sees that nobody waits for it."""


def new_source(**settings: object) -> SQLServerSource:
    known: dict[str, object] = {
        "host": _SETTINGS.get("HOST", ""),
        "port": int(_SETTINGS.get("PORT") or 1433),
        "username": _SETTINGS.get("USERNAME", ""),
        "password": _SETTINGS.get("PASSWORD", ""),
        "encrypt": _SETTINGS.get("ENCRYPT") or "no",
        "trust_server_certificate": True,
        "driver": _SETTINGS.get("DRIVER"),
    }
    return SQLServerSource(**{**known, **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A database with snapshot isolation."""
    name = f"source_{secrets.token_hex(4)}"
    with new_source().connect("master") as run:
        run(f"CREATE DATABASE {name}")
        states = run(f"SELECT snapshot_isolation_state AS state FROM sys.databases WHERE name = '{name}'")
        if states[0]["state"] != 1:
            run(f"ALTER DATABASE {name} SET ALLOW_SNAPSHOT_ISOLATION ON")
    yield name
    drop(f"DATABASE {name}")


@pytest.fixture
def table(database: str) -> TableName:
    """The table `t` with the numbers 1 to 5 in `id`."""
    execute(
        database,
        "DROP TABLE IF EXISTS t",
        "CREATE TABLE t (id INT PRIMARY KEY, a NVARCHAR(40), m NVARCHAR(MAX), b VARBINARY(MAX))",
        "INSERT INTO t (id) VALUES (1), (2), (3), (4), (5)",
    )
    return TableName(database, "dbo", "t")


@pytest.fixture
def source() -> SQLServerSource:
    return new_source()


def naive(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc).replace(tzinfo=None)  # type: ignore[arg-type,misc]


def execute(database: str, *statements: str) -> None:
    with new_source().connect(database) as run:
        for statement in statements:
            run(statement)


def drop(what: str) -> None:
    """Drops what the server may still take for in use: it may not know yet that its sessions have ended."""
    for _ in range(100):
        with suppress(SourceError):
            return execute("master", f"DROP {what}")
        time.sleep(0.2)
    return execute("master", f"DROP {what}")


def column(name: str, column_type: ColumnType) -> ReadColumn:
    return ReadColumn(name, column_type, SourceColumn(name, str(column_type), "type", nullable=True), name)


ID = [column("id", types.integer(32))]


def read(
    source: SQLServerSource, table: TableName, query: str, columns: Sequence[ReadColumn] = ID, *, strict: bool = False
) -> pa.Table:
    with source.open_snapshot(table, strict=strict) as snapshot:
        reader = snapshot.open_reader()
        try:
            schema = pa.schema([(one.name, one.type.to_arrow()) for one in columns])
            found = pa.concat_tables([schema.empty_table(), *reader.read(query, columns)])
            assert reader.source_rows == found.num_rows
            return found
        finally:
            reader.close()


# -- values -------------------------------------------------------------------------------------

ZOE = "Zoë 漢字 😀"


@pytest.mark.parametrize(
    ("sql", "column_type", "expected"),
    [
        ("CAST(255 AS TINYINT)", types.integer(16), 255),
        ("CAST(-32768 AS SMALLINT)", types.integer(16), -32768),
        ("CAST(9223372036854775807 AS BIGINT)", types.integer(64), 9223372036854775807),
        ("CAST(1 AS BIT)", types.BOOLEAN, True),
        ("CAST(922337203685477.5807 AS MONEY)", types.decimal(19, 4), Decimal("922337203685477.5807")),
        ("CAST(-1.2345 AS SMALLMONEY)", types.decimal(10, 4), Decimal("-1.2345")),
        (
            "CAST(1234567890123456789012345678.0123456789 AS DECIMAL(38, 10))",
            types.decimal(38, 10),
            Decimal("1234567890123456789012345678.0123456789"),
        ),
        ("CAST(1.5E300 AS FLOAT)", types.floating(64), 1.5e300),
        ("CAST(0.1 AS FLOAT)", types.floating(64), 0.1),
        ("CAST(1.25 AS REAL)", types.floating(32), 1.25),
        ("CAST('0001-01-01' AS DATE)", types.DATE, date(1, 1, 1)),
        ("CAST('23:59:59.123456' AS TIME(6))", types.temporal(Kind.TIME), time_of_day(23, 59, 59, 123456)),
        ("CAST('23:59:59' AS TIME(0))", types.temporal(Kind.TIME, 0), time_of_day(23, 59, 59)),
        (
            "CAST('2024-01-02 03:04:05.997' AS DATETIME)",
            types.temporal(Kind.TIMESTAMP, 3),
            naive(2024, 1, 2, 3, 4, 5, 997000),
        ),
        (
            "CAST('9999-12-31 23:59:59.999999' AS DATETIME2(6))",
            types.temporal(Kind.TIMESTAMP),
            naive(9999, 12, 31, 23, 59, 59, 999999),
        ),
        ("CAST('2024-01-02 03:04' AS SMALLDATETIME)", types.temporal(Kind.TIMESTAMP, 0), naive(2024, 1, 2, 3, 4)),
        (
            "CAST('2024-01-02 03:04:05.5' AS DATETIME2(6))",
            types.temporal(Kind.TIMESTAMP_TZ),
            datetime(2024, 1, 2, 3, 4, 5, 500000, timezone.utc),
        ),
        (
            "CAST('2024-01-02 03:04:05.123456 -05:30' AS DATETIMEOFFSET(6))",
            types.TEXT,
            "2024-01-02 03:04:05.123456 -05:30",
        ),
        (
            "CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS UNIQUEIDENTIFIER)",
            types.UUID,
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        ),
        (f"CAST(N'{ZOE}' AS NVARCHAR(50))", types.text(50), ZOE),
        (f"CAST(N'{ZOE}' AS NVARCHAR(MAX))", types.TEXT, ZOE),
        ("CAST(N'ü€' AS VARCHAR(9))", types.text(9), "ü€"),
        ("CAST(N'' AS NVARCHAR(9))", types.text(9), ""),
        ("CAST('ab' AS CHAR(5))", types.text(5), "ab   "),
        ("CAST(N'ü' AS NCHAR(3))", types.text(3), "ü  "),
        ("CAST(0x01020304 AS BINARY(4))", types.BINARY, b"\1\2\3\4"),
        ("CAST(0x00FF10 AS VARBINARY(100))", types.BINARY, b"\x00\xff\x10"),
        ("CAST(0xDEADBEEF AS VARBINARY(MAX))", types.BINARY, b"\xde\xad\xbe\xef"),
        ("CAST('<a><b>1</b></a>' AS XML)", types.TEXT, "<a><b>1</b></a>"),
    ],
)
def test_values_come_as_they_are(
    source: SQLServerSource, table: TableName, sql: str, column_type: ColumnType, expected: object
) -> None:
    # Some servers forget a type's digits in a CASE.
    execute(
        table.database, "DROP TABLE IF EXISTS v", f"SELECT 1 AS id, {sql} AS c INTO v", "INSERT INTO v (id) VALUES (2)"
    )
    query = "SELECT c FROM v"

    found = read(source, table, query, [column("c", column_type)])

    assert found.schema.field("c").type == column_type.to_arrow()
    assert sorted(found.column("c").to_pylist(), key=lambda value: value is None) == [expected, None]


def test_a_value_that_does_not_fit_names_its_column_and_the_cure(source: SQLServerSource, table: TableName) -> None:
    query = "SELECT 40000 + id AS c FROM t"

    with pytest.raises(SourceError, match=r"column c .*'4000.' doesn't fit integer.16.*columnTypeMappings"):
        read(source, table, query, [column("c", types.integer(16))])


def test_an_empty_table_has_no_rows(source: SQLServerSource, table: TableName) -> None:
    assert read(source, table, "SELECT id FROM t WHERE id > 5").num_rows == 0
    assert read(source, table, "SELECT m FROM t WHERE id > 5", [column("m", types.TEXT)]).num_rows == 0


def test_values_of_several_megabytes_arrive_whole(source: SQLServerSource, table: TableName) -> None:
    execute(
        table.database,
        "UPDATE t SET m = REPLICATE(CAST(N'ü😀' AS NVARCHAR(MAX)), 700000) WHERE id = 2",
        "UPDATE t SET b = CAST(REPLICATE(CAST('xy' AS VARCHAR(MAX)), 2500000) AS VARBINARY(MAX)) WHERE id = 3",
    )
    columns = [*ID, column("m", types.TEXT), column("b", types.BINARY)]

    rows = read(source, table, "SELECT id, m, b FROM t", columns).sort_by("id").to_pylist()

    assert rows[1]["m"] == "ü😀" * 700_000
    assert rows[2]["b"] == b"xy" * 2_500_000
    assert (rows[0]["m"], rows[4]["b"]) == (None, None)


def test_rows_come_in_blocks_of_bounded_size(source: SQLServerSource, table: TableName) -> None:
    query = "SELECT a.id, REPLICATE(CAST('x' AS VARCHAR(200)), 200) AS v FROM t a, t b, t c, t d, t e, t f, t g"
    columns = [*ID, column("v", types.text(200))]
    with source.open_snapshot(table, strict=False) as snapshot:
        reader = snapshot.open_reader()
        sizes = [block.nbytes for block in reader.read(query, columns)]
        rows = reader.source_rows
        reader.close()

    assert rows == 5**7
    assert len(sizes) > 2
    assert max(sizes) < 3 * sqlserver_readers.BATCH_BYTES


def test_who_reads_holds_the_server_back(source: SQLServerSource, table: TableName) -> None:
    query = "SELECT a.id FROM t a, t b, t c, t d, t e, t f, t g, t h, t i, t j"
    before = pa.total_allocated_bytes()
    with source.open_snapshot(table, strict=False) as snapshot:
        reader = snapshot.open_reader()
        rows = reader.read(query, ID)
        next(rows)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            assert pa.total_allocated_bytes() - before < 6 * sqlserver_readers.BATCH_BYTES
        reader.close()


def test_catalogue_values_are_plain(source: SQLServerSource, table: TableName) -> None:
    with source.connect(table.database) as run:
        (row,) = run(
            "SELECT CAST(1.50 AS DECIMAL(9, 2)) AS d, CAST('2024-01-02' AS DATETIME2(3)) AS t, "
            "CAST(0x01 AS VARBINARY(9)) AS b, N'ü' AS s, "
            "CAST('2024-01-02 03:04:05.123456 +05:30' AS DATETIMEOFFSET(7)) AS o"
        )

    assert row == {
        "d": Decimal("1.50"),
        "t": naive(2024, 1, 2),
        "b": b"\1",
        "s": "ü",
        "o": "2024-01-02 03:04:05.1234560 +05:30",
    }


def test_a_statement_may_have_any_characters_and_be_long(source: SQLServerSource, table: TableName) -> None:
    execute(table.database, f"UPDATE t SET a = N'{ZOE}' WHERE id = 3")
    condition = " OR ".join([f"a = N'{ZOE}'"] * 1000)

    assert read(source, table, f"SELECT id FROM t WHERE {condition}").column("id").to_pylist() == [3]


@pytest.mark.parametrize("policy", ["keep", "fail"])
def test_nul_characters_have_a_policy(
    policy: str, table: TableName, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A server may be unable to hold any, so the driver's rows are replaced.
    monkeypatch.setattr(
        sqlserver_readers, "to_planned", lambda batches, columns: pa.table({"a": ["x\0", "y", "\0"], "id": [1, 2, 3]})
    )
    columns = [column("a", types.text(9)), *ID]
    with new_source(nul_characters=policy).open_snapshot(table, strict=False) as snapshot:
        reader = snapshot.open_reader()
        if policy == "keep":
            with caplog.at_level(logging.WARNING):
                list(reader.read("SELECT N'x' AS a, id FROM t", columns))
            assert f"{table}, column a: 2 values have a NUL character (U+0000), which is kept" in caplog.text
        else:
            with pytest.raises(SourceError, match="SOURCE_SQLSERVER_NUL_CHARACTERS=keep"):
                list(reader.read("SELECT N'x' AS a, id FROM t", columns))
        reader.close()


# -- states -------------------------------------------------------------------------------------


def test_every_read_has_a_state_of_its_own(source: SQLServerSource, table: TableName) -> None:
    counts, states = [], []
    with source.open_snapshot(table, strict=False) as snapshot:
        reader = snapshot.open_reader()
        for number in (6, 7):
            counts.append(sum(block.num_rows for block in reader.read("SELECT id FROM t", ID)))
            states.append(reader.state)
            execute(table.database, f"INSERT INTO t (id) VALUES ({number})")
        reader.close()

    assert counts == [5, 6]
    assert None not in states
    assert len(set(states)) == 2


def test_a_read_sees_the_state_of_its_beginning(source: SQLServerSource, table: TableName) -> None:
    query = "SELECT a.id FROM t a, t b, t c, t d, t e, t f, t g, t h, t i"
    with source.open_snapshot(table, strict=False) as snapshot:
        reader = snapshot.open_reader()
        rows = reader.read(query, ID)
        seen = next(rows).num_rows
        execute(table.database, "DELETE FROM t WHERE id > 1")
        seen += sum(block.num_rows for block in rows)
        reader.close()

    assert seen == 5**9


def test_steady_queries_see_one_state(source: SQLServerSource, table: TableName) -> None:
    def count() -> object:
        return snapshot.query("SELECT COUNT(*) AS n FROM t")[0]["n"]

    with source.open_snapshot(table, strict=False) as snapshot:
        with snapshot.steady() as is_steady:
            first = count()
            execute(table.database, "DELETE FROM t WHERE id = 1")
            second = count()
            steady = snapshot.open_steady_reader()
            rows = sum(block.num_rows for block in steady.read("SELECT id FROM t", ID))
            steady.close()
        after = count()

    assert is_steady
    assert (first, second, rows, after) == (5, 5, 5, 4)


def test_a_steady_state_that_an_error_has_ended_is_not_taken_for_another(
    source: SQLServerSource, table: TableName
) -> None:
    with source.open_snapshot(table, strict=False) as snapshot:
        with snapshot.steady():
            with pytest.raises(SourceError):
                snapshot.query("SELECT CAST('x' AS INT) AS n")
            with pytest.raises(SnapshotLostError):
                snapshot.query("SELECT COUNT(*) AS n FROM t")
        assert snapshot.query("SELECT COUNT(*) AS n FROM t") == [{"n": 5}]


def test_strict_readers_see_one_state(source: SQLServerSource, table: TableName) -> None:
    with source.open_snapshot(table, strict=True) as snapshot:
        first = snapshot.open_reader()
        execute(table.database, "DELETE FROM t WHERE id = 1")
        second = snapshot.open_reader()
        counts = [sum(block.num_rows for block in one.read("SELECT id FROM t", ID)) for one in (first, second, first)]
        told = snapshot.query("SELECT COUNT(*) AS n FROM t")

        assert counts == [5, 5, 5]
        assert told == [{"n": 5}]
        assert (first.state, second.state) == (None, None)


def test_a_strict_reader_that_has_ended_is_of_use_again_and_one_that_was_lost_is_not(
    source: SQLServerSource, table: TableName
) -> None:
    with source.open_snapshot(table, strict=True) as snapshot:
        first, second = snapshot.open_reader(), snapshot.open_reader()
        list(first.read("SELECT id FROM t", ID))
        first.close()
        again = snapshot.open_reader()
        assert again is first
        with pytest.raises(SourceError):
            list(again.read("SELECT nothing FROM t", ID))
        again.close()
        second.close()
        snapshot.open_reader()
        with pytest.raises(SnapshotLostError, match="lets no other one into its snapshot"):
            snapshot.open_reader()


def test_a_strict_reader_that_is_let_go_twice_is_lent_once(source: SQLServerSource, table: TableName) -> None:
    with source.open_snapshot(table, strict=True) as snapshot:
        first = snapshot.open_reader()
        first.close()
        first.close()
        assert snapshot.open_reader() is not snapshot.open_reader()


def test_strict_readers_are_lent_while_a_query_takes_its_time(source: SQLServerSource, table: TableName) -> None:
    with source.open_snapshot(table, strict=True) as snapshot, ThreadPoolExecutor() as threads:
        asking = threads.submit(snapshot.query, SLOW)
        time.sleep(0.5)
        started = time.monotonic()
        snapshot.open_reader().close()
        elapsed, was_asking = time.monotonic() - started, asking.running()
        snapshot.cancel_query()
        assert isinstance(asking.exception(), SourceError)
        assert was_asking
        assert elapsed < 1


# -- faults -------------------------------------------------------------------------------------


def errors_of(source: SQLServerSource, table: TableName) -> list[SourceError]:
    """What the catalogue's connection and a reader say."""
    with pytest.raises(SourceError) as of_catalogue, source.connect(table.database):
        pass
    with new_source().open_snapshot(table, strict=False) as snapshot:
        snapshot._source = source  # type: ignore[attr-defined]
        with pytest.raises(SourceError) as of_reader:
            snapshot.open_reader()
    return [of_catalogue.value, of_reader.value]


def test_a_wrong_password_is_not_tried_again(table: TableName) -> None:
    for error in errors_of(new_source(password="canary;{}"), table):
        assert not isinstance(error, TransientSourceError)
        assert "SOURCE_SQLSERVER_USERNAME, _PASSWORD" in str(error)
        assert "canary" not in str(error)


def test_a_database_that_is_not_there_is_named(table: TableName) -> None:
    with pytest.raises(SourceError, match=r"source_nothing.*source_database_name") as refused:
        read(new_source(), TableName("source_nothing", "dbo", "t"), "SELECT 1")
    assert not isinstance(refused.value, TransientSourceError)


def test_a_server_that_is_not_there_may_come_back(table: TableName) -> None:
    source = new_source(host="127.0.0.1", port=1, connect_timeout_seconds=2)

    with pytest.raises(TransientSourceError, match=r"127.0.0.1:1.*SOURCE_SQLSERVER_HOST"):
        read(source, table, "SELECT 1")


def test_a_certificate_that_nobody_knows_is_refused_unless_it_is_trusted(table: TableName) -> None:
    with pytest.raises(SourceError, match="SOURCE_SQLSERVER_TRUST_SERVER_CERTIFICATE=yes"):
        read(new_source(encrypt="yes", trust_server_certificate=False), table, "SELECT id FROM t")
    assert read(new_source(encrypt="yes"), table, "SELECT id FROM t").num_rows == 5


@contextmanager
def login(database: str, password: str) -> Iterator[str]:
    """A login that may open the database."""
    name = f"reader_{secrets.token_hex(4)}"
    execute("master", f"CREATE LOGIN {name} WITH PASSWORD = '{password}'")
    execute(database, f"CREATE USER {name} FOR LOGIN {name}")
    try:
        yield name
    finally:
        execute(database, f"REVOKE SELECT ON t FROM {name}", f"DROP USER {name}")
        drop(f"LOGIN {name}")


@pytest.mark.parametrize("password", ["Aa1;b=c", "Aa1}b{c}", " Aa1 blanks ", "{Aa1};PWD=x", 'ü"Aa1%s?'])
def test_any_password_logs_in(table: TableName, password: str) -> None:
    with login(table.database, password) as name:
        execute(table.database, f"GRANT SELECT ON t TO {name}")
        assert read(new_source(username=name, password=password), table, "SELECT id FROM t").num_rows == 5


def test_a_table_that_may_not_be_read_fails_with_its_cure(table: TableName) -> None:
    with login(table.database, "Aa1secret") as name, pytest.raises(SourceError) as refused:
        read(new_source(username=name, password="Aa1secret"), table, "SELECT id FROM t")
    assert not isinstance(refused.value, TransientSourceError)
    assert "permission" in str(refused.value).lower()


def test_a_statement_that_the_server_refuses_is_told(source: SQLServerSource, table: TableName) -> None:
    with pytest.raises(SourceError, match="nothing") as refused:
        read(source, table, "SELECT nothing FROM t")
    assert not isinstance(refused.value, TransientSourceError)


def test_an_error_behind_the_first_rows_is_not_taken_for_the_end(source: SQLServerSource, table: TableName) -> None:
    query = "SELECT 1 / (a.id - 5) AS id FROM t a, t b, t c, t d, t e, t f ORDER BY a.id"

    with pytest.raises(SourceError, match="zero"):
        read(source, table, query)


def test_a_server_that_goes_away_in_mid_stream_is_a_fault_that_may_pass(table: TableName) -> None:
    query = "SELECT a.id FROM t a, t b, t c, t d, t e, t f, t g, t h, t i"
    server = (_SETTINGS["HOST"], int(_SETTINGS.get("PORT") or 1433))
    # Its first connection is the snapshot's own.
    with cutting_proxy(server, connection=1, after_bytes=200_000) as port:
        with pytest.raises(TransientSourceError, match="broke off"):
            read(new_source(host="127.0.0.1", port=port), table, query)
        assert read(new_source(host="127.0.0.1", port=port), table, query).num_rows == 5**9


def test_a_reader_is_closed_from_another_thread(source: SQLServerSource, table: TableName) -> None:
    with source.open_snapshot(table, strict=False) as snapshot:
        reader = snapshot.open_reader()
        threading.Timer(0.5, reader.close).start()
        started = time.monotonic()
        with pytest.raises(TransientSourceError, match="the connection was closed"):
            list(reader.read(SLOW, [column("id", types.integer(64))]))
        assert time.monotonic() - started < 5
    _no_threads_left()


def test_a_query_is_broken_off_from_another_thread(source: SQLServerSource, table: TableName) -> None:
    with source.open_snapshot(table, strict=False) as snapshot, snapshot.steady():
        threading.Timer(0.5, snapshot.cancel_query).start()
        started = time.monotonic()
        with pytest.raises(SourceError):
            snapshot.query(SLOW)
        assert time.monotonic() - started < 5
        with pytest.raises(SourceError):
            snapshot.query("SELECT 1 AS one")


def test_a_read_that_nobody_ends_leaves_nothing_behind(source: SQLServerSource, table: TableName) -> None:
    with source.open_snapshot(table, strict=False) as snapshot:
        reader = snapshot.open_reader()
        rows = reader.read("SELECT a.id FROM t a, t b, t c, t d, t e, t f, t g, t h, t i", ID)
        next(rows)
        reader.close()
        with pytest.raises(TransientSourceError, match="the connection was closed"):
            list(rows)
    _no_threads_left()


def _no_threads_left() -> None:
    for thread in threading.enumerate():
        if thread.name == "sqlserver-reader":
            thread.join(10)
            assert not thread.is_alive()


def test_the_rate_of_rows_is_bounded(table: TableName) -> None:
    query = "SELECT a.id FROM t a, t b, t c, t d, t e"
    started = time.monotonic()

    assert read(new_source(max_rows_per_second=5**5), table, query).num_rows == 5**5

    assert time.monotonic() - started >= 1
