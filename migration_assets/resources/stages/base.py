"""The stage: where extracted files wait to be loaded, and the manifests that say which of them are whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict


class StagedFile(BaseModel):
    """One data file of a partition; `path` is relative to the stage's root, with forward slashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    rows: int
    bytes: int


class Manifest(BaseModel):
    """What one finished partition consists of. A partition exists when its manifest does.

    Attributes:
        attempt: the attempt that wrote the files; part of their path.
        predicate: the whole row filter of the extraction in the source's dialect; None is every row.
        snapshot: the source snapshot that was read; None where the source has none.
        has_own_state: whether the snapshot is this partition's own, taken after the checksum was.
        checksum: the source's fingerprint of its rows, where partitions are compared by it.
        source_rows: rows that the source reported to have sent.
        rows: rows written into the files.
        bytes: size of the files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    workflow: str
    table: str
    generation: int
    partition: str
    attempt: str
    predicate: str | None
    snapshot: str | None
    has_own_state: bool = False
    source_rows: int
    rows: int
    bytes: int
    files: tuple[StagedFile, ...]
    checksum: str | None = None
    started_at: datetime
    finished_at: datetime


class StageError(Exception):
    """The stage can't be read or written; the text names the path and the cure."""


class DamagedFileError(StageError):
    """A file is not on the stage as it was written."""


class Stage(ABC):
    """A place for files. Paths are relative to the stage's root and use forward slashes."""

    @property
    @abstractmethod
    def uri(self) -> str:
        """Where the stage is, for people and metadata; holds no secret."""

    @abstractmethod
    def open_output(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A binary file to write; it is complete on the stage when the context ends without an error."""

    @abstractmethod
    def write_bytes(self, path: str, content: bytes) -> None:
        """Writes a small file atomically: a reader sees all of it or nothing."""

    @abstractmethod
    def read_bytes(self, path: str) -> bytes:
        """Reads a small file."""

    @abstractmethod
    def sizes(self, prefix: str) -> dict[str, int]:
        """The paths of all files under a folder with the bytes of each; empty when there is no such folder."""

    def list_files(self, prefix: str) -> list[str]:
        """The paths of all files under a folder, sorted; empty when there is no such folder."""
        return sorted(self.sizes(prefix))

    def damaged(self, folder: str, files: Sequence[StagedFile]) -> list[str]:
        """Those of the files of a folder that are missing, or not there whole."""
        if not files:
            return []
        found = self.sizes(folder)
        return [file.path for file in files if not self.is_whole(file, found.get(file.path))]

    def is_whole(self, file: StagedFile, size: int | None) -> bool:
        """Whether a file that has so many bytes on the stage is the one that was written."""
        return size == file.bytes

    @abstractmethod
    def delete(self, prefix: str) -> None:
        """Deletes a file or everything under a folder; nothing when there is none."""

    def uri_of(self, path: str) -> str:
        """The address of one file, for people and metadata."""
        return f"{self.uri.rstrip('/')}/{path}"
