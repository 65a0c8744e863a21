"""Drains the partitions of an extraction in parallel into Parquet files, each sealed by a manifest."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

import pyarrow as pa
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from migration_assets.io_managers.extraction import (
    Extraction,
    PartitionReader,
    SnapshotKeeper,
    continued_manifests,
    row_filter,
    unchanged_manifests,
)
from migration_assets.io_managers.layout import (
    attempt_folder,
    deletions_folder,
    generation_folder,
    manifest_path,
    new_attempt,
    read_manifests,
    write_manifest,
)
from migration_assets.io_managers.parquet_files import write_parquet_files
from migration_assets.resources.ledger import Ledger, PartitionStatus
from migration_assets.resources.sources.base import SourceError, TransientSourceError
from migration_assets.resources.stages.base import DamagedFileError, Manifest, Stage, StagedFile, StageError
from migration_assets.synchronization.deletions import Deletions
from migration_assets.synchronization.progress import Progress
from migration_assets.synchronization.scope import Scope, checksum_text, settle
from migration_assets.validation.migrations.source_facts import collect_source_facts

ATTEMPTS = 4
"""Attempts at a partition when the connection breaks, or its files don't arrive whole on the stage."""

PAUSE = wait_exponential(multiplier=0.5, max=15) + wait_random(0, 1)
"""Seconds before the next of them."""

MAX_FAILURES = 10
"""Failed partitions after which a run stops: by then the fault is not one of a single partition."""

PROGRESS_SECONDS = 1.0

STOP_SECONDS = 0.5
"""What threads that shall stop have to do it by themselves, before their connections are ended."""


class _StoppedError(Exception):
    """The run was ended, or so many partitions failed that the others are given up."""


