"""Where and as whom to connect to SQL Server, as a connection string of ODBC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.sources.sqlserver_drivers import OdbcDriver

Authentication = Literal["sql", "windows", "entra-password", "entra-service-principal", "entra-managed-identity"]
Encryption = Literal["yes", "strict", "no"]
ApplicationIntent = Literal["ReadOnly", "ReadWrite"]

_ENTRA: Mapping[str, str] = {
    "entra-password": "ActiveDirectoryPassword",
    "entra-service-principal": "ActiveDirectoryServicePrincipal",
    "entra-managed-identity": "ActiveDirectoryMsi",
}
"""What Microsoft's driver calls them."""

APPLICATION = "migration-assets"
"""How sessions show in `sys.dm_exec_sessions`."""


@dataclass(frozen=True)
class SQLServerLogin:
    """Where and as whom to connect.

    Attributes:
        host: name or address.
        instance: of a named instance, whose port the server's browser service tells; `port` doesn't count then.
        trust_server_certificate: whether any certificate will do.
        multi_subnet_failover: tries all addresses of an availability group's listener at once.
    """

    host: str
    port: int
    instance: str
    username: str
    password: str = field(repr=False)
    database: str
    authentication: Authentication
    encrypt: Encryption
    trust_server_certificate: bool
    application_intent: ApplicationIntent
    multi_subnet_failover: bool
    timeout_seconds: int

    @property
    def place(self) -> str:
        """The server, for messages."""
        return f"{self.host}\\{self.instance}" if self.instance else f"{self.host}:{self.port}"

    def to(self, database: str) -> SQLServerLogin:
        """The same, to another database of the server."""
        return replace(self, database=database)

    def connection_string(self, driver: OdbcDriver) -> str:
        """The login in the driver's own keywords.

        Raises:
            SourceError: the driver can't do what is asked.
        """
        keywords = self._for_freetds() if driver.is_freetds else self._for_microsoft()
        return ";".join(f"{name}={escape(value)}" for name, value in {"Driver": driver.name, **keywords}.items())

    def _for_microsoft(self) -> dict[str, str]:
        server = f"{self.host}\\{self.instance}" if self.instance else f"{self.host},{self.port}"
        keywords = {
            "Server": server,
            "Database": self.database,
            "APP": APPLICATION,
            "Encrypt": self.encrypt,
            "ApplicationIntent": self.application_intent,
            # A connection that was made anew by the driver itself would have lost its transaction without a word.
            "ConnectRetryCount": "0",
        }
        # With `strict` a certificate is always checked, and the driver refuses the word.
        if self.encrypt != "strict":
            keywords["TrustServerCertificate"] = "yes" if self.trust_server_certificate else "no"
        if self.multi_subnet_failover:
            keywords["MultiSubnetFailover"] = "Yes"
        if self.authentication == "windows":
            return {**keywords, "Trusted_Connection": "Yes"}
        if entra := _ENTRA.get(self.authentication):
            keywords["Authentication"] = entra
        if self.username:
            keywords["UID"] = self.username
        if self.authentication != "entra-managed-identity":
            keywords["PWD"] = self.password
        return keywords

    def _for_freetds(self) -> dict[str, str]:
        if self.authentication in _ENTRA:
            raise SourceError(
                f"FreeTDS can't log in with SOURCE_SQLSERVER_AUTHENTICATION={self.authentication}: install Microsoft's "
                "driver (pip install 'migration-assets[sqlserver]'), or use sql"
            )
        if self.encrypt == "strict":
            raise SourceError(
                "FreeTDS has no SOURCE_SQLSERVER_ENCRYPT=strict: install Microsoft's driver "
                "(pip install 'migration-assets[sqlserver]'), or use yes"
            )
        if self.encrypt == "yes" and not self.trust_server_certificate:
            raise SourceError(
                "FreeTDS doesn't check the server's certificate: install Microsoft's driver "
                "(pip install 'migration-assets[sqlserver]'), or allow it with "
                "SOURCE_SQLSERVER_TRUST_SERVER_CERTIFICATE=yes"
            )
        keywords = {
            "Server": f"{self.host}\\{self.instance}" if self.instance else self.host,
            "Database": self.database,
            "APP": APPLICATION,
            "TDS_Version": "7.4",
            "ClientCharset": "UTF-8",
            "Encryption": "require" if self.encrypt == "yes" else "off",
            "ApplicationIntent": self.application_intent,
        }
        if not self.instance:
            keywords["Port"] = str(self.port)
        if self.authentication == "windows":
            return {**keywords, "Trusted_Connection": "Yes"}
        return {**keywords, "UID": self.username, "PWD": self.password}


def escape(value: str) -> str:
    """A value of a connection string: in braces, so that nothing in it is taken for another keyword.

    Rules of ODBC: in braces only `}` has a meaning, and is doubled.

    Raises:
        SourceError: it has a NUL character, which ends a connection string.
    """
    if "\0" in value:
        raise SourceError("a setting of SOURCE_SQLSERVER_* has a NUL character, which no connection string can hold")
    if value and all(character.isalnum() or character in "-_.,\\/:" for character in value):
        return value
    return "{" + value.replace("}", "}}") + "}"
