"""bcp's options, arguments and reports. The program itself is not run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration_assets.resources.sources.base import SourceError, TransientSourceError
from migration_assets.resources.sources.bulk_utilities import (
    BULK_UTILITIES,
    BulkSettings,
    BulkUtility,
    options_from_environment,
)
from migration_assets.resources.sources.bulk_utilities.bcp import Bcp
from migration_assets.resources.sources.bulk_utilities.choice import parse_options
from migration_assets.resources.sources.sqlserver_login import SQLServerLogin
from migration_assets.workflow.source_platforms import BULK_UTILITIES as KNOWN_TO_WORKFLOWS
from migration_assets_tests.resources.bulk_copy.program import PASSWORD, sql_login


def bcp(login: SQLServerLogin | None = None, **options: str) -> BulkUtility:
    return Bcp(parse_options(Bcp, "sqlserver", options), login or sql_login())


def arguments(login: SQLServerLogin | None = None, **options: str) -> list[str]:
    return bcp(login, **options).arguments("SELECT 1", Path("/tmp/rows"))


def test_the_arguments_of_a_login_by_password_hold_no_password() -> None:
    assert arguments() == [
        "SELECT 1", "queryout", "/tmp/rows", "-w", "-t\x02\x1f", "-r\x03\x1e", "-q", "-m1", "-Sdb.example,1433", "-Ym",
        "-dshop", "-l15", "-Ureader",
    ]  # fmt: skip
    assert bcp().secret == PASSWORD


@pytest.mark.parametrize(
    ("settings", "options", "expected", "absent"),
    [
        ({"instance": "SALES"}, {}, ["-Sdb.example\\SALES"], ["-Sdb.example,1433"]),
        ({"encrypt": "no"}, {}, ["-Yo"], ["-u"]),
        ({"trust_server_certificate": True}, {}, ["-Ym", "-u"], []),
        ({"encrypt": "strict", "trust_server_certificate": True}, {}, ["-Ys"], ["-u"]),
        ({"application_intent": "ReadOnly"}, {}, ["-KReadOnly"], []),
        ({"timeout_seconds": 40}, {}, ["-l40"], []),
        ({"authentication": "windows"}, {}, ["-T"], ["-Ureader", "-G"]),
        ({"authentication": "entra-password"}, {}, ["-G", "-Ureader"], ["-T"]),
        ({"encrypt": "no"}, {"version": "17"}, [], ["-Yo", "-u"]),
        ({"authentication": "entra-managed-identity"}, {"dsn": "shop"}, ["-D", "-Sshop", "-dshop"], ["-G", "-Ym"]),
        ({"multi_subnet_failover": True}, {"dsn": "shop"}, ["-D", "-Sshop", "-Ureader"], ["-Sdb.example,1433"]),
        ({}, {"packet_size": "32767"}, ["-a32767"], []),
        ({}, {"field_terminator": "\\x01|", "row_terminator": "\\x04\\x05"}, ["-t\x01|", "-r\x04\x05"], []),
    ],
)
def test_settings_and_options_become_arguments(
    settings: dict[str, object], options: dict[str, str], expected: list[str], absent: list[str]
) -> None:
    utility = bcp(sql_login(**settings), **options)
    utility.check()
    found = utility.arguments("SELECT 1", Path("/tmp/rows"))

    assert set(expected) <= set(found)
    assert not set(absent) & set(found)
    assert not any(PASSWORD in argument for argument in found)


def test_only_a_password_is_asked_for() -> None:
    assert bcp(sql_login(authentication="windows")).secret is None
    assert bcp(sql_login(authentication="entra-managed-identity"), dsn="shop").secret is None
    assert bcp(sql_login(authentication="entra-password")).secret == PASSWORD


@pytest.mark.parametrize(
    ("settings", "options", "told"),
    [
        (
            {"encrypt": "yes"},
            {"version": "17"},
            "bcp 17 has no option for SOURCE_SQLSERVER_ENCRYPT=yes: install",
        ),
        (
            {"multi_subnet_failover": True},
            {},
            "MultiSubnetFailover=Yes in odbc.ini, name its entry in SOURCE_",
        ),
        (
            {"authentication": "entra-service-principal"},
            {},
            "AUTHENTICATION=entra-service-principal: say Auth",
        ),
    ],
)
def test_what_bcp_can_not_do_is_refused_with_a_cure(
    settings: dict[str, object], options: dict[str, str], told: str
) -> None:
    with pytest.raises(SourceError, match=told):
        bcp(sql_login(**settings), **options).check()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"packet_size": "100"}, "SOURCE_SQLSERVER_BCP_PACKET_SIZE: Input should be greater than or equal to 4096"),
        ({"packet_size": "big"}, "SOURCE_SQLSERVER_BCP_PACKET_SIZE: "),
        ({"version": "12"}, "SOURCE_SQLSERVER_BCP_VERSION: "),
        ({"output": "tape"}, "SOURCE_SQLSERVER_BCP_OUTPUT: Input should be 'pipe' or 'file'"),
        ({"colour": "red"}, "SOURCE_SQLSERVER_BCP_COLOUR: .*there are OUTPUT, DIRECTORY, PATH"),
        ({"field_terminator": "|"}, "SOURCE_SQLSERVER_BCP_FIELD_TERMINATOR: .*at least one control character"),
        ({"field_terminator": "\\t"}, "SOURCE_SQLSERVER_BCP_FIELD_TERMINATOR: "),
        ({"row_terminator": "\\x0a"}, "SOURCE_SQLSERVER_BCP_ROW_TERMINATOR: "),
        ({"row_terminator": "\\x02\\x1f"}, "neither may end with what one of them begins with"),
        ({"row_terminator": "\\x03x\\x03"}, "neither may end with what one of them begins with"),
        ({"row_terminator": "\\x1f\\x03"}, "neither may end with what one of them begins with"),
    ],
)
def test_a_wrong_option_names_its_variable(options: dict[str, str], told: str) -> None:
    with pytest.raises(SourceError, match=told):
        parse_options(Bcp, "sqlserver", options)


def test_options_come_from_variables_of_the_source() -> None:
    variables = {
        "SOURCE_SQLSERVER_BCP_PATH": "/opt/bcp",
        "SOURCE_SQLSERVER_BCP_PACKET_SIZE": "16384",
        "SOURCE_SQLSERVER_BCP_DSN": "",
        "SOURCE_SQLSERVER_HOST": "db.example",
        "SOURCE_POSTGRESQL_BCP_PATH": "/nowhere",
    }

    assert options_from_environment("sqlserver", variables) == {"bcp": {"path": "/opt/bcp", "packet_size": "16384"}}
    assert options_from_environment("postgresql", variables) == {}


def test_the_program_gets_no_secret_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_SQLSERVER_PASSWORD", PASSWORD)
    monkeypatch.setenv("KRB5CCNAME", "/run/ticket")

    found = bcp().environment()

    assert PASSWORD not in found.values()
    assert found["KRB5CCNAME"] == "/run/ticket"
    assert found["LC_ALL"] == "C.UTF-8"


def test_a_query_that_is_too_long_for_an_argument_is_refused_with_a_cure() -> None:
    with pytest.raises(SourceError, match=r'the query has 131,072 bytes.*"bulkUtility": "none"'):
        bcp().arguments("x" * 131_072, Path("/tmp/rows"))


def test_a_program_that_is_not_there_is_named_with_the_places_and_the_cure(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"'no-such-bcp' is no program in PATH and /opt/.*SOURCE_SQLSERVER_BCP_PATH"):
        bcp(path="no-such-bcp").executable()
    with pytest.raises(SourceError, match=rf"'{tmp_path}/bcp' is no program. Install it .*mssql-tools18"):
        bcp(path=f"{tmp_path}/bcp").executable()


_REPORT = """
Starting copy...
1000 rows successfully bulk-copied to host-file. Total received: 1000
SQLState = S1000, NativeError = 0
Error = [Microsoft][ODBC Driver 18 for SQL Server]Warning: BCP import with a format file will convert empty strings in \
delimited columns to NULL.

