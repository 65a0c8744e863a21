"""PostgreSQL as a source, with a real server that goes on writing, breaks off and says no."""

from __future__ import annotations

import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime, timezone
from pathlib import Path

import pyarrow as pa
import pytest

from demo.postgresql_server import PostgreSQLServer
from migration_assets.platforms import types
from migration_assets.platforms.base import ReadColumn, SourceColumn, TableName
from migration_assets.platforms.types import ColumnType
from migration_assets.resources.sources import copy_binary, postgresql_readers
from migration_assets.resources.sources.base import (
    Reader,
    Snapshot,
    SnapshotLostError,
    SourceError,
    TransientSourceError,
)
from migration_assets.resources.sources.postgresql import PostgreSQLSource
from migration_assets_tests.servers import PostgreSQLDatabase
from migration_assets_tests.tls_proxy import tls_proxy

ENDLESS = "SELECT generate_series(1, 2000000000), repeat('x', 1000)"
SILENT = "SELECT 1, 'x' FROM pg_sleep(600)"


def column(name: str, kind: ColumnType, native_type: str) -> ReadColumn:
    return ReadColumn(name, kind, SourceColumn(name, native_type, native_type, True), name)


COLUMNS = [column("i", types.integer(32), "integer"), column("t", types.TEXT, "text")]


def source_of(database: PostgreSQLDatabase, **changes: object) -> PostgreSQLSource:
    return PostgreSQLSource(**{**database.login(), **changes})


@pytest.fixture(params=["binary", "csv"])
def source(postgresql_database: PostgreSQLDatabase, request: pytest.FixtureRequest) -> PostgreSQLSource:
    if request.param == "binary" and not copy_binary.is_available():
        pytest.skip("the decoder of binary COPY needs a C compiler when the package is installed")
    return source_of(postgresql_database, copy_format=request.param)


@pytest.fixture
def name(postgresql_database: PostgreSQLDatabase) -> str:
    return postgresql_database.database


