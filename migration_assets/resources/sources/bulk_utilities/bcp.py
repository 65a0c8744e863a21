"""bcp, the bulk copy program of SQL Server (package mssql-tools18; version 17 with fewer options).

Its wide character format (`-w`) is the only one that is the same everywhere: `-c` depends on the locale of the
machine, code pages (`-C`) are for Windows only, and native columns have prefixes that depend on what may be NULL.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from migration_assets.platforms.base import ReadColumn
from migration_assets.platforms.sqlserver import bulk_text
from migration_assets.resources.sources.base import SourceError, TransientSourceError
from migration_assets.resources.sources.bulk_utilities.base import (
    BulkOptions,
    BulkSample,
    BulkUtility,
)
from migration_assets.resources.sources.bulk_utilities.delimited_text import DelimitedText
from migration_assets.resources.sources.sqlserver_errors import login_error, query_error
from migration_assets.resources.sources.sqlserver_login import SQLServerLogin

USUAL_PLACES = ("/opt/mssql-tools18/bin",)
"""Where the package puts the program; it doesn't add the folder to PATH."""

LONGEST_ARGUMENT = 128 * 1024 - 1
"""Bytes of one argument that Linux takes."""

FIRST_WITH_ENCRYPTION = 18
"""The version from which on encryption is an option and on by default."""

# What a program needs of its surroundings: to find itself and its libraries, Kerberos, a managed identity.
_PASSED = re.compile(r"PATH|HOME|USER|LOGNAME|TMPDIR|TZ|LD_LIBRARY_PATH|(KRB5|ODBC|SSL_CERT|IDENTITY_|MSI_).*")

_ROWS = re.compile(r"^(\d+) rows copied\.", re.MULTILINE)
_MESSAGE = re.compile(r"SQLState = (\w+), NativeError = (-?\d+)\s+Error = (.*?)\s*(?=^SQLState|^\s*$|\Z)", re.M | re.S)
_SENDER = re.compile(r"^(\[[^]]*\])+")

_BEGINS = "Starting copy"
"""What it says when it has logged in."""

_ENCRYPTION = {"no": "o", "yes": "m", "strict": "s"}
"""optional, mandatory, strict"""

_PASSWORDS = ("sql", "entra-password")
"""The ways of logging in with a password that is asked for."""


class BcpOptions(BulkOptions):
    """Options of bcp: `SOURCE_SQLSERVER_BCP_` and the name in upper case."""

    path: str = Field(default="bcp", min_length=1)
    """The executable: a path, or a name to search in PATH."""
    version: int = Field(default=18, ge=17, le=18)
    """The tools' major version. 17 has no options for encryption: name a DSN for it."""
    dsn: str | None = Field(default=None, min_length=1)
    """A data source of odbc.ini to connect to instead of the host, for what bcp has no option for."""
    packet_size: int | None = Field(default=None, ge=4096, le=65535)
    """Bytes of a network packet."""
    field_terminator: str = Field(default="\x02\x1f", min_length=1, max_length=10)
    """Ends fields. `\\xNN` is the character of that number."""
    row_terminator: str = Field(default="\x03\x1e", min_length=1, max_length=10)
    """Ends rows."""
    locale: str = Field(default="C.UTF-8", min_length=1)
    """A UTF-8 locale of this machine, in which bcp reads its arguments."""

    @field_validator("field_terminator", "row_terminator")
    @classmethod
    def _characters(cls, text: str) -> str:
        text = re.sub(r"\\x([0-9A-Fa-f]{2})", lambda match: chr(int(match.group(1), 16)), text)
        # bcp reads a backslash as the beginning of an escape, and puts a carriage return before a line feed.
        if not text.isascii() or set(text) & set("\\\r\n\0") or not any(character < " " for character in text):
            raise ValueError(
                "must be ASCII with at least one control character, such as \\x02\\x1f, without backslash, line break "
                "and character 0"
            )
        return text

    @model_validator(mode="after")
    def _apart(self) -> BcpOptions:
        one, other = self.field_terminator, self.row_terminator
        if (
            one in other
            or other in one
            or any(_overlap(*pair) for pair in ((one, one), (one, other), (other, one), (other, other)))
        ):
            raise ValueError(
                "field_terminator and row_terminator: neither may end with what one of them begins with, because the "
                "end of a value could be taken for a part of them"
            )
        return self


def _overlap(first: str, second: str) -> bool:
    """Whether the first can end with the second's beginning, short of the whole."""
    longest = min(len(first), len(second)) - (first == second)
    return any(first.endswith(second[:length]) for length in range(1, longest + 1))


