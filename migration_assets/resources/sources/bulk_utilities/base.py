"""What a bulk utility is: a program of the database's maker that writes a query's rows to a file."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from migration_assets.platforms.base import ReadColumn
from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.sources.bulk_utilities.delimited_text import DelimitedText


@dataclass(frozen=True)
class BulkSample:
    """A question whose answer is known: it proves the utility that is installed, before rows are taken from it.

    Attributes:
        query: as a utility is given it.
        expected: the one right answer.
    """

    query: str
    columns: Sequence[ReadColumn]
    expected: pa.Table


class BulkOptions(BaseModel):
    """Options that all utilities have."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    output: Literal["pipe", "file"] = "pipe"
    """pipe: nothing is kept on disk. file: a file of a partition's text, for systems where a pipe doesn't work."""
    directory: str | None = Field(default=None, min_length=1)
    """Folder of the pipe or file; None is the system's for temporary files."""


class BulkUtility(ABC):
    """A program that exports rows, with its options.

    Attributes:
        name: in workflows, settings and plans.
        platform: the source platform that it reads from.
        prompt: its question for the password, at the end of what it wrote to its terminal.
        note: what a reader of a plan should know.
    """

    name: ClassVar[str]
    platform: ClassVar[str]
    prompt: ClassVar[re.Pattern[bytes]]
    note: ClassVar[str]
    Options: ClassVar[type[BulkOptions]]

    @abstractmethod
    def __init__(self, options: BulkOptions, login: object) -> None:
        """Prepares it.

        Args:
            options: its `Options`.
            login: where its platform's sources connect, and as whom.
        """

    @property
    @abstractmethod
    def options(self) -> BulkOptions:
        """Its options."""

    @abstractmethod
    def executable(self) -> Path:
        """The program.

        Raises:
            SourceError: it isn't there, with the places that were searched and the cure.
        """

    @abstractmethod
    def check(self) -> None:
        """Makes sure that it can log in as it is asked to.

        Raises:
            SourceError: it can't, with the cure.
        """

    @abstractmethod
    def query(self, query: str, columns: Sequence[ReadColumn]) -> str:
        """An extraction query in the form whose output `decoder` reads."""

    @abstractmethod
    def sample(self, query: str) -> BulkSample:
        """The question that has to be answered rightly before the query is asked."""

    @abstractmethod
    def arguments(self, query: str, output: Path) -> list[str]:
        """The program's arguments, without any secret.

        Raises:
            SourceError: the query doesn't fit into an argument.
        """

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """All variables of the program: not this process's own, which hold secrets."""

    @property
    @abstractmethod
    def secret(self) -> str | None:
        """What the program will ask for; None when it asks for nothing."""

    @abstractmethod
    def decoder(self, columns: Sequence[ReadColumn]) -> DelimitedText:
        """What reads its output."""

    @abstractmethod
    def reported_rows(self, report: str) -> int | None:
        """The rows that it says to have written; None when it doesn't say."""

    @abstractmethod
    def failure(self, report: str, code: int) -> SourceError | None:
        """What went wrong, by its report and the code that it ended with; None when nothing did."""
