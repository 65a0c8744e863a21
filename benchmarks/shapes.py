"""Tables of other shapes than TPC-H's, staged in both formats of COPY and by DuckDB's scanner."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.homes import new_home, write_workflow
from benchmarks.measure import measure
from benchmarks.own import OwnError
from benchmarks.results import ShapeSample
from benchmarks.server import DATABASE, Source

_NUMBERS = ", ".join(f"i{place} bigint, f{place} double precision" for place in range(30))
_NUMBER_VALUES = ", ".join(f"n * {place + 7}, n / {place + 3}.0" for place in range(30))
_SPARSE = ", ".join(f"c{place} text, t{place} timestamptz" for place in range(20))
_SPARSE_VALUES = ", ".join(
    f"CASE WHEN n % 10 = {place % 10} THEN 'value ' || n END, "
    f"CASE WHEN n % 10 = {place % 10} THEN timestamptz '2020-01-01 00:00+00' + n * interval '1 second' END"
    for place in range(20)
)

SHAPES: Mapping[str, tuple[str, str, str, int]] = {
    "narrow": ("two integers", "a int, b int", "n, n % 1000", 6_000_000),
    "wide": ("30 bigint and 30 double precision", _NUMBERS, _NUMBER_VALUES, 600_000),
    "text": (
        "three texts of 100 to 300 characters",
        "a text, b text, c text",
        "repeat(md5(n::text), 3 + n % 7), 'ż' || repeat(md5((n * 7)::text), 5), repeat('x\"y,', 50)",
        800_000,
    ),
    "bytes": (
        "bytea of 1,000 bytes",
        "a bytea",
        "decode(repeat(md5(n::text), 62) || '0123456789abcdef', 'hex')",
        600_000,
    ),
    "sparse": ("20 texts and 20 timestamps, nine of ten NULL", _SPARSE, _SPARSE_VALUES, 1_000_000),
}
"""By name: a description, columns, their values from a number `n`, and rows at scale factor 1."""

READERS = {"binary": "binary COPY", "csv": "CSV COPY", "duckdb": "DuckDB"}


def measure_shapes(
    source: Source, rounds: int, scale_factor: float, environments: Path, scratch: Path
) -> Iterator[ShapeSample]:
    """Stages every shape in every way, once a round."""
    for shape, (_, columns, values, rows) in SHAPES.items():
        _create(source, shape, columns, values, max(int(rows * scale_factor), 1))
        for number in range(1, rounds + 1):
            for reader in READERS:
                with TemporaryDirectory(dir=scratch) as folder:
                    yield _sample(source, shape, reader, number, environments, Path(folder), scratch)
        with source.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE shape_{shape}")


def _create(source: Source, shape: str, columns: str, values: str, rows: int) -> None:
    name = f"shape_{shape}"
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.execute(f"CREATE TABLE {name} ({columns})")
        cursor.execute(f"INSERT INTO {name} SELECT {values} FROM generate_series(1, {rows}) n")
        cursor.execute(f"VACUUM ANALYZE {name}")


def _sample(
    source: Source, shape: str, reader: str, number: int, environments: Path, folder: Path, scratch: Path
) -> ShapeSample:
    name = f"shape_{shape}"
    if reader == "duckdb":
        python = environments / "duckdb" / "bin" / "python"
        command = [str(python), "-m", "benchmarks.peers.duckdb_parquet", name, "", str(folder)]
        more = {}
    else:
        workflow = write_workflow(folder / "shape.json", DATABASE, [name], metricsCheck=False, fingerprintCheck=False)
        command = [sys.executable, "-m", "benchmarks.staged", str(workflow)]
        more = {**new_home(folder), "SOURCE_POSTGRESQL_COPY_FORMAT": reader}
    run = measure(command, {**source.environment, **more}, scratch, postmaster=source.postmaster)
    if run.exit_code:
        raise OwnError(f"{command[2]} of {name} failed:\n{run.errors[-2000:]}")
    return ShapeSample(
        shape=shape,
        reader=reader,
        round=number,
        work=json.loads(run.output.splitlines()[-1])["seconds"],
        client_cpu=run.client_cpu,
        server_cpu=run.server_cpu or 0.0,
        memory=run.memory,
    )
