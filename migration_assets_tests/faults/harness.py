"""Cases of faults: a workflow that is hit in the middle, and run again.

Whatever happened, the run after it must end with the target equal to the source, with nothing doubled, nothing that was
finished extracted again, and nothing left over.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from migration_assets.instance import CONFIGURATION
from migration_assets_tests.faults.proxies import StoreFault, cutting_proxy, faulty_store
from migration_assets_tests.faults.workers import Process, Run, Workers
from migration_assets_tests.main_job import TARGET_DATABASE, TARGET_SCHEMA, table, write_workflow
from migration_assets_tests.servers import PostgreSQLDatabase, S3Bucket

ROWS = 1500
SMALL = {"columnNamesToPartitionBy": ["id"], "partitionSize": {"maxRowsPerPartition": 250}}
MERGED = {"strategy": "watermark", "watermarkColumn": "version", "trackModifications": True}
STRATEGIES: dict[str, dict[str, Any]] = {
    "none": {"synchronization": {"strategy": "none"}, **SMALL},
    "blocks": {"synchronization": {"strategy": "none"}},
    "checksum": {"synchronization": {"strategy": "checksum"}, **SMALL},
    "append": {"synchronization": {"strategy": "watermark", "watermarkColumn": "version"}, **SMALL},
    "merge": {"synchronization": MERGED, "primaryKeyColumns": ["id"], **SMALL},
    "deletions": {"synchronization": {**MERGED, "trackDeletions": True}, "primaryKeyColumns": ["id"], **SMALL},
}
BOUNDARIES = 85
"""About so many boundaries of operations a run has here; of a shorter one the last kills hit nothing."""

FAULTS = {
    "kill at a step": 46,
    "kill at a moment": 20,
    "cut connection": 10,
    "damaged file": 8,
    "two at once": 8,
    "full disk": 4,
    "store refuses": 2,
    "store truncates": 2,
}


@dataclass(frozen=True)
class Case:
    """One fault; everything of it follows from the seed.

    Attributes:
        first: the fault hits the first load; else the run after it.
    """

    seed: int
    strategy: str
    fault: str
    first: bool

    @classmethod
    def of(cls, seed: int) -> Case:
        """The case of a seed. Every fault comes in a hundred seeds as often as its weight says."""
        ordered = [name for name, weight in FAULTS.items() for _ in range(weight)]
        # A step that has no divisor in common with their number mixes them.
        fault = ordered[seed * 37 % len(ordered)]
        chosen = random.Random(seed)
        return cls(seed, chosen.choice(list(STRATEGIES)), fault, chosen.random() < 0.4)

    def __str__(self) -> str:
        return f"{self.seed}-{self.strategy}-{self.fault}-{'first' if self.first else 'next'}".replace(" ", "_")


@dataclass
class Field:
    """Where a case takes place."""

    workers: Workers
    database: PostgreSQLDatabase
    home: Path
    bucket: S3Bucket | None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").write_text(CONFIGURATION.format(base_dir=json.dumps(str(self.home))))
        self.environment = {
            "MIGRATION_HOME": str(self.home),
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DEPLOYMENT": "local",
            **self.database.environment(),
        }

    def use_bucket(self, endpoint: str) -> None:
        """Stages in the bucket."""
        assert self.bucket is not None
        server = self.bucket.server
        self.environment |= {
            **server.environment(),
            "AWS_ENDPOINT_URL": endpoint,
            "MIGRATION_STAGE_URL": f"{self.bucket.url}/stage",
        }

    def start(self, file: Path, fault: dict[str, Any] | None = None, **environment: str) -> Run | Process:
        """Starts a run."""
        variables, log = {**self.environment, **environment}, self.home / "log.txt"
        if "AWS_ENDPOINT_URL" in variables:
            # Arrow's threads for an object store don't come along with a fork.
            return Process(file, variables, log)
        return self.workers.start(file, variables, log, fault)

    def require_success(self, file: Path) -> None:
        """Runs without a fault."""
        assert self.start(file).wait() == 0, self.told()

    def told(self) -> str:
        """What the runs have said, and the errors in the ledger."""
        log = self.home / "log.txt"
        return "\n".join([log.read_text() if log.exists() else "", *self.errors()])

    def errors(self) -> list[str]:
        """The errors in the ledger."""
        with closing(sqlite3.connect(self.home / "ledger.sqlite")) as connection:
            return [message for (message,) in connection.execute("SELECT message FROM errors")]


def play(case: Case, place: Field) -> None:
    """Plays one case, and asserts what must hold after it."""
    chosen = random.Random(case.seed)
    _create(place.database)
    file = write_workflow(place.home, place.database, [table("t", **STRATEGIES[case.strategy])])
    if case.fault.startswith("store"):
        assert place.bucket is not None
        place.use_bucket(place.bucket.server.endpoint_url)
    with ExitStack() as opened:
        if case.fault == "full disk":
            opened.enter_context(_own_disk(place))
        if not case.first:
            place.require_success(file)
            _change(place.database, case.strategy, chosen)
        _hit(case, file, place, chosen)
        if case.fault == "full disk":
            _resize(place, 64 << 20)
        before = _manifests(place)
        _heal(case, file, place, before)
        # And once more with news, so that what the fault has left in the ledger is of use.
        _change(place.database, case.strategy, chosen)
        place.require_success(file)
        _require_equal(place)
        _require_clean(place)


def _heal(case: Case, file: Path, place: Field, before: dict[str, str]) -> None:
    place.require_success(file)
    _require_equal(place)
    _require_clean(place)
    after = _manifests(place)
    # Of partitions that were finished, only one whose file was damaged is extracted again.
    again = [path for path, content in before.items() if path in after and after[path] != content]
    assert len(again) <= (case.fault in ("damaged file", "store truncates")), again


# -- the source -----------------------------------------------------------------------------------


def _create(database: PostgreSQLDatabase) -> None:
    database.execute(
        f"""
        CREATE TABLE t (id int PRIMARY KEY, version bigint NOT NULL, amount numeric(12, 2), note text);
        CREATE SEQUENCE versions START {ROWS + 1};
        INSERT INTO t SELECT n, n, n / 4.0, md5(n::text) || CASE n % 3 WHEN 0 THEN '' ELSE repeat('x', n % 50) END
        FROM generate_series(1, {ROWS}) n;
        ANALYZE t
        """
    )


def _change(database: PostgreSQLDatabase, strategy: str, chosen: random.Random) -> None:
    """News in the source, of the kinds that the strategy promises to follow."""
    database.execute(
        """
        INSERT INTO t SELECT coalesce(max, 0) + n, nextval('versions'), n, 'new' FROM (SELECT max(id) FROM t) m,
        generate_series(1, %s) n
        """,
        chosen.randint(0, 400),
    )
    if strategy == "append":
        return
    first = chosen.randint(1, ROWS)
    database.execute(
        "UPDATE t SET version = nextval('versions'), note = 'changed' || %s WHERE id BETWEEN %s AND %s",
        first,
        first,
        first + chosen.randint(0, 300),
    )
    if strategy != "merge":
        first = chosen.randint(1, ROWS)
        database.execute("DELETE FROM t WHERE id BETWEEN %s AND %s", first, first + chosen.randint(0, 100))


# -- the faults -----------------------------------------------------------------------------------


def _hit(case: Case, file: Path, place: Field, chosen: random.Random) -> None:
    if case.fault == "kill at a step":
        place.start(file, {"kind": "kill", "number": chosen.randrange(BOUNDARIES)}).wait()
    elif case.fault == "kill at a moment":
        run = place.start(file)
        time.sleep(chosen.uniform(0, 1.5))
        run.kill()
        run.wait()
    elif case.fault == "cut connection":
        server = (place.database.host, place.database.port)
        after = int(10 ** chosen.uniform(2, 5))
        with cutting_proxy(server, connection=chosen.randrange(6), after_bytes=after) as port:
            place.start(file, SOURCE_POSTGRESQL_PORT=str(port)).wait()
    elif case.fault == "damaged file":
        place.start(file, {"kind": "damage", "number": 0}).wait()
    elif case.fault == "two at once":
        runs = [place.start(file), place.start(file)]
        assert sorted(run.wait() for run in runs)[0] == 0, place.told()
    elif case.fault == "full disk":
        _resize(place, max(_used(place), 16 << 10))
        assert place.start(file).wait() != 0
        assert any("No space left" in error for error in place.errors()), place.told()
    else:
        refuses = case.fault == "store refuses"
        begin = chosen.randrange(20)
        # As many as one operation is tried, so that it fails, or some more.
        fault = StoreFault(refuses=range(begin, begin + chosen.randint(5, 12)))
        fault = fault if refuses else StoreFault(truncates=range(chosen.choice([1, 1000])))
        assert place.bucket is not None
        with faulty_store(place.bucket.server.endpoint_url, fault) as endpoint:
            place.start(file, AWS_ENDPOINT_URL=endpoint).wait()


@contextmanager
def _own_disk(place: Field) -> Iterator[None]:
    """A stage on a disk of its own."""
    folder = place.home / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)  # noqa: S607
    place.environment["MIGRATION_STAGE_URL"] = folder.as_uri()
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def _resize(place: Field, size: int) -> None:
    command = ["mount", "-o", f"remount,size={size}", str(place.home / "disk")]
    subprocess.run(command, check=True)


def _used(place: Field) -> int:
    found = os.statvfs(place.home / "disk")
    return (found.f_blocks - found.f_bfree) * found.f_frsize


# -- what must hold -------------------------------------------------------------------------------


def _require_equal(place: Field) -> None:
    columns = "id, version, amount, note"
    wanted = place.database.fetch(f"SELECT {columns} FROM t ORDER BY id")
    with _target(place) as connection:
        found = connection.execute(f"SELECT {columns} FROM t ORDER BY id, version").fetchall()
    assert len(found) == len(wanted)
    assert found == wanted


def _require_clean(place: Field) -> None:
    """No load table, and on the stage what the last generation's manifests name."""
    with _target(place) as connection:
        tables = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    assert [name for name in tables if "__load_" in name] == []
    files = _stage_files(place)
    named = set()
    for path, content in files.items():
        if "/manifests/" in path:
            named |= {path, *(file["path"] for file in json.loads(content)["files"])}
    generations = {path.split("/")[2] for path in files}
    assert len(generations) <= 1, list(files)
    assert set(files) - named == set(), set(files) - named


