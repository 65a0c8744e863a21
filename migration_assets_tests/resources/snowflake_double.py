"""A stand-in for Snowflake's connector: it records statements and gives the answers that a test prepared.

It is a stub, because the tests have no account: it proves which statements are sent, in which order and with which
session parameters, and how answers are read. What Snowflake does with them is proved by the shared suite in
`test_warehouses.py`, which needs an account. The answers have the form that Snowflake's manual gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import snowflake.connector
import sqlglot
from dagster_snowflake import SnowflakeResource
from snowflake.connector.errors import DatabaseError, ProgrammingError

PASSWORD = "canary-5f1c"

Rows = Sequence[dict[str, Any]]
Answer = Rows | ProgrammingError | Callable[[str], Rows]


class Column(NamedTuple):
    name: str


def failure(message: str, code: int = 1000) -> ProgrammingError:
    """An error as the connector raises it."""
    return ProgrammingError(msg=message, errno=code, sqlstate="02000", sfqid="01b2-query-id")


DOES_NOT_EXIST = failure("Object does not exist, or operation cannot be performed.", 2003)

NO_HISTORY = failure(
    "Time travel data is not available for table ORDERS. The requested time is either beyond the allowed time travel "
    "period or before the object creation time.",
    707,
)


@dataclass
class SnowflakeDouble:
    """What was sent, and what is answered: of several answers that fit a statement the last one."""

    statements: list[str] = field(default_factory=list)
    query_tags: list[str] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)
    opened: list[Connection] = field(default_factory=list)
    answers: list[tuple[re.Pattern[str], Answer]] = field(default_factory=list)

    def answer(self, pattern: str, answer: Answer) -> None:
        """Prepares the answer for statements in which the pattern is found; others get no rows."""
        self.answers.append((re.compile(pattern), answer))

    def take_statements(self) -> list[str]:
        """The statements since the last call."""
        taken, self.statements = self.statements, []
        return taken

    def connect(self, **arguments: Any) -> Connection:
        self.connections.append(arguments)
        self.opened.append(Connection(self))
        return self.opened[-1]

    def execute(self, statement: str, query_tag: str) -> Rows:
        self.statements.append(statement)
        self.query_tags.append(query_tag)
        assert sqlglot.parse(statement, read="snowflake")
        for pattern, answer in reversed(self.answers):
            if pattern.search(statement):
                if isinstance(answer, ProgrammingError):
                    raise answer
                return answer(statement) if callable(answer) else answer
        return []


class Connection:
    """Behaves like `snowflake.connector.SnowflakeConnection` as far as it is used."""

    expired = False

    def __init__(self, double: SnowflakeDouble) -> None:
        self._double = double
        self._closed = False

    def cursor(self) -> Cursor:
        if self._closed:
            raise DatabaseError(msg="Connection is closed", errno=250002, sqlstate="08003")
        return Cursor(self._double)

    def is_closed(self) -> bool:
        return self._closed

    def commit(self) -> None: ...

    def close(self) -> None:
        self._closed = True


class Cursor:
    """Behaves like `snowflake.connector.cursor.SnowflakeCursor` as far as it is used."""

    sfqid = "01b2-query-id"

    def __init__(self, double: SnowflakeDouble) -> None:
        self._double = double
        self._rows: Rows = []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *error: object) -> None: ...

    def execute(self, command: str, *, _statement_params: dict[str, str]) -> None:
        self._rows = self._double.execute(command, _statement_params["QUERY_TAG"])

    @property
    def description(self) -> list[Column]:
        return [Column(name) for name in self._rows[0]] if self._rows else []

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self._rows]


@pytest.fixture
def snowflake_double(monkeypatch: pytest.MonkeyPatch) -> SnowflakeDouble:
    """Takes the connector's place."""
    double = SnowflakeDouble()
    monkeypatch.setattr(snowflake.connector, "connect", double.connect)
    return double


def account() -> SnowflakeResource:
    """Settings as a deployment makes them."""
    return SnowflakeResource(account="acme-test", user="LOADER", password=PASSWORD, warehouse="LOADING")
