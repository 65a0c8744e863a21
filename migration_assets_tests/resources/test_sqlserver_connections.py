"""SQL Server without a server: drivers, connection strings, errors, values, the speed limit."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pyarrow as pa
import pytest

from migration_assets.platforms import types
from migration_assets.platforms.base import ReadColumn, SourceColumn, TableName
from migration_assets.platforms.types import ColumnType, Kind
from migration_assets.resources.sources import sqlserver_drivers
from migration_assets.resources.sources.base import BadValueError, SourceError, TransientSourceError
from migration_assets.resources.sources.rate_limit import RateLimiter
from migration_assets.resources.sources.sqlserver import SQLServerSource
from migration_assets.resources.sources.sqlserver_columns import NulCounts, to_planned
from migration_assets.resources.sources.sqlserver_drivers import OdbcDriver, find_driver
from migration_assets.resources.sources.sqlserver_errors import login_error, query_error
from migration_assets.resources.sources.sqlserver_login import Authentication, escape
from migration_assets.resources.sources.sqlserver_readers import ReadRules, SQLServerReader
from migration_assets.resources.sources.sqlserver_rows import datetimeoffset_text
from migration_assets.resources.sources.sqlserver_sockets import _duplicate

DRIVER = OdbcDriver("ODBC Driver 18 for SQL Server")
FREETDS = OdbcDriver("FreeTDS", is_freetds=True)
PASSWORD = "canary;PWD={x}"


def source(**settings: object) -> SQLServerSource:
    known: dict[str, object] = {"host": "db.example", "username": "reader", "password": PASSWORD}
    return SQLServerSource(**{**known, **settings})  # type: ignore[arg-type]


def keywords(settings: Mapping[str, object], driver: OdbcDriver = DRIVER) -> dict[str, str]:
    """A connection string in parts, by the rules of ODBC."""
    text = source(**settings).login("sales").connection_string(driver)
    found = {}
    while text:
        name, _, text = text.partition("=")
        if text.startswith("{"):
            end = 1
            while text[end : end + 2] == "}}" or text[end] != "}":
                end += 2 if text[end : end + 2] == "}}" else 1
            found[name], text = text[1:end].replace("}}", "}"), text[end + 2 :]
        else:
            found[name], _, text = text.partition(";")
    return found


# -- connection strings -------------------------------------------------------------------------


def test_a_connection_is_encrypted_and_checks_the_certificate_unless_the_user_says_otherwise() -> None:
    assert keywords({}) == {
        "Driver": "ODBC Driver 18 for SQL Server",
        "Server": "db.example,1433",
        "Database": "sales",
        "APP": "migration-assets",
        "Encrypt": "yes",
        "ApplicationIntent": "ReadOnly",
        "ConnectRetryCount": "0",
        "TrustServerCertificate": "no",
        "UID": "reader",
        "PWD": PASSWORD,
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"instance": "PROD", "port": 1}, {"Server": "db.example\\PROD"}),
        ({"encrypt": "strict"}, {"Encrypt": "strict", "TrustServerCertificate": None}),
        ({"trust_server_certificate": True}, {"TrustServerCertificate": "yes"}),
        ({"multi_subnet_failover": True}, {"MultiSubnetFailover": "Yes"}),
        ({"application_intent": "ReadWrite"}, {"ApplicationIntent": "ReadWrite"}),
        ({"authentication": "windows"}, {"Trusted_Connection": "Yes", "UID": None, "PWD": None}),
        ({"authentication": "entra-password"}, {"Authentication": "ActiveDirectoryPassword", "UID": "reader"}),
        (
            {"authentication": "entra-service-principal"},
            {"Authentication": "ActiveDirectoryServicePrincipal", "PWD": PASSWORD},
        ),
        ({"authentication": "entra-managed-identity"}, {"Authentication": "ActiveDirectoryMsi", "PWD": None}),
        ({"authentication": "entra-managed-identity", "username": ""}, {"UID": None}),
    ],
)
def test_settings_become_keywords(settings: dict[str, object], expected: dict[str, str | None]) -> None:
    found = keywords(settings)

    assert {name: found.get(name) for name in expected} == expected


NASTY = ["a;b=c", "a}b{c}", " blank ends ", "x;PWD={y}", "}}", "{a}", "}", "", "ü'\"%s?", "a=b;Server=evil"]


@pytest.mark.parametrize("password", NASTY)
def test_a_password_stays_one_value_whatever_is_in_it(password: str) -> None:
    found = keywords({"password": password})

    assert (found["PWD"], found["Server"]) == (password, "db.example,1433")


def test_a_nul_character_is_refused_without_being_shown() -> None:
    with pytest.raises(SourceError, match="NUL character") as refused:
        escape("canary\0")
    assert "canary" not in str(refused.value)


def test_freetds_gets_the_keywords_that_it_knows() -> None:
    found = keywords({"trust_server_certificate": True}, FREETDS)

    assert (found["Server"], found["Port"], found["TDS_Version"], found["ClientCharset"]) == (
        "db.example",
        "1433",
        "7.4",
        "UTF-8",
    )
    assert found["Encryption"] == "require"


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"authentication": "entra-password"}, "install Microsoft's driver"),
        ({"authentication": "entra-managed-identity"}, "install Microsoft's driver"),
        ({"encrypt": "strict"}, "or use yes"),
        ({}, "SOURCE_SQLSERVER_TRUST_SERVER_CERTIFICATE=yes"),
    ],
)
def test_freetds_refuses_what_it_can_not_do(settings: dict[str, object], cure: str) -> None:
    with pytest.raises(SourceError, match="FreeTDS") as refused:
        keywords(settings, FREETDS)
    assert cure in str(refused.value)


@pytest.mark.parametrize("authentication", ["sql", "entra-password"])
def test_the_password_is_not_shown(authentication: Authentication) -> None:
    login = source(authentication=authentication).login("sales")

    assert "canary" not in repr(login) + repr(replace(login, host="other"))


# -- drivers ------------------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the ODBC manager knows; the package that carries a driver is not there."""
    names: list[str] = []

    class Manager:
        @staticmethod
        def drivers() -> list[str]:
            return names

    monkeypatch.setattr(sqlserver_drivers, "load_pyodbc", lambda: Manager)
    monkeypatch.setattr(sqlserver_drivers, "wheel_driver", lambda: None)
    return names