class Bcp(BulkUtility):
    """bcp with its options."""

    name: ClassVar[str] = "bcp"
    platform: ClassVar[str] = "sqlserver"
    prompt: ClassVar[re.Pattern[bytes]] = re.compile(rb"password[^\n]*:\s*$", re.IGNORECASE)

    note: ClassVar[str] = (
        "every partition is one statement at READ COMMITTED, in a state of its own: rows that change meanwhile may be "
        "missed or come twice, as the checks then say"
    )
    Options: ClassVar[type[BulkOptions]] = BcpOptions

    def __init__(self, options: BulkOptions, login: object) -> None:
        assert isinstance(options, BcpOptions)
        assert isinstance(login, SQLServerLogin)
        self._options = options
        self._login = login

    @property
    def options(self) -> BcpOptions:
        return self._options

    def executable(self) -> Path:
        named = self._options.path
        found = shutil.which(named) or shutil.which(named, path=os.pathsep.join(USUAL_PLACES))
        if found is None:
            searched = "" if os.sep in named else f" in PATH and {', '.join(USUAL_PLACES)}"
            raise SourceError(
                f"bcp was not found: {named!r} is no program{searched}. Install it (on Debian and Ubuntu: apt-get "
                "install mssql-tools18, from Microsoft's package repository), or set SOURCE_SQLSERVER_BCP_PATH to it"
            )
        return Path(found).absolute()

    def check(self) -> None:
        options, login = self._options, self._login
        if options.dsn is not None:
            return
        cure = "in odbc.ini, name its entry in SOURCE_SQLSERVER_BCP_DSN"
        if options.version < FIRST_WITH_ENCRYPTION and login.encrypt != "no":
            raise SourceError(
                f"bcp {options.version} has no option for SOURCE_SQLSERVER_ENCRYPT={login.encrypt}: install "
                f"mssql-tools18, or say Encrypt=yes {cure}"
            )
        if login.multi_subnet_failover:
            raise SourceError(
                "bcp has no option for SOURCE_SQLSERVER_MULTI_SUBNET_FAILOVER: say MultiSubnetFailover=Yes " + cure
            )
        if login.authentication not in (*_PASSWORDS, "windows"):
            raise SourceError(
                f"bcp has no option for SOURCE_SQLSERVER_AUTHENTICATION={login.authentication}: say Authentication=… "
                f"{cure}"
            )

    def query(self, query: str, columns: Sequence[ReadColumn]) -> str:
        return bulk_text.text_query(query, columns)

    def sample(self, query: str) -> BulkSample:
        found = bulk_text.sample("".join(sorted({character for character in query if not character.isascii()})))
        expected = {
            column.name: pa.array([value], column.type.to_arrow())
            for column, value in zip(found.columns, found.values, strict=True)
        }
        return BulkSample(self.query(found.query, found.columns), found.columns, pa.table(expected))

    def arguments(self, query: str, output: Path) -> list[str]:
        size = len(query.encode())
        if size > LONGEST_ARGUMENT:
            raise SourceError(
                f"the query has {size:,} bytes, and bcp takes it as an argument, which may have {LONGEST_ARGUMENT:,}: "
                'move fewer columns, shorten the filter, or set "bulkUtility": "none" for the table'
            )
        return [query, "queryout", str(output), *self._format(), *self._connection(), *self._identity()]

    def _format(self) -> Iterator[str]:
        options = self._options
        yield from ("-w", f"-t{options.field_terminator}", f"-r{options.row_terminator}")
        # Names may stand in double quotes. A row that can't be written ends it all, instead of being passed over.
        yield from ("-q", "-m1")

    def _connection(self) -> Iterator[str]:
        options, login = self._options, self._login
        if options.dsn is not None:
            yield from ("-D", f"-S{options.dsn}")
        else:
            yield f"-S{login.host}\\{login.instance}" if login.instance else f"-S{login.host},{login.port}"
            if login.application_intent == "ReadOnly":
                yield "-KReadOnly"
            if options.version >= FIRST_WITH_ENCRYPTION:
                yield f"-Y{_ENCRYPTION[login.encrypt]}"
                if login.trust_server_certificate and login.encrypt != "strict":
                    yield "-u"
        yield from (f"-d{login.database}", f"-l{login.timeout_seconds}")
        if options.packet_size is not None:
            yield f"-a{options.packet_size}"

    def _identity(self) -> Iterator[str]:
        match self._login.authentication:
            case "windows":
                yield "-T"
            case "entra-password":
                yield from ("-G", f"-U{self._login.username}")
            case "sql":
                yield f"-U{self._login.username}"

    def environment(self) -> Mapping[str, str]:
        passed = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
        return {**passed, "LC_ALL": self._options.locale}

    @property
    def secret(self) -> str | None:
        return self._login.password if self._login.authentication in _PASSWORDS else None

    def decoder(self, columns: Sequence[ReadColumn]) -> DelimitedText:
        options = self._options
        return DelimitedText(
            columns,
            field_end=options.field_terminator,
            row_end=options.row_terminator,
            text_mark=bulk_text.TEXT_MARK,
        )

    def reported_rows(self, report: str) -> int | None:
        found = _ROWS.findall(report)
        return int(found[-1]) if found else None

    def failure(self, report: str, code: int) -> SourceError | None:
        messages = [(state, int(number), _SENDER.sub("", text)) for state, number, text in _MESSAGE.findall(report)]
        errors = [message for message in messages if not message[2].startswith("Warning:") and message[0] != "01000"]
        if errors:
            state, number, text = errors[0]
            # As the drivers' own errors are spelled.
            fault = Exception(f"State: {state}, Native error: {number}, Message: {' '.join(text.split())}")
            if _BEGINS not in report:
                return login_error(fault, f"{self._login.place} with bcp", self._login.database)
            return query_error(fault)
        if code < 0:
            return TransientSourceError(f"bcp was ended by signal {-code}")
        if code > 0:
            last = " ".join(report.split())[-500:]
            return SourceError(f"bcp ended with exit code {code}: {last or 'it says nothing'}")
        return None