@pytest.fixture(autouse=True)
def _no_traces(postgresql_database: PostgreSQLDatabase, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test may leave a thread, a connection, or a word of asyncio about what was not ended."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        warnings.simplefilter("always", RuntimeWarning)
        yield
        gc.collect()
    assert [thread.name for thread in threading.enumerate() if thread.name == "postgresql-reader"] == []
    assert _until_none(lambda: backends(postgresql_database)) == []
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
    ours = [str(warning.message) for warning in told if _is_about_connections(str(warning.message))]
    assert ours == []


def _is_about_connections(message: str) -> bool:
    return any(word in message for word in ("asyncpg", "never awaited", "event loop", "transport", "unclosed <socket"))


def backends(database: PostgreSQLDatabase) -> Sequence[tuple[int, str]]:
    """Process and state of the program's connections."""
    return database.fetch(
        "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'migration-assets' AND datname = %s",
        database.database,
    )


def _until_none(look: Callable[[], Sequence[object]]) -> Sequence[object]:
    """What is still there after the server had a while to notice."""
    deadline = time.monotonic() + 15
    while (found := look()) and time.monotonic() < deadline:
        pass
    return found


def opened(source: PostgreSQLSource, database: str) -> AbstractContextManager[Snapshot]:
    return source.open_snapshot(TableName(database, "public", "t"), strict=False)


def read(source: PostgreSQLSource, database: str, query: str, columns: Sequence[ReadColumn] = COLUMNS) -> pa.Table:
    with opened(source, database) as snapshot:
        reader = snapshot.open_reader()
        try:
            return pa.concat_tables(list(reader.read(query, columns)))
        finally:
            reader.close()


# -- reading ------------------------------------------------------------------------------------


def test_rows_come_in_blocks_of_whole_rows(source: PostgreSQLSource, name: str) -> None:
    query = "SELECT i, repeat('ż', i % 3000) FROM generate_series(1, 20000) i"
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        blocks = list(reader.read(query, COLUMNS))
        rows = reader.source_rows
        reader.close()

    assert len(blocks) > 5
    assert max(block.nbytes for block in blocks) < 2 * postgresql_readers.BLOCK_BYTES
    table = pa.concat_tables(blocks)
    assert table.column(0).to_pylist() == list(range(1, 20001))
    assert table.column(1).to_pylist()[2999:3002] == ["", "ż", "żż"]
    assert rows == 20000


def test_one_reader_reads_one_query_after_another(source: PostgreSQLSource, name: str) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        counts = []
        for number in (3, 0, 5):
            tables = list(reader.read(f"SELECT i, 'x' FROM generate_series(1, {number}) i", COLUMNS))
            counts.append((sum(table.num_rows for table in tables), reader.source_rows))
        reader.close()

    assert counts == [(3, 3), (0, 0), (5, 5)]


def test_all_readers_of_a_snapshot_see_one_state(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    postgresql_database.execute("CREATE TABLE t AS SELECT i, 'old' AS t FROM generate_series(1, 100) i")
    with opened(source, name) as snapshot:
        first = snapshot.open_reader()
        postgresql_database.execute(
            "INSERT INTO t VALUES (0, 'new'); UPDATE t SET t = 'new'; DELETE FROM t WHERE i < 9"
        )
        second = snapshot.open_reader()
        seen = [pa.concat_tables(list(reader.read("SELECT i, t FROM t", COLUMNS))) for reader in (first, second)]
        counted = snapshot.query("SELECT count(*) AS rows FROM t WHERE t = 'old'")
        for reader in (first, second):
            reader.close()

    assert [table.num_rows for table in seen] == [100, 100]
    assert {text for table in seen for text in table.column(1).to_pylist()} == {"old"}
    assert [dict(row) for row in counted] == [{"rows": 100}]


def test_a_snapshot_has_the_name_of_its_state(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    names = []
    for statement in ("SELECT 1", "CREATE TABLE t ()"):
        postgresql_database.execute(statement)
        for _ in range(2):
            with opened(source, name) as snapshot:
                names.append(snapshot.identity)
                assert snapshot.age_seconds < 60

    assert names[0] == names[1] != names[2] == names[3]


def test_the_source_can_not_be_written(source: PostgreSQLSource, name: str) -> None:
    with source.connect(name) as run, pytest.raises(SourceError, match="read-only transaction"):
        run("CREATE TABLE t ()")
    with opened(source, name) as snapshot, pytest.raises(SourceError, match="read-only transaction"):
        snapshot.query("CREATE TABLE t ()")


def test_a_server_is_reached_through_its_socket(
    postgresql_server: PostgreSQLServer, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    source = source_of(postgresql_database, host=str(postgresql_server.socket_directory), sslmode="prefer")

    assert read(source, name, "SELECT 1, 'x'").num_rows == 1


def test_rows_come_whole_through_tls(
    postgresql_database: PostgreSQLDatabase, name: str, tmp_path: Path, source: PostgreSQLSource
) -> None:
    query = "SELECT i, repeat(md5(i::text), 1 + i % 20) FROM generate_series(1, 60000) i"
    plain = read(source, name, query)
    with tls_proxy((postgresql_database.host, postgresql_database.port), tmp_path) as port:
        encrypted = source_of(postgresql_database, port=port, sslmode="require", copy_format=source.copy_format)
        assert read(encrypted, name, query).equals(plain)
        with opened(encrypted, name) as snapshot:
            reader = snapshot.open_reader()
            rows = reader.read(ENDLESS, COLUMNS)
            next(rows)
            reader.close()
            with pytest.raises(TransientSourceError):
                list(rows)
            assert _until_none(lambda: active(postgresql_database)) == []
    assert plain.num_rows == 60_000


def test_a_dead_network_is_noticed(source: PostgreSQLSource, name: str) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        assert isinstance(reader, postgresql_readers._PostgreSQLReader)
        assert reader._connection is not None
        sock = reader._connection._transport.get_extra_info("socket")
        kept_alive = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        reader.close()

    assert kept_alive


def test_text_of_a_database_without_encoding_is_checked(postgresql_database: PostgreSQLDatabase) -> None:
    postgresql_database.execute(
        "CREATE DATABASE raw ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    try:
        raw = PostgreSQLDatabase(
            postgresql_database.host,
            postgresql_database.port,
            postgresql_database.username,
            postgresql_database.password,
            "raw",
        )
        raw.execute(
            r"CREATE TABLE t (i int, t text); INSERT INTO t VALUES (1, convert_from('\xc5bc'::bytea, 'SQL_ASCII'))"
        )
        source = source_of(raw)
        assert read(source, "raw", "SELECT i, t FROM t").column(1).to_pylist() == ["ż"]

        raw.execute(r"INSERT INTO t VALUES (2, convert_from('\x61ff'::bytea, 'SQL_ASCII'))")
        with pytest.raises(SourceError, match='invalid byte sequence for encoding "UTF8": 0xff'):
            read(source, "raw", "SELECT i, t FROM t")
    finally:
        postgresql_database.execute("DROP DATABASE raw WITH (FORCE)")


# -- errors -------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_with_the_variables_and_without_the_password(
    postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    source = source_of(postgresql_database, password="canary-secret")

    with pytest.raises(SourceError) as caught, source.connect(name):
        pass

    message = str(caught.value)
    assert "password authentication failed" in message
    assert "SOURCE_POSTGRESQL_HOST, _PORT, _USERNAME, _PASSWORD" in message
    assert "canary" not in message
    assert "canary" not in repr(caught.value.__context__)


@pytest.mark.parametrize("changes", [{"port": 1}, {"host": "no-such-host.invalid"}, {"host": "/no/such/folder"}])
def test_a_server_that_is_not_there_is_a_fault_that_may_pass(
    postgresql_database: PostgreSQLDatabase, name: str, changes: dict[str, object]
) -> None:
    source = source_of(postgresql_database, **changes)

    with pytest.raises(TransientSourceError, match="can't connect to PostgreSQL at"), opened(source, name):
        pass


def test_a_query_that_the_server_refuses_is_an_error_of_the_source(source: PostgreSQLSource, name: str) -> None:
    with pytest.raises(SourceError, match='relation "nowhere" does not exist') as caught:
        read(source, name, "SELECT i, t FROM nowhere")

    assert not isinstance(caught.value, TransientSourceError)


def test_a_query_that_fails_in_the_middle_is_an_error_of_the_source(source: PostgreSQLSource, name: str) -> None:
    query = "SELECT 1 / (100000 - i), repeat('x', 500) FROM generate_series(1, 200000) i"

    with pytest.raises(SourceError, match="division by zero"):
        read(source, name, query)


def test_a_value_that_does_not_fit_is_explained(source: PostgreSQLSource, name: str) -> None:
    columns = [column("day", types.DATE, "date")]

    with pytest.raises(SourceError, match=r"Column 'day' \(date\) holds 'infinity'.*VARCHAR"):
        read(source, name, "SELECT d FROM (VALUES (date '2000-01-01'), ('infinity')) AS v(d)", columns)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("date 'infinity'", "infinity"),
        ("date '-infinity'", "-infinity"),
        ("date '0044-03-15 BC'", "0044-03-15 BC"),
        ("date '10000-01-01'", "10000-01-01"),
        ("date '9999-12-31'", date(9999, 12, 31)),
        ("date '0001-01-01'", date(1, 1, 1)),
        ("NULL::date", None),
        ("timestamp 'infinity'", "infinity"),
        ("timestamp '-infinity'", "-infinity"),
        ("timestamp '0044-03-15 12:30 BC'", "0044-03-15 12:30:00 BC"),
        ("timestamp '294276-12-31 23:59:59.999999'", "294276-12-31 23:59:59.999999"),
        ("timestamp '9999-12-31 23:59:59.999999'", datetime(9999, 12, 31, 23, 59, 59, 999_999)),  # noqa: DTZ001
        ("timestamptz 'infinity'", "infinity"),
        ("timestamptz '-infinity'", "-infinity"),
        ("timestamptz '0044-03-15 12:30+00 BC'", "0044-03-15 12:30:00+00 BC"),
        ("timestamptz '10000-01-01 00:00:00.5+00'", "10000-01-01 00:00:00.5+00"),
        ("timestamptz '0001-01-01 00:00+00'", datetime(1, 1, 1, tzinfo=timezone.utc)),
        ("NULL::timestamptz", None),
    ],
)
def test_a_date_beyond_python_s_calendar_is_its_text(
    postgresql_database: PostgreSQLDatabase, name: str, value: str, expected: object
) -> None:
    source = source_of(postgresql_database)
    with opened(source, name) as snapshot, source.connect(name) as run:
        found = [ask(f"SELECT {value} AS found")[0]["found"] for ask in (snapshot.query, run)]

    assert found == [expected, expected]


def test_a_value_that_python_has_no_object_for_is_an_error_of_the_source(source: PostgreSQLSource, name: str) -> None:
    with opened(source, name) as snapshot, pytest.raises(SourceError, match="year -44 is out of range"):
        snapshot.query("SELECT ARRAY[date '0044-03-15 BC'] AS days")


def test_a_column_that_has_another_type_by_now_is_an_error_of_the_source(
    postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    if not copy_binary.is_available():
        pytest.skip("the decoder of binary COPY needs a C compiler when the package is installed")
    with pytest.raises(SourceError, match="'i' was planned as integer, and the source sends another type"):
        read(source_of(postgresql_database, copy_format="binary"), name, "SELECT now(), 'x'")


def test_both_formats_are_there_or_the_reason_is_told(
    postgresql_database: PostgreSQLDatabase, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_binary, "is_available", lambda: False)
    automatic = source_of(postgresql_database)

    assert "COPY as CSV over 2 connections, because the decoder" in automatic.reading
    assert "apt-get install gcc" in automatic.reading
    assert read(automatic, name, "SELECT 1, 'x'").to_pylist() == [{"i": 1, "t": "x"}]
    with pytest.raises(SourceError, match="COPY_FORMAT is binary, but its decoder was not compiled"):
        read(source_of(postgresql_database, copy_format="binary"), name, "SELECT 1, 'x'")


def test_a_snapshot_survives_a_query_that_fails(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    postgresql_database.execute("CREATE TABLE t AS SELECT 1 AS i, 'old' AS t")
    with opened(source, name) as snapshot:
        postgresql_database.execute("UPDATE t SET t = 'new'")
        for _ in range(2):
            with pytest.raises(SourceError, match="division by zero"):
                snapshot.query("SELECT 1 / 0")
        reader = snapshot.open_reader()
        (table,) = reader.read("SELECT i, t FROM t", COLUMNS)
        reader.close()
        rows = [dict(row) for row in snapshot.query("SELECT t FROM t")]

    assert table.column(1).to_pylist() == ["old"]
    assert rows == [{"t": "old"}]


def test_a_query_of_another_thread_is_broken_off(source: PostgreSQLSource, name: str) -> None:
    caught: list[Exception] = []

    with opened(source, name) as snapshot:

        def ask() -> None:
            try:
                snapshot.query("SELECT pg_sleep(600)")
            except SourceError as error:
                caught.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        while asking.is_alive():
            snapshot.cancel_query()
            asking.join(0.01)
        snapshot.cancel_query()
        rows = [dict(row) for row in snapshot.query("SELECT 1 AS one")]

    assert "canceling statement" in str(caught[0])
    assert rows == [{"one": 1}]


# -- connections that end -----------------------------------------------------------------------


def test_closing_while_rows_flow_ends_the_server_s_work(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        rows = reader.read(ENDLESS, COLUMNS)
        next(rows)
        begun = time.monotonic()
        reader.close()
        assert time.monotonic() - begun < 5
        with pytest.raises(TransientSourceError, match="was closed during a read"):
            list(rows)
        assert _until_none(lambda: active(postgresql_database)) == []


def test_closing_while_the_server_is_silent_ends_its_work(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        closing = threading.Thread(target=_close_when_active, args=(reader, postgresql_database))
        closing.start()
        with pytest.raises(TransientSourceError, match="was closed during a read"):
            list(reader.read(SILENT, COLUMNS))
        closing.join()
        assert _until_none(lambda: active(postgresql_database)) == []


def _close_when_active(reader: Reader, database: PostgreSQLDatabase) -> None:
    while not active(database):
        pass
    reader.close()


def active(database: PostgreSQLDatabase) -> list[int]:
    """Processes that work for the program."""
    return [pid for pid, state in backends(database) if state == "active"]


def test_a_reader_that_is_dropped_in_the_middle_ends_its_connection(source: PostgreSQLSource, name: str) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        rows = reader.read(ENDLESS, COLUMNS)
        next(rows)
        rows.close()  # type: ignore[attr-defined]


def test_closing_may_be_repeated(source: PostgreSQLSource, name: str) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        for _ in range(3):
            reader.close()


def test_a_backend_that_is_ended_in_the_middle_is_a_fault_that_may_pass(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        rows = reader.read(ENDLESS, COLUMNS)
        next(rows)
        (pid,) = active(postgresql_database)
        postgresql_database.execute("SELECT pg_terminate_backend(%s)", pid)
        with pytest.raises(TransientSourceError):
            list(rows)
        again = snapshot.open_reader()
        count = sum(table.num_rows for table in again.read("SELECT 1, 'x'", COLUMNS))
        again.close()

    assert count == 1


def test_a_snapshot_whose_connection_is_lost_can_not_be_joined(
    source: PostgreSQLSource, postgresql_database: PostgreSQLDatabase, name: str
) -> None:
    with opened(source, name) as snapshot:
        reader = snapshot.open_reader()
        (snapshots_own,) = postgresql_database.fetch(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'ROLLBACK TO%%' AND datname = %s", name
        )
        postgresql_database.execute("SELECT pg_terminate_backend(%s, 10000)", snapshots_own[0])
        count = sum(table.num_rows for table in reader.read("SELECT 1, 'x'", COLUMNS))
        reader.close()
        with pytest.raises(SnapshotLostError, match="doesn't hold the snapshot any more"):
            snapshot.open_reader()
        with pytest.raises(TransientSourceError):
            snapshot.query("SELECT 1")

    assert count == 1