def test_the_newest_driver_of_microsoft_is_taken(registered: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    registered.append("FreeTDS")
    assert find_driver() == FREETDS
    monkeypatch.setattr(sqlserver_drivers, "wheel_driver", lambda: Path("/wheel/libmsodbcsql-18.so"))
    assert find_driver() == OdbcDriver("/wheel/libmsodbcsql-18.so")
    registered.append("ODBC Driver 17 for SQL Server")
    assert find_driver().name == "ODBC Driver 17 for SQL Server"
    registered.append("ODBC Driver 18 for SQL Server")
    assert find_driver() == DRIVER


def test_the_user_may_name_a_driver(registered: list[str], tmp_path: Path) -> None:
    registered += ["ODBC Driver 18 for SQL Server", "FreeTDS"]
    file = tmp_path / "libtdsodbc.so"
    file.touch()

    assert find_driver("FreeTDS") == FREETDS
    assert find_driver(str(file)) == OdbcDriver(str(file), is_freetds=True)
    with pytest.raises(SourceError, match="'Other', and the ODBC manager knows ODBC Driver 18 for SQL Server, FreeTDS"):
        find_driver("Other")
    with pytest.raises(SourceError, match="which is not there"):
        find_driver(str(tmp_path / "none.so"))


def test_without_a_driver_the_command_that_installs_one_is_named(registered: list[str]) -> None:
    with pytest.raises(SourceError, match=r"pip install 'migration-assets\[sqlserver\]'"):
        find_driver()
    assert "no driver" in source().reading


@pytest.mark.parametrize("package", ["pyodbc", "arrow_odbc"])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise ImportError('libodbc.so.2: cannot open shared object file')", "apt-get install unixodbc"),
        ("raise ModuleNotFoundError('no such module')", "pip install 'migration-assets[sqlserver]'"),
    ],
)
def test_a_missing_library_is_named_with_its_cure(package: str, code: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / f"{package}.py").write_text(code)
    program = (
        "from migration_assets.resources.sources import sqlserver_drivers as drivers\n"
        "from migration_assets.resources.sources.base import SourceError\n"
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        f"try: drivers.load_{package}()\n"
        "except SourceError as error: sys.stdout.write(str(error))\n"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert expected in told


def test_definitions_load_without_an_odbc_manager() -> None:
    program = (
        "import sys, migration_assets.definitions; sys.exit('pyodbc' in sys.modules or 'arrow_odbc' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)


# -- errors -------------------------------------------------------------------------------------


class DriverError(Exception):
    """As pyodbc raises it."""


def pyodbc_error(state: str, number: int, text: str, call: str = "SQLDriverConnect") -> DriverError:
    return DriverError(
        state, f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text} ({number}) ({call})"
    )


def arrow_odbc_error(state: str, number: int, text: str) -> DriverError:
    return DriverError(
        f"ODBC emitted an error calling 'SQLFetch':\nState: {state}, Native error: {number}, "
        f"Message: [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{text}"
    )


@pytest.mark.parametrize("error", [pyodbc_error, arrow_odbc_error])
@pytest.mark.parametrize(
    ("state", "number", "text", "kind", "cure"),
    [
        ("28000", 18456, "Login failed for user 'reader'.", SourceError, "SOURCE_SQLSERVER_USERNAME"),
        ("42000", 4060, 'Cannot open database "sales"', SourceError, "source_database_name"),
        (
            "08001",
            -1,
            "SSL Provider: certificate verify failed",
            SourceError,
            "SOURCE_SQLSERVER_TRUST_SERVER_CERTIFICATE",
        ),
        ("HYT00", 0, "Login timeout expired", TransientSourceError, "SOURCE_SQLSERVER_HOST"),
        ("08001", 10061, "TCP Provider: connection refused", TransientSourceError, "SOURCE_SQLSERVER_HOST"),
        ("42000", 40613, "Database is not currently available", TransientSourceError, "Azure"),
    ],
)
def test_a_login_that_fails_says_what_to_do(
    error: type[DriverError], state: str, number: int, text: str, kind: type[SourceError], cure: str
) -> None:
    found = login_error(error(state, number, text), "db.example:1433", "sales")

    assert type(found) is kind
    assert text in str(found)
    assert cure in str(found)


@pytest.mark.parametrize(
    ("state", "number", "kind", "cure"),
    [
        ("42000", 229, SourceError, "GRANT SELECT"),
        ("42S02", 208, SourceError, "plan the table again"),
        ("22012", 8134, SourceError, ""),
        ("40001", 1205, TransientSourceError, "deadlock"),
        ("42000", 1222, TransientSourceError, "SOURCE_SQLSERVER_LOCK_TIMEOUT_SECONDS"),
        ("42000", 3960, TransientSourceError, "snapshot"),
        ("42000", 3961, TransientSourceError, "definition was changed"),
        ("42000", 3967, TransientSourceError, "tempdb"),
        ("42000", 1105, TransientSourceError, "full"),
        ("42000", 40501, TransientSourceError, "SOURCE_SQLSERVER_MAX_ROWS_PER_SECOND"),
        ("42000", 10928, TransientSourceError, "SOURCE_SQLSERVER_THREADS"),
        ("08S01", 10054, TransientSourceError, ""),
        ("HYT00", 0, TransientSourceError, ""),
    ],
)
def test_a_statement_that_fails_is_retried_where_it_may_help(
    state: str, number: int, kind: type[SourceError], cure: str
) -> None:
    for error in (pyodbc_error(state, number, "Told.", "SQLExecDirectW"), arrow_odbc_error(state, number, "Told.")):
        found = query_error(error)
        assert type(found) is kind
        assert "Told." in str(found)
        assert cure in str(found)


# -- values -------------------------------------------------------------------------------------


def column(column_type: ColumnType, name: str = "c") -> ReadColumn:
    return ReadColumn(name, column_type, SourceColumn(name, "native", "native", nullable=True), name)


def planned(array: pa.Array, column_type: ColumnType) -> pa.ChunkedArray:
    batch = pa.record_batch([array], names=["from the driver"])
    return to_planned([batch, batch], [column(column_type)]).column("c")


@pytest.mark.parametrize(
    ("array", "column_type", "expected"),
    [
        (pa.array([255, None], pa.uint8()), types.integer(16), 255),
        (pa.array([b"ab", None], pa.binary(2)), types.BINARY, b"ab"),
        (pa.array(["6F9619FF-8B86", None]), types.UUID, "6f9619ff-8b86"),
        (pa.array([Decimal("1.2345"), None], pa.decimal128(19, 4)), types.decimal(38, 4), Decimal("1.2345")),
        (pa.array([1_000_000_000, None], pa.timestamp("ns")), types.temporal(Kind.TIMESTAMP), 1_000_000),
        (pa.array([7, None], pa.timestamp("s")), types.temporal(Kind.TIMESTAMP, 0), 7_000_000),
        (pa.array([7, None], pa.timestamp("us")), types.temporal(Kind.TIMESTAMP_TZ), 7),
        (pa.array([7000, None], pa.time64("ns")), types.temporal(Kind.TIME), 7),
    ],
)
def test_what_the_driver_gives_becomes_the_planned_type(
    array: pa.Array, column_type: ColumnType, expected: object
) -> None:
    found = planned(array, column_type)

    assert found.type == column_type.to_arrow()
    first = found.cast(pa.int64())[0] if pa.types.is_temporal(found.type) else found[0]
    assert (first.as_py(), found.null_count) == (expected, 2)


@pytest.mark.parametrize(
    ("array", "column_type", "value"),
    [
        (pa.array([1000, 1001], pa.timestamp("ns")), types.temporal(Kind.TIMESTAMP), "001001"),
        (pa.array([Decimal("1.00"), Decimal("1.01")], pa.decimal128(5, 2)), types.decimal(5, 1), "1.01"),
        (pa.array([1, 40_000], pa.int32()), types.integer(16), "40000"),
    ],
)
def test_a_value_that_would_lose_digits_is_named(array: pa.Array, column_type: ColumnType, value: str) -> None:
    with pytest.raises(BadValueError) as refused:
        planned(array, column_type)
    assert refused.value.value.endswith(value)


def test_nul_characters_are_counted_by_column() -> None:
    columns = [column(types.TEXT, "a"), column(types.integer(32), "n"), column(types.TEXT, "b")]
    counts = NulCounts(columns)
    table = pa.table({"a": ["x\0", None, "\0\0", ""], "n": [0, 0, 0, 0], "b": ["", "y", None, "z"]})
    counts.add(table)
    counts.add(table.slice(1, 2))
    counts.add(table.slice(3))

    assert counts.values == {"a": 3}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((2024, 1, 2, 3, 4, 5, 123_456_700, 5, 30), "2024-01-02 03:04:05.1234567 +05:30"),
        ((1, 1, 1, 0, 0, 0, 0, -5, -30), "0001-01-01 00:00:00.0000000 -05:30"),
        ((9999, 12, 31, 23, 59, 59, 999_999_900, 0, -30), "9999-12-31 23:59:59.9999999 -00:30"),
    ],
)
def test_a_datetimeoffset_is_told_with_all_digits_and_its_offset(value: tuple[int, ...], text: str) -> None:
    assert datetimeoffset_text(struct.pack("<6hI2h", *value)) == text


