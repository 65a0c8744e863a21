"""Finds an ODBC driver for SQL Server, and says what to install where there is none."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from migration_assets.resources.sources.base import SourceError

MICROSOFT = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")
"""The names that Microsoft's packages register, best first."""

FREETDS = "FreeTDS"

_WHEEL = "mssql_python_odbc"
"""The package that carries Microsoft's driver as a file; `mssql-python` depends on it."""

_ON_DEBIAN = "apt-get install unixodbc libltdl7 libgssapi-krb5-2"
_ON_MACOS = "brew install unixodbc"
_INSTALL_WHEEL = "pip install 'migration-assets[sqlserver]'"


@dataclass(frozen=True)
class OdbcDriver:
    """A driver as connection strings name it.

    Attributes:
        name: its name in odbcinst.ini, or the path of its file.
        is_freetds: FreeTDS knows other keywords than Microsoft's driver.
    """

    name: str
    is_freetds: bool = False


def find_driver(wanted: str | None = None) -> OdbcDriver:
    """The driver that the user names, else the best one that is there.

    Args:
        wanted: its name in odbcinst.ini, or the path of its file.

    Raises:
        SourceError: there is none, or no ODBC manager; the text has the command that installs it.
    """
    registered = load_pyodbc().drivers()
    if wanted:
        return _named(wanted, registered)
    for name in MICROSOFT:
        if name in registered:
            return OdbcDriver(name)
    if file := wheel_driver():
        return OdbcDriver(str(file))
    if FREETDS in registered:
        return OdbcDriver(FREETDS, is_freetds=True)
    raise SourceError(
        f"there is no ODBC driver for SQL Server: {_INSTALL_WHEEL} brings Microsoft's driver 18 (or install "
        "Microsoft's package msodbcsql18, or FreeTDS: apt-get install tdsodbc, brew install freetds)"
    )


def _named(wanted: str, registered: list[str]) -> OdbcDriver:
    is_path = "/" in wanted or "\\" in wanted
    if is_path and not Path(wanted).is_file():
        raise SourceError(f"SOURCE_SQLSERVER_DRIVER names the file {wanted}, which is not there")
    if not is_path and wanted not in registered:
        known = ", ".join(registered) or "none"
        raise SourceError(
            f"SOURCE_SQLSERVER_DRIVER is {wanted!r}, and the ODBC manager knows {known}: use one of these, the path of "
            "a driver's file, or unset it"
        )
    return OdbcDriver(wanted, is_freetds="tdsodbc" in wanted.lower() or "freetds" in wanted.lower())


def wheel_driver() -> Path | None:
    """The file of Microsoft's driver in the installed package, whose name carries the version."""
    found = find_spec(_WHEEL)
    if found is None or not found.submodule_search_locations:
        return None
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform)
    if system is None:
        return None
    files = [
        file
        for place in found.submodule_search_locations
        for file in sorted(Path(place, "libs", system).glob("**/libmsodbcsql*"))
        if file.is_file() and _is_for_this_machine(file)
    ]
    return files[-1] if files else None


def _is_for_this_machine(file: Path) -> bool:
    """Whether the system's loader is likely to take it: the package has one for each kind of Linux and processor."""
    parts = file.parts
    machine = platform.machine().lower().replace("aarch64", "arm64").replace("amd64", "x86_64")
    if not ({machine, machine.replace("arm64", "aarch64"), "universal2"} & set(parts)) and sys.platform != "darwin":
        return False
    if sys.platform != "linux":
        return True
    families = {"alpine": Path("/etc/alpine-release").exists(), "debian_ubuntu": Path("/etc/debian_version").exists()}
    families["suse"] = Path("/etc/SUSE-brand").exists() or Path("/etc/SuSE-release").exists()
    families["rhel"] = not any(families.values())
    return any(here and family in parts for family, here in families.items())


def load_pyodbc() -> ModuleType:
    """pyodbc, which needs the ODBC manager's library when it is imported.

    Raises:
        SourceError: it is not there; the text has the command that installs it.
    """
    try:
        import pyodbc
    except ImportError as error:
        raise SourceError(_missing("pyodbc", error)) from None
    # A pooled connection is closed later than it is let go: its locks would stay, and its socket isn't a new one.
    pyodbc.pooling = False
    return pyodbc  # type: ignore[no-any-return]


def load_arrow_odbc() -> ModuleType:
    """arrow-odbc, which needs the ODBC manager's library when it is imported.

    Raises:
        SourceError: it is not there; the text has the command that installs it.
    """
    try:
        import arrow_odbc
    except (ImportError, OSError) as error:
        raise SourceError(_missing("arrow-odbc", error)) from None
    return arrow_odbc  # type: ignore[no-any-return]


def _missing(package: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{package} is not installed, which SQL Server needs: {_INSTALL_WHEEL}"
    return (
        f"{package} can't be loaded without the ODBC manager unixODBC ({error}): {_ON_DEBIAN} on Debian and Ubuntu, "
        f"{_ON_MACOS} on macOS; then {_INSTALL_WHEEL} brings the driver"
    )
