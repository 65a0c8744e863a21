"""What SQL Server and its drivers say when something fails, as this program's errors with cause and cure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from migration_assets.resources.sources.base import SourceError, TransientSourceError

_SETTINGS = "SOURCE_SQLSERVER_HOST, _PORT, _INSTANCE, _USERNAME, _PASSWORD, _AUTHENTICATION and _ENCRYPT"

_ADVICE: Mapping[int, str] = {
    18456: "the server refused the login: check SOURCE_SQLSERVER_USERNAME, _PASSWORD and _AUTHENTICATION (it is not "
    "tried again, since servers lock accounts)",
    18452: "the server doesn't take this kind of login: check SOURCE_SQLSERVER_AUTHENTICATION",
    18470: "the login is disabled: ALTER LOGIN … ENABLE",
    18486: "the login is locked: ALTER LOGIN … WITH PASSWORD = … UNLOCK",
    18487: "the login's password has expired",
    18488: "the login's password must be changed first",
    4060: "there is no such database, or the login may not open it: check source_database_name, and CREATE USER … FOR "
    "LOGIN in the database",
    911: "there is no such database: check source_database_name",
    916: "the login may not open the database: CREATE USER … FOR LOGIN … in it",
    229: "the login may not read it: GRANT SELECT ON it",
    230: "the login may not read one of its columns: GRANT SELECT ON it, or leave the column out",
    208: "it is not there (any more), or the login may not see it: plan the table again",
    207: "a column is not there (any more): plan the table again",
    41332: "a memory-optimized table can't be read while its database has ALLOW_SNAPSHOT_ISOLATION ON: read a copy",
    3952: "ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON, and wait until no old transaction is left",
}
"""By number: faults that another attempt doesn't heal."""

_TRANSIENT_ADVICE: Mapping[int, str] = {
    1205: "the server chose this query as the victim of a deadlock",
    1222: "a writer holds a lock on the rows for longer than SOURCE_SQLSERVER_LOCK_TIMEOUT_SECONDS: look for its "
    "transaction in sys.dm_tran_locks, or SET ALLOW_SNAPSHOT_ISOLATION ON, so that readers wait for nobody",
    3956: "a statement needs another snapshot than the transaction has",
    3957: "the database didn't exist in this form when the snapshot began",
    3958: "the row versions of the snapshot are gone: tempdb was too small for them",
    3959: "tempdb has no room for row versions: make it larger, or partitions smaller",
    3960: "the snapshot conflicts with a change",
    3961: "the table's definition was changed since the snapshot began",
    3966: "the row versions of the snapshot are gone: tempdb was too small for them",
    3967: "tempdb has no room for row versions: make it larger, or partitions smaller",
    1105: "a filegroup of the server (tempdb, if it names it) is full: make room there",
    9002: "a log of the server is full: make room there",
    701: "the server has too little memory just now",
    8645: "the server has too little memory just now",
    8651: "the server has too little memory just now",
    10928: "Azure's limit of requests: fewer SOURCE_SQLSERVER_THREADS, or a larger service tier",
    10929: "Azure's limit of requests: fewer SOURCE_SQLSERVER_THREADS, or a larger service tier",
    10936: "Azure's limit of requests: fewer SOURCE_SQLSERVER_THREADS, or a larger service tier",
    40197: "Azure is moving the database",
    40501: "Azure's service is busy: fewer SOURCE_SQLSERVER_THREADS, SOURCE_SQLSERVER_MAX_ROWS_PER_SECOND, or a larger "
    "service tier",
    40540: "Azure is moving the database",
    40613: "Azure's database is not available just now",
    49918: "Azure has too little room for the request just now",
    49919: "Azure has too many operations just now",
    49920: "Azure has too many operations just now",
    4221: "the secondary replica waits for row versions of older transactions",
    983: "the availability group's replica is changing its role",
    976: "the database is on a replica that may not be read just now",
    615: "the database was recovered meanwhile",
    6005: "the server is shutting down",
    596: "the session was killed",
    17142: "the server is paused",
    17187: "the server is starting",
    18401: "the server is starting",
    18451: "the server is shutting down",
}
"""By number: faults that may be gone at the next attempt."""