@dataclass
class StagingRun:
    """One run's extraction of some partitions of a table.

    What came of it is in `manifests`, `unchanged` and `failures`.

    Attributes:
        target_bytes: size past which a file is closed.
    """

    extraction: Extraction
    stage: Stage
    ledger: Ledger
    target_bytes: int
    run_id: str
    manifests: dict[str, Manifest] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    unchanged: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        plan = self.extraction.plan
        self._folder = generation_folder(plan, self.extraction.generation)
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, Manifest | Exception] | None] = queue.SimpleQueue()
        self._rows: dict[str, int] = {}
        self._stop = threading.Event()
        self._readers: list[PartitionReader] = []
        self._failed = itertools.count(1)
        self._kept_marks: set[str | None] = set()

    def run(self) -> None:
        """Extracts the partitions that are not finished."""
        found = read_manifests(self.stage, self._folder)
        known = self.extraction
        if known.has_source_facts and all(key in found or key in known.unchanged for key in known.keys):
            self.manifests = {key: found[key] for key in known.keys if key in found}
            self.unchanged = known.unchanged
            self._record(list(self.manifests))
            return
        with self.extraction.open() as keeper:
            scope, kept = self._settle(keeper, found)
            for key in found.keys() - kept.keys():
                self.stage.delete(manifest_path(self._folder, key))
            self._kept_marks = {manifest.snapshot for manifest in kept.values()}
            self.manifests = {key: kept[key] for key in self.extraction.keys if key in kept}
            self._record(list(self.manifests))
            done = kept.keys() | scope.unchanged
            self._extract([key for key in self.extraction.keys if key not in done], keeper, scope)
        # What Arrow keeps for the next allocation is better given back: the load comes next, in the same process.
        pa.default_memory_pool().release_unused()

    def _settle(self, keeper: SnapshotKeeper, found: Mapping[str, Manifest]) -> tuple[Scope, dict[str, Manifest]]:
        """Settles what moves, and writes it down before anything does.

        Returns:
            The scope, and those of the finished partitions that can stay.
        """
        plan, platform = self.extraction.plan, self.extraction.source.platform
        by_checksum = plan.synchronization.strategy == "checksum"
        kept = {} if by_checksum else continued_manifests(found, keeper)
        with keeper.hold() as current, current.snapshot.steady():
            scope = settle(
                plan,
                platform,
                current.snapshot,
                current.mark,
                # Beside partitions that stay, the others have to keep to the same bounds.
                earlier=self.extraction.progress if kept else None,
                known=self.extraction.known_checksums,
            )
            if by_checksum:
                kept = unchanged_manifests(found, scope)
            if self.extraction.find_deletions is not None:
                gone = self.extraction.find_deletions(current.snapshot, scope.progress)
                scope = replace(scope, progress=self._with_deletions(scope.progress, gone))
        self._require_all(found.keys() - kept.keys(), scope)
        checksums = {key: checksum_text(one) for key, one in scope.checksums.items()}
        # What was unchanged under an earlier snapshot may be changed by now.
        stale = sorted(self.extraction.unchanged - scope.unchanged)
        self.ledger.update_partitions(self.extraction.generation_id, stale, PartitionStatus.PLANNED)
        self.ledger.record_progress(self.extraction.generation_id, scope.progress.model_dump_json(), checksums)
        self.unchanged = scope.unchanged & set(self.extraction.keys)
        self._record_unchanged(scope)
        return scope, kept

    def _with_deletions(self, progress: Progress, found: Deletions) -> Progress:
        """Puts the keys that are gone on the stage, from where the load takes them."""
        files = self._attempts()(self._write_keys, found.keys)
        return progress.model_copy(
            update={
                "rows": found.source_rows,
                "deleted": found.keys.num_rows,
                "deleted_files": tuple(files),
                "keys_pulled": found.pulled_keys,
            }
        )

    def _write_keys(self, keys: pa.Table) -> list[StagedFile]:
        folder = deletions_folder(self._folder, new_attempt())
        files = write_parquet_files(
            self.stage,
            folder,
            keys.schema,
            iter([keys]),
            target_bytes=self.target_bytes,
            dictionary_columns=(),
            on_rows=lambda rows: None,
        )
        self._require_whole(folder, files)
        return files

    def _require_whole(self, folder: str, files: Sequence[StagedFile]) -> None:
        if damaged := self.stage.damaged(folder, files):
            raise DamagedFileError(
                f"stage {self.stage.uri}: {', '.join(damaged)} did not arrive whole: look at the stage's storage"
            )

    def _require_all(self, discarded: Set[str], scope: Scope) -> None:
        """Refuses to discard finished partitions that this run would not extract again."""
        plan = self.extraction.plan
        if not scope.checksums and discarded - set(self.extraction.keys):
            raise SourceError(
                f"{plan.title}: {plan.source} was written to since the finished "
                "partitions were read, and they can't stay beside what is read now "
                f"({'ranges of physical blocks' if plan.physical else 'strict consistency'}): materialize all "
                "partitions of the table, or run the workflow again"
            )

    def describe_failures(self) -> str:
        """Every failed partition with its cause."""
        plan = self.extraction.plan
        lines = [
            f"  partition {key} ({plan.partition(key).description}): {error}"
            for key, error in sorted(self.failures.items())
        ]
        unread = len(self.extraction.keys) - len(self.unchanged) - len(self.manifests) - len(self.failures)
        if unread:
            lines.append(f"  {unread} further partitions were not tried or not finished")
        return (
            f"{plan.title} ({plan.source}): "
            f"{len(self.failures)} of {len(self.extraction.keys)} partitions failed; "
            f"{len(self.manifests)} are finished and stay so.\n" + "\n".join(lines)
        )

    def _extract(self, keys: list[str], keeper: SnapshotKeeper, scope: Scope) -> None:
        for key in keys:
            self._waiting.put(key)
        if not keys:
            self._collect_facts(keeper, scope)
            return
        readers = min(self.extraction.source.parallel_readers, len(keys))
        # One thread more asks the source for its own figures while the others read.
        with ThreadPoolExecutor(readers + 1, thread_name_prefix="extract") as threads:
            running: list[Future[None]] = []
            try:
                running += [threads.submit(self._collect_facts, keeper, scope)]
                running += [threads.submit(self._work, keeper, scope) for _ in range(readers)]
                self._follow(readers, keeper)
                if self.failures:
                    self._end(running, keeper)
                for future in running:
                    future.result()
            finally:
                self._end(running, keeper)

    def _end(self, running: list[Future[None]], keeper: SnapshotKeeper) -> None:
        """Has the threads end, also those that wait for the source, which may take long to answer."""
        self._stop.set()
        while wait(running, STOP_SECONDS).not_done:
            self._break_off(keeper)
        # An interrupt may have come while a thread was started, which then is not among them.
        self._break_off(keeper)

    def _break_off(self, keeper: SnapshotKeeper) -> None:
        keeper.cancel_query()
        for reader in self._readers.copy():
            reader.interrupt()

    def _follow(self, workers: int, keeper: SnapshotKeeper) -> None:
        """Writes down what the threads finish, and now and then how far they are."""
        told = time.monotonic()
        fresh: list[str] = []
        while workers:
            try:
                outcome = self._done.get(timeout=PROGRESS_SECONDS)
            except queue.Empty:
                if self._stop.is_set():
                    self._break_off(keeper)
            else:
                if outcome is None:
                    workers -= 1
                elif isinstance(outcome[1], Manifest):
                    self.manifests[outcome[0]] = outcome[1]
                    fresh.append(outcome[0])
                else:
                    self._fail(outcome[0], outcome[1])
            if time.monotonic() - told >= PROGRESS_SECONDS:
                self._record(fresh)
                self._record_progress()
                fresh, told = [], time.monotonic()
        self._record(fresh)
        self.ledger.update_partitions(self.extraction.generation_id, list(self._unfinished()), PartitionStatus.PLANNED)

    def _fail(self, key: str, error: Exception) -> None:
        """Writes a failed partition down."""
        plan = self.extraction.plan
        self.failures[key] = error
        self.ledger.update_partitions(self.extraction.generation_id, [key], PartitionStatus.FAILED)
        self.ledger.record_error(
            workflow=plan.workflow,
            table=plan.table,
            generation_id=self.extraction.generation_id,
            partition=key,
            stage="extraction",
            message=str(error),
            run_id=self.run_id,
        )

    def _work(self, keeper: SnapshotKeeper, scope: Scope) -> None:
        """One thread: partition after partition until none waits."""
        reader = PartitionReader(self.extraction, keeper, scope.filter(self.extraction.plan))
        self._readers.append(reader)
        try:
            while not self._stop.is_set():
                try:
                    key = self._waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    outcome: Manifest | Exception = self._write_with_retries(key, reader, scope)
                except _StoppedError:
                    return
                except (SourceError, StageError, OSError, pa.ArrowException) as error:
                    outcome = error
                    # The fault is not this partition's own.
                    if isinstance(error, TransientSourceError) or next(self._failed) >= MAX_FAILURES:
                        self._stop.set()
                self._done.put((key, outcome))
        finally:
            try:
                reader.close()
            finally:
                self._done.put(None)

    def _write_with_retries(self, key: str, reader: PartitionReader, scope: Scope) -> Manifest:
        return self._attempts()(self._write, key, reader, scope)

    def _attempts(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type((TransientSourceError, DamagedFileError)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=PAUSE,
            sleep=self._pause,
            reraise=True,
        )

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _write(self, key: str, reader: PartitionReader, scope: Scope) -> Manifest:
        """One attempt at one partition."""
        if self._stop.is_set():
            raise _StoppedError
        plan = self.extraction.plan
        attempt = new_attempt()
        folder = attempt_folder(self._folder, key, attempt)
        started = datetime.now(timezone.utc)
        self._rows[key] = 0
        sealed = False
        try:
            files = write_parquet_files(
                self.stage,
                folder,
                self.extraction.schema,
                self._until_stopped(reader.read(key)),
                target_bytes=self.target_bytes,
                dictionary_columns=[column.target_name for column in plan.columns if column.repeats],
                on_rows=lambda rows: self._count(key, rows),
            )
            manifest = Manifest(
                workflow=plan.workflow,
                table=plan.table,
                generation=self.extraction.generation,
                partition=key,
                attempt=attempt,
                predicate=row_filter(plan, key, scope.filter(plan)),
                snapshot=reader.snapshot,
                has_own_state=reader.has_own_state,
                source_rows=reader.source_rows,
                rows=sum(file.rows for file in files),
                bytes=sum(file.bytes for file in files),
                files=tuple(files),
                checksum=checksum_text(scope.checksums[key]) if scope.checksums else None,
                started_at=started,
                finished_at=datetime.now(timezone.utc),
            )
            if manifest.rows != manifest.source_rows:
                raise SourceError(
                    f"the source sent {manifest.source_rows:,} rows and {manifest.rows:,} were written: "
                    "run again; if it happens twice, it is a fault of this program"
                )
            self._require_whole(folder, files)
            # From here on the data stay: a stage that keeps the manifest may still answer with an error.
            sealed = True
            write_manifest(self.stage, self._folder, manifest)
            return manifest
        finally:
            if not sealed:
                reader.close()
                # Files without a manifest are not read: what stays of them must not hide why the attempt failed.
                with suppress(StageError):
                    self.stage.delete(folder)

    def _until_stopped(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            if self._stop.is_set():
                raise _StoppedError
            yield table

    def _count(self, key: str, rows: int) -> None:
        self._rows[key] += rows

    def _collect_facts(self, keeper: SnapshotKeeper, scope: Scope) -> None:
        plan = self.extraction.plan
        with keeper.hold() as current, current.snapshot.steady():
            facts = collect_source_facts(
                plan, self.extraction.source.platform, current.snapshot, current.mark, scope.moved_rows(plan)
            )
            if facts.rows is not None:
                unchanged = keeper.unchanged_since(self._kept_marks, current)
                facts = facts.model_copy(update={"unchanged_since": unchanged})
        if facts.problem is not None and self._stop.is_set():
            return  # Broken off: it is asked again with the partitions that are missing.
        self.ledger.record_source_facts(self.extraction.generation_id, facts.model_dump_json())

    def _record_unchanged(self, scope: Scope) -> None:
        keys = sorted(self.unchanged)
        self.ledger.update_partitions(
            self.extraction.generation_id,
            keys,
            PartitionStatus.UNCHANGED,
            snapshots=dict.fromkeys(keys, scope.progress.snapshot),
        )

    def _record(self, keys: list[str]) -> None:
        known = {key: self.manifests[key] for key in keys}
        self.ledger.update_partitions(
            self.extraction.generation_id,
            keys,
            PartitionStatus.EXTRACTED,
            rows={key: manifest.rows for key, manifest in known.items()},
            sizes={key: manifest.bytes for key, manifest in known.items()},
            snapshots={key: manifest.snapshot for key, manifest in known.items()},
        )

    def _record_progress(self) -> None:
        running = self._unfinished()
        self.ledger.update_partitions(
            self.extraction.generation_id, list(running), PartitionStatus.EXTRACTING, rows=running
        )

    def _unfinished(self) -> Mapping[str, int]:
        """The partitions that were begun, with the rows of each so far."""
        return {
            key: rows
            for key, rows in self._rows.copy().items()
            if key not in self.manifests and key not in self.failures
        }
