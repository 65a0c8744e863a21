"""A source table that is written to all the time, and what it looked like under any snapshot.

A trigger keeps every version of every row with the transaction that wrote it. A snapshot names the transactions that it
sees, so that the table's rows under it can be told later.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

from migration_assets_tests.servers import PostgreSQLDatabase

COLUMNS = "id, grp, amount, note, updated_at"

_TABLE = """
CREATE TABLE live (
    id int PRIMARY KEY, grp text, amount numeric(12, 2), note text, updated_at timestamptz NOT NULL
);
CREATE INDEX ON live (updated_at);
CREATE TABLE history (
    version bigserial PRIMARY KEY, written_by xid8 NOT NULL DEFAULT pg_current_xact_id(), gone boolean NOT NULL,
    id int NOT NULL, grp text, amount numeric(12, 2), note text, updated_at timestamptz
);
CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO history (gone, id) VALUES (true, OLD.id);
    ELSE
        INSERT INTO history (gone, id, grp, amount, note, updated_at)
        VALUES (false, NEW.id, NEW.grp, NEW.amount, NEW.note, NEW.updated_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT OR UPDATE OR DELETE ON live FOR EACH ROW EXECUTE FUNCTION keep_history();
"""

# Coarse, so that many rows have the same watermark, some of them written after it was read.
_CLOCK = "date_trunc('second', clock_timestamp())"


def create(database: PostgreSQLDatabase, rows: int) -> None:
    """Makes the table `live` with rows of some age."""
    database.execute(_TABLE)
    database.execute(
        f"""
        INSERT INTO live SELECT n, 'g' || n % 7, n / 8.0, CASE n % 5 WHEN 0 THEN NULL ELSE 'row ' || n END,
            {_CLOCK} - n * interval '1 second' FROM generate_series(1, {rows}) n
        """
    )


def rows_under(database: PostgreSQLDatabase, snapshot: str) -> list[tuple[Any, ...]]:
    """The table's rows as a snapshot saw them, by key.

    Args:
        snapshot: its mark.
    """
    seen = snapshot.partition("@")[0]
    return database.fetch(
        f"""
        SELECT {COLUMNS} FROM (
            SELECT DISTINCT ON (id) * FROM history
            WHERE pg_visible_in_snapshot(written_by, '{seen}') ORDER BY id, version DESC
        ) last WHERE NOT gone ORDER BY id
        """
    )


@contextmanager
def writers(database: PostgreSQLDatabase, *, only_inserts: bool = False, count: int = 2) -> Iterator[None]:
    """Transactions of several connections for as long as the context lasts."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(seed: int) -> None:
        chosen = random.Random(seed)
        try:
            with database.connect() as connection:
                connection.autocommit = False
                while not stop.is_set():
                    _transaction(connection, chosen, only_inserts=only_inserts)
                    # Some dozens of transactions a second: the history stays small enough to be compared.
                    stop.wait(chosen.uniform(0, 0.03))
        except psycopg2.Error as error:
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


def _transaction(connection: psycopg2.extensions.connection, chosen: random.Random, *, only_inserts: bool) -> None:
    with connection.cursor() as cursor:
        for _ in range(chosen.randint(1, 4)):
            kind = (
                "insert" if only_inserts else chosen.choice(["insert", "update", "update", "delete", "late", "again"])
            )
            key = chosen.randint(1, 3000)
            if kind == "insert":
                cursor.execute(
                    f"INSERT INTO live SELECT coalesce(max(id), 0) + 1 + %s, 'new', 1.5, 'inserted', {_CLOCK} "
                    "FROM live ON CONFLICT DO NOTHING",
                    [chosen.randint(0, 5)],
                )
            elif kind == "update":
                cursor.execute(
                    f"UPDATE live SET amount = amount + 1, note = %s, updated_at = {_CLOCK} WHERE id = %s",
                    [f"update {chosen.randint(1, 10**6)}", key],
                )
            elif kind == "delete":
                cursor.execute("DELETE FROM live WHERE id = %s", [key])
            elif kind == "late":
                cursor.execute(
                    f"UPDATE live SET note = 'late', updated_at = {_CLOCK} - interval '5 seconds' WHERE id = %s", [key]
                )
            else:
                cursor.execute("DELETE FROM live WHERE id = %s", [key])
                cursor.execute(f"INSERT INTO live VALUES (%s, 'again', 0, NULL, {_CLOCK})", [key])
    connection.commit()