_LOST_STATES = ("08001", "08003", "08007", "08S01", "08S02", "01002", "HYT00", "HYT01", "40001", "HY117")
"""SQLSTATEs of a connection that is not made, broken, or too slow."""

_LOST_NUMBERS = frozenset({10053, 10054, 10060, 10061, 11001, 104, 110, 111, 113, 32, 64, 121, 232, 233, 258})
"""What the systems' networks and Microsoft's driver say of a lost connection."""

_CERTIFICATE = re.compile(r"certificate verify failed|certificate chain|self-signed|SSL Provider", re.IGNORECASE)
_NO_DRIVER = re.compile(r"Can't open lib|Data source name not found", re.IGNORECASE)
_ARROW_ODBC = re.compile(r"State: (\w{5}), Native error: (-?\d+), Message: (.*)", re.DOTALL)
_PYODBC_NUMBER = re.compile(r"\((-?\d+)\) \(SQL\w+\)")
_PREFIX = re.compile(r"^(\[[^\]]*\]\s*)+")


class OdbcFault:
    """A driver's error in parts.

    Attributes:
        state: SQLSTATE.
        number: the server's, or the system's; 0 without one.
        text: the first line of what was said.
    """

    def __init__(self, error: Exception) -> None:
        arguments = getattr(error, "args", ())
        if found := _ARROW_ODBC.search(str(error)):
            self.state, number, text = found.groups()
            self.number = int(number)
        elif len(arguments) > 1:
            self.state, text = (str(argument) for argument in arguments[:2])
            numbers = _PYODBC_NUMBER.findall(text)
            self.number = int(numbers[0]) if numbers else 0
            text = re.split(r" \(-?\d+\) \(SQL\w+\)", text)[0]
        else:
            self.state, self.number, text = "", 0, str(error)
        lines = _PREFIX.sub("", text.strip()).splitlines()
        self.text = lines[0].strip() if lines else type(error).__name__

    @property
    def is_lost(self) -> bool:
        """Whether the connection is, or was never made."""
        # The server's own numbers for a wrong statement are those of a network's faults, too.
        return self.state in _LOST_STATES or (self.number in _LOST_NUMBERS and not self.state.startswith("42"))


def login_error(error: Exception, place: str, database: str) -> SourceError:
    """A connection that could not be made."""
    fault = OdbcFault(error)
    told = f"can't connect to SQL Server at {place}, database {database}: {fault.text}"
    if fault.number in _ADVICE:
        return SourceError(f"{told}. That is: {_ADVICE[fault.number]}.")
    if _NO_DRIVER.search(fault.text):
        return SourceError(f"{told}. The ODBC manager can't load the driver: check SOURCE_SQLSERVER_DRIVER.")
    if _CERTIFICATE.search(fault.text):
        return SourceError(
            f"{told}. The server's certificate is not trusted: give the machine its authority's certificate, or, where "
            "the network is trusted, set SOURCE_SQLSERVER_TRUST_SERVER_CERTIFICATE=yes."
        )
    if fault.number in _TRANSIENT_ADVICE:
        return TransientSourceError(f"{told}. That is: {_TRANSIENT_ADVICE[fault.number]}.")
    if fault.is_lost or not fault.state:
        return TransientSourceError(f"{told}. Check {_SETTINGS}.")
    return SourceError(f"{told}. Check {_SETTINGS}.")


def query_error(error: Exception) -> SourceError:
    """A statement that failed."""
    fault = OdbcFault(error)
    if fault.number in _TRANSIENT_ADVICE:
        return TransientSourceError(f"SQL Server broke off: {fault.text} ({_TRANSIENT_ADVICE[fault.number]})")
    if fault.number in _ADVICE:
        return SourceError(f"SQL Server refused the query: {fault.text} ({_ADVICE[fault.number]})")
    if fault.is_lost:
        return TransientSourceError(f"SQL Server broke off: {fault.text}")
    return SourceError(f"SQL Server refused the query: {fault.text}")
