"""Writes a stream of Arrow tables into Parquet files of a target size, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.stages.base import Stage, StagedFile

ROW_GROUP_BYTES = 32 * 1024 * 1024
"""Arrow bytes of a row group: large enough to compress well, small enough to hold one per thread."""

ROW_GROUP_ROWS = 64 * 1024
"""Rows of a row group: one of them is held for every connection that reads. Twice as many save 1 % of the bytes."""

# Level 1 costs a third of the default level's time for nearly the same size.
_COMPRESSION, _COMPRESSION_LEVEL = "zstd", 1


def write_parquet_files(
    stage: Stage,
    folder: str,
    schema: pa.Schema,
    tables: Iterator[pa.Table],
    *,
    target_bytes: int,
    dictionary_columns: Sequence[str],
    on_rows: Callable[[int], None],
) -> list[StagedFile]:
    """Drains `tables` into `<folder>/00000.parquet` and so on.

    Args:
        target_bytes: a file is closed once it has grown past this.
        dictionary_columns: columns whose values repeat.
        on_rows: called with the number of rows of each row group that was written.

    Returns:
        The files in order; none for a stream without rows.
    """
    files: list[StagedFile] = []
    with ExitStack() as cleanup:
        current: _OpenFile | None = None
        for group in _row_groups(tables):
            if current is None:
                path = f"{folder}/{len(files):05d}.parquet"
                current = _OpenFile(stage, path, schema, dictionary_columns)
                cleanup.push(current.abandon)
            current.write(group)
            on_rows(group.num_rows)
            if current.size >= target_bytes:
                files.append(current.finish())
                current = None
        if current is not None:
            files.append(current.finish())
    return files


class _OpenFile:
    """One Parquet file that is being written."""

    def __init__(self, stage: Stage, path: str, schema: pa.Schema, dictionary_columns: Sequence[str]) -> None:
        self._path = path
        self._schema = schema
        self._rows = 0
        self._finished = False
        self._output = stage.open_output(path)
        self._stream: BinaryIO = self._output.__enter__()
        self._writer = pq.ParquetWriter(
            self._stream,
            schema,
            compression=_COMPRESSION,
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=list(dictionary_columns) or False,
            store_schema=False,
            write_statistics=False,
        )

    @property
    def size(self) -> int:
        return self._stream.tell()

    def write(self, group: pa.Table) -> None:
        for field, column in zip(self._schema, group.columns, strict=True):
            if not field.nullable and column.null_count:
                raise SourceError(
                    f"column {field.name!r} was planned as NOT NULL, and has NULLs in the source by now: plan the "
                    "table again"
                )
        # Sources don't tell in their tables what may be NULL.
        group = pa.Table.from_arrays(group.columns, schema=self._schema)
        self._writer.write_table(group, row_group_size=group.num_rows)
        self._rows += group.num_rows

    def finish(self) -> StagedFile:
        self._writer.close()
        size = self.size
        self._finished = True
        self._output.__exit__(None, None, None)
        return StagedFile(path=self._path, rows=self._rows, bytes=size)

    def abandon(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._finished:
            self._finished = True
            self._output.__exit__(type(error) if error else None, error, None)


def _row_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Joins small tables until they are worth a row group."""
    waiting: list[pa.Table] = []
    size = rows = 0
    for table in tables:
        if not table.num_rows:
            continue
        waiting.append(table)
        size += table.nbytes
        rows += table.num_rows
        if size >= ROW_GROUP_BYTES or rows >= ROW_GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting, size, rows = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)
