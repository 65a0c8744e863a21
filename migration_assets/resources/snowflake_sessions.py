"""Sessions on Snowflake, one per thread, shared by the warehouse and the internal stage."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa
from dagster import ConfigurableResource, InitResourceContext
from dagster_snowflake import SnowflakeResource
from pydantic import PrivateAttr
from snowflake.connector.connection import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor
from snowflake.connector.errors import Error

LOGIN_TIMEOUT_SECONDS = 60

ResultRow = Mapping[str, Any]


class SnowflakeSessionError(Exception):
    """What Snowflake answered to a statement: its message and the id of the query, and no more.

    Attributes:
        code: Snowflake's error number; None when there is none.
    """

    def __init__(self, error: Error) -> None:
        query = f" (query {error.sfqid})" if error.sfqid else ""
        super().__init__(f"{error.msg}{query}")
        self.code = error.errno


class SnowflakeSessions:
    """Opens a session for each thread that runs a statement, and keeps it until `close`.

    Sessions are in UTC and commit each statement that is not in a transaction. A statement that runs longer
    than the timeout is cancelled, and so is one whose client is gone.
    """

    def __init__(self, resource: SnowflakeResource, statement_timeout_seconds: int) -> None:
        self._resource = resource
        self._timeout = statement_timeout_seconds
        self._of_thread = threading.local()
        self._opened = ExitStack()
        self._opening = threading.Lock()
        self._sessions: list[SnowflakeConnection] = []

    def run(self, statement: str, **tag: str) -> list[ResultRow]:
        """The rows of `ask`."""
        return self.ask(statement, **tag)[0]

    def ask(self, statement: str, **tag: str) -> tuple[list[ResultRow], str | None]:
        """Runs one statement; `tag` goes into the QUERY_TAG, by which its cost can be found.

        Returns:
            The rows, keyed by the names that Snowflake gives the columns, and the id of the query.

        Raises:
            SnowflakeSessionError: Snowflake refused or failed.
        """
        with self._executed(statement, tag) as cursor:
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()], cursor.sfqid

    def read(self, statement: str, **tag: str) -> Iterator[pa.Table]:
        """The rows of one statement as they come.

        Raises:
            SnowflakeSessionError: Snowflake refused or failed.
        """
        with self._executed(statement, tag) as cursor:
            yield from cursor.fetch_arrow_batches()

    @contextmanager
    def _executed(self, statement: str, tag: Mapping[str, str]) -> Iterator[SnowflakeCursor]:
        query_tag = json.dumps({"application": "migration-assets", **tag}, ensure_ascii=False)
        try:
            with self._session().cursor() as cursor:
                cursor.execute(statement, _statement_params={"QUERY_TAG": query_tag})
                yield cursor
        except Error as error:
            raise SnowflakeSessionError(error) from error

    def cancel(self) -> None:
        """Breaks off the statements that other threads run: each of their sessions is told to."""
        with self._opening:
            others = [session for session in self._sessions if not session.is_closed()]
        for session in others:
            try:
                with session.cursor() as cursor:
                    cursor.execute(f"SELECT SYSTEM$CANCEL_ALL_QUERIES({session.session_id})")
            except Error as error:
                raise SnowflakeSessionError(error) from error

    def close(self) -> None:
        """Ends all sessions."""
        with self._opening:
            self._opened.close()
            self._sessions.clear()
            self._of_thread = threading.local()

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Has this thread keep the session that it has, so that a transaction goes on there, or fails."""
        self._of_thread.is_pinned = True
        try:
            yield
        finally:
            self._of_thread.is_pinned = False

    def _session(self) -> SnowflakeConnection:
        session: SnowflakeConnection | None = getattr(self._of_thread, "session", None)
        if session is not None and getattr(self._of_thread, "is_pinned", False):
            return session
        if session is None or session.is_closed() or session.expired:
            resource = _with_defaults(self._resource, self._timeout)
            with self._opening:
                session = self._opened.enter_context(resource.get_connection())
                self._sessions.append(session)
            self._of_thread.session = session
        return session


class SnowflakeClient(ConfigurableResource):  # type: ignore[type-arg]
    """A resource that works on Snowflake.

    Attributes:
        snowflake: the connection; its own session parameters are kept, but for the time zone.
        statement_timeout_seconds: the longest that one statement may take.
    """

    snowflake: SnowflakeResource
    statement_timeout_seconds: int = 7200
    _sessions: SnowflakeSessions | None = PrivateAttr(default=None)

    @property
    def sessions(self) -> SnowflakeSessions:
        """The sessions of this resource; they end with the run."""
        with _making_sessions:
            if self._sessions is None:
                self._sessions = SnowflakeSessions(self.snowflake, self.statement_timeout_seconds)
            return self._sessions

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        self.sessions.close()


_making_sessions = threading.Lock()


def _with_defaults(resource: SnowflakeResource, timeout_seconds: int) -> SnowflakeResource:
    """The user's connection with what every session needs; the user's own settings go first, but for UTC."""
    fields = type(resource).model_fields
    settings = {field.alias or name: getattr(resource, name) for name, field in fields.items()}
    additional = dict(settings.get("additional_snowflake_connection_args") or {})
    session_parameters = {
        "STATEMENT_TIMEOUT_IN_SECONDS": timeout_seconds,
        "ABORT_DETACHED_QUERY": True,
        **additional.get("session_parameters", {}),
        "TIMEZONE": "UTC",
        # Times with more digits than microseconds are staged as text.
        **dict.fromkeys(("TIMESTAMP_INPUT_FORMAT", "TIME_INPUT_FORMAT"), "AUTO"),
    }
    settings |= {
        "autocommit": True,
        "login_timeout": settings.get("login_timeout") or LOGIN_TIMEOUT_SECONDS,
        # The connector cancels a statement that takes longer than its network timeout.
        "network_timeout": settings.get("network_timeout") or timeout_seconds,
        "additional_snowflake_connection_args": {**additional, "session_parameters": session_parameters},
    }
    connected: SnowflakeResource = SnowflakeResource(**settings).process_config_and_initialize()
    return connected
