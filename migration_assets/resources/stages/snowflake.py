"""A stage inside Snowflake: files travel with PUT and GET, by way of a file on the local disk."""

from __future__ import annotations

import glob
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from migration_assets.platforms.snowflake import Snowflake
from migration_assets.resources.snowflake_sessions import (
    ResultRow,
    SnowflakeClient,
    SnowflakeSessionError,
)
from migration_assets.resources.stages.base import Stage, StagedFile, StageError

_UPLOADED = "UPLOADED"
_DOWNLOADED = "DOWNLOADED"
_CIPHER_BLOCK = 16


class SnowflakeInternalStage(SnowflakeClient, Stage):
    """A folder of a named internal stage. The stage itself must exist.

    Attributes:
        stage: the stage's name, `DATABASE.SCHEMA.STAGE`; double quotes keep the case of a part.
        prefix: the folder of the stage that is the root; empty is all of it.
        parallel: threads that PUT uploads a large file with, 1 to 99.
    """

    stage: str
    prefix: str = ""
    parallel: int = 4

    @property
    def uri(self) -> str:
        return f"snowflake://{self.location}"

    @cached_property
    def location(self) -> str:
        """The root as Snowflake writes it, without a slash at the end: `@"DB"."SCHEMA"."STAGE"/folder`."""
        return "/".join(filter(None, (f"@{stage_name(self.stage)}", self.prefix.strip("/"))))

    @contextmanager
    def open_output(self, path: str) -> Iterator[BinaryIO]:
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory() as directory:
            local = Path(directory) / name
            with local.open("wb") as output:
                yield cast(BinaryIO, output)
            # PUT takes the local name for a pattern.
            source = exp.Literal.string(f"file://{glob.escape(str(local))}")
            rows = self._run(
                "PUT",
                path,
                f"PUT {_sql(source)} {self._at(folder)} AUTO_COMPRESS=FALSE OVERWRITE=TRUE PARALLEL={self.parallel}",
            )
        if [row["status"] for row in rows] != [_UPLOADED]:
            raise StageError(f"stage {self.uri}: PUT of {path} was not confirmed: {rows}")

    def write_bytes(self, path: str, content: bytes) -> None:
        with self.open_output(path) as output:
            output.write(content)

    def read_bytes(self, path: str) -> bytes:
        name = path.rpartition("/")[2]
        with tempfile.TemporaryDirectory() as directory:
            target = exp.Literal.string(f"file://{directory}/")
            pattern = exp.Literal.string(_ending(path))
            rows = self._run("GET", path, f"GET {self._at(path)} {_sql(target)} PATTERN={_sql(pattern)}")
            local = Path(directory) / name
            if not local.is_file():
                raise StageError(f"stage {self.uri}: there is no file {path}")
            failed = [row for row in rows if row["status"] != _DOWNLOADED]
            if failed:
                raise StageError(f"stage {self.uri}: GET of {path} failed: {failed}")
            return local.read_bytes()

    def sizes(self, prefix: str) -> dict[str, int]:
        rows = self._run("LIST", prefix, f"LIST {self._at(prefix, folder=True)}")
        # A name begins with the stage's, whose case Snowflake changes.
        root = f"{self.prefix.strip('/')}/".lstrip("/")
        return {str(row["name"]).partition("/")[2].removeprefix(root): int(row["size"]) for row in rows}

    def is_whole(self, file: StagedFile, size: int | None) -> bool:
        # Encryption on the client's side fills the last block of 16 bytes.
        return size is not None and 0 <= size - file.bytes <= _CIPHER_BLOCK

    def delete(self, prefix: str) -> None:
        self._run("REMOVE", prefix, f"REMOVE {self._at(prefix, folder=True)}")
        if prefix:
            # REMOVE takes a path for the beginning of names: only the pattern makes it one file.
            pattern = exp.Literal.string(_ending(prefix))
            self._run("REMOVE", prefix, f"REMOVE {self._at(prefix)} PATTERN={_sql(pattern)}")

    def _at(self, path: str, *, folder: bool = False) -> str:
        joined = "/".join(filter(None, (self.location, path.strip("/"))))
        return _sql(exp.Literal.string(joined + "/" * folder))

    def _run(self, verb: str, path: str, statement: str) -> list[ResultRow]:
        try:
            return self.sessions.run(statement, operation=verb.lower(), path=path)
        except SnowflakeSessionError as error:
            raise StageError(f"stage {self.uri}: {verb} of {path} failed: {error}") from error


def stage_name(written: str) -> str:
    """A stage's name with every part quoted; parts written without quotes are folded.

    Raises:
        StageError: it isn't of the form `DATABASE.SCHEMA.STAGE`.
    """
    try:
        parsed = parse_one(written, into=exp.Table, dialect=Snowflake.dialect)
    except SqlglotError:
        parsed = exp.Table()
    parts = parsed.parts if parsed.args.get("this") else []
    if len(parts) != 3:
        raise StageError(f"the stage's name must be DATABASE.SCHEMA.STAGE, not {written!r}")
    platform = Snowflake()
    names = (part.name if part.args.get("quoted") else platform.fold(part.name) for part in parts)
    return ".".join(_sql(exp.to_identifier(name, quoted=True)) for name in names)


def _ending(path: str) -> str:
    """A regular expression for the one file at a path."""
    return f".*{re.escape(path.rpartition('/')[2])}$"


def _sql(expression: exp.Expression) -> str:
    return expression.sql(Snowflake.dialect)
