"""The local Dagster instance's storage: SQLite, with the events of many partitions written at once.

Dagster's own writes them one by one, each in two transactions of connections of their own: that would be most of what a
small partition costs. PostgreSQL's storage has batches for materializations already. Both use them only with
DAGSTER_EVENT_BATCH_SIZE, which importing this module sets: Dagster does so for the local storage, and every deployment.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster import EventLogEntry
from dagster import _check as check
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

EVENTS_AT_ONCE = 500

os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_AT_ONCE))

CONFIGURATION = """\
storage:
  custom:
    module: migration_assets.instance
    class: LocalStorage
    config:
      base_dir: {base_dir}
telemetry:
  enabled: false
nux:
  enabled: false
"""
"""A `dagster.yaml`; `base_dir` is the folder of the databases."""


class BatchingEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log in SQLite: a database of each run's events, and one of all assets' events."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        by_run: defaultdict[str, list[EventLogEntry]] = defaultdict(list)
        others = []
        for event in events:
            if event.get_dagster_event().event_type in ASSET_EVENTS:
                by_run[event.run_id].append(event)
            else:
                others.append(event)
        for run, its_events in by_run.items():
            self._store_asset_events(run, its_events)
        # Checks have tables of their own, and there are few of them.
        for event in others:
            self.store_event(event)

    def _store_asset_events(self, run: str, events: Sequence[EventLogEntry]) -> None:
        insert, rows = SqlEventLogStorageTable.insert(), [self._event_to_row(event) for event in events]
        # The shared database first: if it is busy for too long, nothing was stored, and Dagster tries one by one.
        with self.index_transaction() as connection:
            # One by one, since SQLite gives the number of a single row only.
            numbers = [check.not_none(connection.execute(insert, row).inserted_primary_key)[0] for row in rows]
            self._store_asset_event_tags(connection, events, numbers)
            # What is kept of an asset itself is its last event.
            last = dict(zip((event.get_dagster_event().asset_key for event in events), range(len(events)), strict=True))
            for place in last.values():
                self._store_asset_event(connection, events[place], numbers[place])
        with self.run_connection(run) as connection:
            connection.execute(insert, rows)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes out that do the same; the lock ends with the process that holds it."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".storage.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class LocalStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage, with the event log above."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Two processes that make the databases at the same moment leave them in a state that no third one can open.
        with _alone_in(Path(base_dir)):
            super().__init__(base_dir, inst_data)
        self._event_log_storage = BatchingEventLogStorage(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, str]) -> LocalStorage:  # type: ignore[override]
        return cls.from_local(config_value["base_dir"], inst_data)