# -- speed limit --------------------------------------------------------------------------------


def test_rows_of_all_readers_share_one_rate() -> None:
    now = 0.0
    limiter = RateLimiter(1000, clock=lambda: now)

    assert [limiter.reserve(500), limiter.reserve(250), limiter.reserve(250)] == [0.5, 0.75, 1.0]
    now = 10.0
    assert limiter.reserve(100) == pytest.approx(0.1)


def test_who_waits_for_the_rate_can_be_stopped() -> None:
    stop = threading.Event()
    stop.set()

    RateLimiter(1).take(1_000_000, stop)
    RateLimiter(0).take(1_000_000, threading.Event())


# -- drivers that fail --------------------------------------------------------------------------


class StubOdbcError(Exception):
    """A driver's."""


class StubConnection:
    """Connects to nothing, and fails at every statement."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def add_output_converter(self, number: int, converter: object) -> None:
        pass

    def cursor(self) -> StubConnection:
        return self

    def close(self) -> None:
        pass

    def execute(self, statement: str) -> None:
        raise self.error

    def read_arrow_batches(self, statement: str, **options: object) -> None:
        raise self.error


def test_connections_are_not_pooled_and_one_that_is_lost_at_once_is_a_fault_that_may_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pyodbc = ModuleType("pyodbc")
    lost = StubOdbcError("08S01", "[08S01] [Microsoft] Communication link failure (0) (SQLExecDirectW)")
    stub = {"pooling": True, "Error": StubOdbcError, "drivers": lambda: [DRIVER.name]}
    vars(pyodbc).update(stub, connect=lambda text, **options: StubConnection(lost))
    monkeypatch.setitem(sys.modules, "pyodbc", pyodbc)

    with pytest.raises(TransientSourceError, match="Communication link failure"):
        source().open_connection("sales")
    assert pyodbc.pooling is False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_end_that_nobody_has_foreseen_is_not_that_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    arrow_odbc = ModuleType("arrow_odbc")
    stub = {"Error": StubOdbcError, "TextEncoding": SimpleNamespace(UTF16=1)}
    vars(arrow_odbc).update(stub, connect=lambda text, **options: StubConnection(MemoryError()))
    monkeypatch.setitem(sys.modules, "arrow_odbc", arrow_odbc)
    rules = ReadRules(
        table=TableName("sales", "dbo", "t"),
        hands_on_bytes=False,
        nul_characters="keep",
        limiter=RateLimiter(0),
        in_transaction=False,
        session=(),
    )
    reader = SQLServerReader(source().login("sales"), "", rules, lambda: None)

    with pytest.raises(SourceError, match="fault of this program"):
        list(reader.read("SELECT 1 AS c", [column(types.integer(32))]))


def test_a_descriptor_that_was_given_out_again_is_not_the_connection_s() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        status = os.fstat(client.fileno())
        found = _duplicate((client.fileno(), status.st_dev, status.st_ino))
        assert found is not None
        found.close()
        assert _duplicate((client.fileno(), status.st_dev, status.st_ino + 1)) is None
