"""A source table that is written to all the time, and every state that it has had.

Writers keep what each of their transactions has made of the rows that it touched, in the order in which they were
committed. The table's state after any number of transactions can be told from that later, on any platform.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from migration_assets_tests.source_servers import Session, SourceDatabase

COLUMNS = "id, grp, amount, note, updated_at"

_TABLE = """
CREATE TABLE live (
    id int PRIMARY KEY, grp text, amount numeric(12, 2), note text, updated_at timestamp NOT NULL
);
CREATE INDEX live_by_watermark ON live (updated_at);
"""

Row = tuple[Any, ...]


@dataclass
class LiveTable:
    """The table `live` and its history.

    Attributes:
        first: the rows at the beginning, by key.
        changes: what each transaction has left of the rows that it touched: None where they are gone.
    """

    database: SourceDatabase
    first: dict[int, Row] = field(default_factory=dict)
    changes: list[dict[int, Row | None]] = field(default_factory=list)
    _committing: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def create(cls, database: SourceDatabase, rows: int) -> LiveTable:
        """Makes the table, with rows of some age."""
        database.execute(_TABLE)
        now = _now()
        database.insert(
            "live",
            [
                (n, f"g{n % 7}", n / 8, None if n % 5 == 0 else f"row {n}", now - timedelta(seconds=n))
                for n in range(1, rows + 1)
            ],
        )
        return cls(database, {row[0]: row for row in database.fetch(f"SELECT {COLUMNS} FROM live")})

    @property
    def _last_key(self) -> int:
        return max((key for change in self.changes for key in change), default=0)

    def states(self, first: int = 0) -> Iterator[dict[int, Row]]:
        """The table's rows by key, after the first so many transactions and after each of the later ones."""
        rows = dict(self.first)
        for number, change in enumerate([{}, *self.changes]):
            rows.update({key: row for key, row in change.items() if row is not None})
            for key in [key for key, row in change.items() if row is None]:
                rows.pop(key, None)
            if number >= first:
                yield rows

    def is_a_state(self, rows: Sequence[Row], first: int) -> bool:
        """Whether these are the rows of one moment, no earlier than after the first so many transactions."""
        found = {row[0]: tuple(row) for row in rows}
        return len(found) == len(rows) and any(state == found for state in self.states(first))

    @contextmanager
    def writers(self, *, only_inserts: bool = False, count: int = 2) -> Iterator[None]:
        """Transactions of several connections for as long as the context lasts."""
        stop = threading.Event()
        failures: list[BaseException] = []

        def write(seed: int) -> None:
            chosen = random.Random(seed)
            # Rows that no other writer changes: they would wait for each other. And keys that none has ever added.
            keys = range(1 + seed, 3001, count)
            fresh = itertools.count(max(self._last_key, 3000) + 1 + seed, count)
            try:
                with self.database.session(autocommit=False) as session:
                    while not stop.is_set():
                        self._transaction(session, chosen, keys, fresh, only_inserts=only_inserts)
                        # Some dozens of transactions a second: the history stays small enough to be compared.
                        stop.wait(chosen.uniform(0, 0.03))
            except Exception as error:  # noqa: BLE001 - of a driver, whichever it is; told below
                failures.append(error)

        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures, failures

    def _transaction(
        self, session: Session, chosen: random.Random, keys: Sequence[int], fresh: Iterator[int], *, only_inserts: bool
    ) -> None:
        """A transaction, which may last while others begin and end; the history has the order of the commits."""
        touched = sorted(chosen.sample(keys, chosen.randint(1, 4)))
        for key in touched:
            if not only_inserts:
                _change(session, chosen, key)
        if only_inserts or chosen.random() < 0.3:
            touched.append(next(fresh))
            session.execute("INSERT INTO live VALUES (%s, 'new', 1.5, 'inserted', %s)", touched[-1], _now())
        listed = ", ".join(str(key) for key in touched)
        left = {row[0]: row for row in session.fetch(f"SELECT {COLUMNS} FROM live WHERE id IN ({listed})")}
        with self._committing:
            session.commit()
            self.changes.append({key: left.get(key) for key in touched})


def _change(session: Session, chosen: random.Random, key: int) -> None:
    """A change of the row of a key, if there is one."""
    kind = chosen.choice(["update", "update", "delete", "late", "again"])
    if kind == "update":
        session.execute(
            "UPDATE live SET amount = amount + 1, note = %s, updated_at = %s WHERE id = %s",
            f"update {chosen.randint(1, 10**6)}",
            _now(),
            key,
        )
    elif kind == "late":
        before = _now() - timedelta(seconds=5)
        session.execute("UPDATE live SET note = 'late', updated_at = %s WHERE id = %s", before, key)
    else:
        session.execute("DELETE FROM live WHERE id = %s", key)
        if kind == "again":
            session.execute("INSERT INTO live VALUES (%s, 'again', 0, NULL, %s)", key, _now())


def _now() -> datetime:
    """Coarse, so that many rows have the same watermark, some of them written after it was read."""
    return datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