def _manifests(place: Field) -> dict[str, str]:
    found = {path: content for path, content in _stage_files(place).items() if "/manifests/" in path}
    return {path: content for path, content in found.items() if path.endswith(".json")}


def _stage_files(place: Field) -> dict[str, str]:
    """The files of the stage; the content of manifests, and nothing for others."""
    url = place.environment.get("MIGRATION_STAGE_URL", (place.home / "stage").as_uri())
    if url.startswith("s3:"):
        assert place.bucket is not None
        client = place.bucket.server.client()
        found = {}
        for key in place.bucket.object_keys():
            if key.endswith("/"):
                continue  # Arrow's mark of a folder, which has no bytes.
            body = client.get_object(Bucket=place.bucket.name, Key=key)["Body"].read() if "/manifests/" in key else b""
            found[key.removeprefix("stage/")] = body.decode()
        return found
    root = Path(urlsplit(url).path)
    return {
        str(path.relative_to(root)): path.read_text() if path.suffix == ".json" else ""
        for path in root.rglob("*")
        if path.is_file()
    }


@contextmanager
def _target(place: Field) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(place.home / "warehouse" / f"{TARGET_DATABASE}.duckdb"), read_only=True) as connection:
        connection.execute(f'USE "{TARGET_SCHEMA}"')
        yield connection