1234 rows copied.
Network packet size (bytes): 4096
Clock Time (ms.) Total     : 1      Average : (1234000.00 rows per sec.)
"""


def test_the_rows_of_a_report_are_those_copied() -> None:
    assert bcp().reported_rows(_REPORT) == 1234
    assert bcp().reported_rows("1234 Zeilen kopiert.") is None


def test_a_warning_is_no_failure() -> None:
    assert bcp().failure(_REPORT, 0) is None


def _told(state: str, number: int, text: str, *, begun: bool = True) -> str:
    start = "\nStarting copy...\n" if begun else ""
    return (
        f"{start}SQLState = {state}, NativeError = {number}\nError = [Microsoft][ODBC Driver 18 for SQL Server]{text}\n"
    )


@pytest.mark.parametrize(
    ("report", "code", "kind", "told"),
    [
        (_told("28000", 18456, "[SQL Server]Login failed for user 'reader'.", begun=False), 1, SourceError,
         "can't connect to SQL Server at db.example:1433 with bcp, database shop: Login failed .*_PASSWORD"),
        (_told("08001", 104, "TCP Provider: Error code 0x68", begun=False), 1, TransientSourceError, "TCP Provider"),
        (_told("08001", -1, "SSL Provider: [certificate verify failed]", begun=False), 1, SourceError, "_TRUST_"),
        (_told("08S01", 0, "Communication link failure"), 1, TransientSourceError, "Communication link failure"),
        (_told("40001", 1205, "[SQL Server]Transaction was deadlocked"), 1, TransientSourceError, "deadlock"),
        (_told("42S02", 208, "[SQL Server]Invalid object name 'dbo.t'."), 1, SourceError, "Invalid object.*plan"),
        (_told("S1000", 0, "Unable to open BCP host data-file"), 1, SourceError, "Unable to open BCP host data-file"),
        # A row that can't be written doesn't change the exit code.
        (_told("22001", 0, "String data, right truncation") + "\n5 rows copied.\n", 0, SourceError, "right truncation"),
        ("bcp: unknown option Y\nusage: bcp {dbtable | query}", 1, SourceError, "exit code 1: bcp: unknown option Y"),
        ("Starting copy...", -9, TransientSourceError, "bcp was ended by signal 9"),
        ("", 3, SourceError, "exit code 3: it says nothing"),
    ],
)  # fmt: skip
def test_a_failure_is_known_by_its_report_and_code(report: str, code: int, kind: type[SourceError], told: str) -> None:
    failure = bcp().failure(report, code)

    assert type(failure) is kind
    with pytest.raises(kind, match=told):
        raise failure


def test_workflows_know_every_utility() -> None:
    assert {name: utility.platform for name, utility in BULK_UTILITIES.items()} == KNOWN_TO_WORKFLOWS


def _settings(**settings: object) -> BulkSettings:
    return BulkSettings("sqlserver", options={"bcp": {"path": "/bin/sh"}}, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "asked", "megabytes", "strict", "chosen"),
    [
        ({}, None, 1000, False, False),
        ({}, "bcp", 0, False, True),
        ({"preferred": "bcp"}, None, 0, False, True),
        ({"preferred": "bcp"}, "none", 1000, False, False),
        ({"preferred": "bcp", "min_megabytes": 100}, None, 100, False, True),
        ({"preferred": "bcp", "min_megabytes": 100}, None, 99.9, False, False),
        ({"preferred": "bcp", "min_megabytes": 100}, "bcp", 1, False, True),
        ({"preferred": "bcp"}, None, 1000, True, False),
    ],
)
def test_the_table_s_wish_comes_first_and_the_size_second(
    settings: dict[str, object], asked: str | None, megabytes: float, strict: bool, chosen: bool
) -> None:
    found = _settings(**settings).choose(asked, int(megabytes * 1e6), sql_login(), strict=strict)

    assert (found is not None) == chosen


def test_an_unknown_utility_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(SourceError, match=r"'unload' is no bulk utility of sqlserver: .* known are bcp .of sqlserver."):
        _settings().choose("unload", 0, sql_login(), strict=False)
    with pytest.raises(SourceError, match=r"'bcp' is no bulk utility of postgresql"):
        BulkSettings("postgresql").choose("bcp", 0, sql_login(), strict=False)


def test_processes_can_not_share_a_state_so_strict_is_refused() -> None:
    with pytest.raises(SourceError, match=r'can\'t read with strict consistency.*"bulkUtility": "none"'):
        _settings().choose("bcp", 0, sql_login(), strict=True)
