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
    BulkLogin,
    BulkOptions,
    BulkSample,
    BulkUtility,
)
from migration_assets.resources.sources.bulk_utilities.delimited_text import DelimitedText

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

# 08: the connection; HYT: a time limit; 40001: chosen as the victim of a deadlock.
_TRANSIENT = re.compile(r"08\w{3}|HYT0[01]|40001")
# Azure's: not available now, too busy, reconfigured.
_TRANSIENT_NUMBERS = frozenset({1205, 4060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920})

_LOGIN_CURE = "Check SOURCE_SQLSERVER_HOST, _PORT, _USERNAME, _PASSWORD and _AUTHENTICATION"


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

    def __init__(self, options: BulkOptions) -> None:
        assert isinstance(options, BcpOptions)
        self._options = options

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

    def check(self, login: BulkLogin) -> None:
        options = self._options
        if options.version < FIRST_WITH_ENCRYPTION and login.encryption != "optional" and options.dsn is None:
            raise SourceError(
                f"bcp {options.version} has no option for encryption ({login.encryption}): install mssql-tools18, or "
                "name a data source with Encrypt=yes in SOURCE_SQLSERVER_BCP_DSN"
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

    def arguments(self, query: str, output: Path, login: BulkLogin) -> list[str]:
        size = len(query.encode())
        if size > LONGEST_ARGUMENT:
            raise SourceError(
                f"the query has {size:,} bytes, and bcp takes it as an argument, which may have {LONGEST_ARGUMENT:,}: "
                'move fewer columns, shorten the filter, or set "bulkUtility": "none" for the table'
            )
        return [query, "queryout", str(output), *self._format(), *self._connection(login), *self._identity(login)]

    def _format(self) -> Iterator[str]:
        options = self._options
        yield from ("-w", f"-t{options.field_terminator}", f"-r{options.row_terminator}")
        # Names may stand in double quotes. A row that can't be written ends it all, instead of being passed over.
        yield from ("-q", "-m1")

    def _connection(self, login: BulkLogin) -> Iterator[str]:
        options = self._options
        if options.dsn is not None:
            yield from ("-D", f"-S{options.dsn}")
        else:
            place = f"\\{login.instance}" if login.instance else f",{login.port or 1433}"
            yield f"-S{login.host}{place}"
        yield from (f"-d{login.database}", f"-l{login.timeout_seconds}")
        if options.packet_size is not None:
            yield f"-a{options.packet_size}"
        if login.read_only:
            yield "-KReadOnly"
        if options.version >= FIRST_WITH_ENCRYPTION and options.dsn is None:
            yield f"-Y{login.encryption[0]}"
            if login.trust_server_certificate:
                yield "-u"

    def _identity(self, login: BulkLogin) -> Iterator[str]:
        match login.authentication:
            case "trusted":
                yield "-T"
            case "entra-integrated":
                yield "-G"
            case "entra-password":
                yield from ("-G", f"-U{login.username}")
            case _:
                yield f"-U{login.username}"

    def environment(self) -> Mapping[str, str]:
        passed = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
        return {**passed, "LC_ALL": self._options.locale}

    def secret(self, login: BulkLogin) -> str | None:
        return login.password if login.authentication in ("password", "entra-password") else None

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
            told = f"{' '.join(text.split())} (SQLSTATE {state}, error {number})"
            if _TRANSIENT.fullmatch(state) or number in _TRANSIENT_NUMBERS:
                return TransientSourceError(f"bcp broke off: {told}. {_LOGIN_CURE}, should it go on")
            if state == "28000":
                return SourceError(f"bcp was refused: {told}. {_LOGIN_CURE}")
            return SourceError(f"bcp failed: {told}")
        if code < 0:
            return TransientSourceError(f"bcp was ended by signal {-code}")
        if code > 0:
            last = " ".join(report.split())[-500:]
            return SourceError(f"bcp ended with exit code {code}: {last or 'it says nothing'}")
        return None
