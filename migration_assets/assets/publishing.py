"""Verify, publish, prove: what was loaded comes into the target only when every row is accounted for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dagster import TableColumn, TableColumnConstraints, TableSchema
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.definitions.metadata.metadata_set import TableMetadataSet

from migration_assets.assets import names
from migration_assets.assets.generations import (
    load_columns,
    load_table_name,
    load_table_prefix,
    plan_of,
    progress_of,
)
from migration_assets.assets.loading import DELETED_SUFFIX, deleted_table_name, unchanged_partitions
from migration_assets.io_managers.layout import generation_folder, manifest_path, read_manifests, table_folder
from migration_assets.planning import TablePlan
from migration_assets.platforms.base import TableName
from migration_assets.resources.ledger import (
    CheckRecord,
    GenerationRecord,
    GenerationStatus,
    Ledger,
    PartitionRecord,
)
from migration_assets.resources.sources.base import Source, SourceError
from migration_assets.resources.stages.base import Manifest, Stage, StageError
from migration_assets.resources.warehouses.base import (
    PublishMark,
    TargetTable,
    Warehouse,
    WarehouseError,
)
from migration_assets.synchronization.changes import ChangeError, TargetChange
from migration_assets.synchronization.progress import Progress
from migration_assets.synchronization.scope import checksum_rows
from migration_assets.validation.migrations.plan_fingerprint import check_fingerprint, explain_difference, is_proof
from migration_assets.validation.migrations.source_facts import SourceFacts
from migration_assets.validation.migrations.target_checks import (
    CheckResult,
    check_row_counts,
    check_schema,
    check_target_metrics,
)
from migration_assets.validation.results import Value, Verdict
from migration_assets.validation.sides import TargetSide


class PublishError(Exception):
    """The target was left as it was, or what was published is not proven; the text says why and what to do."""


@dataclass(frozen=True)
class PublishOutcome:
    """What came of a publish.

    Attributes:
        checks: the verdicts by check name.
        refusal: why the load table was not published; None when it was.
        metadata: what the UI shows of the target.
    """

    checks: Mapping[str, CheckResult]
    refusal: str | None = None
    metadata: Mapping[str, RawMetadataValue] = field(default_factory=dict)


def publish_table(
    generation: GenerationRecord, *, ledger: Ledger, stage: Stage, warehouse: Warehouse, source: Source
) -> PublishOutcome:
    """Publishes a generation whose partitions are all loaded. May be repeated at any point.

    Args:
        source: asked only when the fingerprints differ, for the rows that do.

    Raises:
        PublishError: partitions are missing, or the target is not what the plan has counted on.
    """
    plan = plan_of(generation)
    publication = Publication(
        plan=plan,
        generation=generation,
        manifests=read_manifests(stage, generation_folder(plan, generation.number)),
        facts=SourceFacts.model_validate_json(generation.source_facts) if generation.source_facts else None,
        ledger=ledger,
        stage=stage,
        warehouse=warehouse,
        source=source,
    )
    with warehouse.hold(plan.target.database):
        return publication.replace() if plan.synchronization.is_full else publication.change()


@dataclass(frozen=True)
class Publication:
    """One generation on its way into the target.

    Attributes:
        manifests: the finished partitions.
        facts: what the source said of the rows that move.
    """

    plan: TablePlan
    generation: GenerationRecord
    manifests: Mapping[str, Manifest]
    facts: SourceFacts | None
    ledger: Ledger
    stage: Stage
    warehouse: Warehouse
    source: Source

    def replace(self) -> PublishOutcome:
        """Puts the load table in the target's place."""
        plan, warehouse, load = self.plan, self.warehouse, self._load
        if self.generation.status is GenerationStatus.PUBLISHED:
            return self._published_before()
        mark = PublishMark(plan.workflow, plan.table, self.generation.number, plan.token)
        before = warehouse.describe(plan.target)
        if before is None or before.mark != mark:
            _require_every_partition(plan, self.manifests, frozenset())
            _require_same_checksums(plan, self.manifests, self.ledger.partitions(self.generation.id))
            _require_own_target(plan, before)
            candidate, loaded = self._loaded()
            checks = self._blocking_checks(loaded, candidate, types_are_ours=before is None)
            checks[names.FINGERPRINT_CHECK] = self._fingerprint(load, candidate)
            if refused := self._refused(checks):
                return refused
            warehouse.publish(load, plan.target)
            after = self._target()
            fingerprint = checks[names.FINGERPRINT_CHECK]
        else:
            # A crash after the publish: only what was there before may be left under the load table's name, and with
            # the load table its history is gone. What was the load table is the target now.
            loaded = None
            warehouse.drop_table(load)
            after = self._target()
            fingerprint = self._fingerprint(plan.target, after)
        checks = self._blocking_checks(loaded, after, types_are_ours=before is None)
        checks[names.FINGERPRINT_CHECK] = fingerprint
        checks[names.METRICS_CHECK] = self._metrics(plan.target)
        self._record(checks)
        replaced = before.rows if before is not None and before.mark != mark else None
        return self._published(checks, after, {"rows replaced": replaced} if replaced is not None else {})

    def change(self) -> PublishOutcome:
        """Brings the target that is there to the state of the generation, in one transaction."""
        plan, warehouse = self.plan, self.warehouse
        if self.generation.status is GenerationStatus.PUBLISHED:
            return self._published_before()
        progress = progress_of(self.generation)
        records = self.ledger.partitions(self.generation.id)
        unchanged = unchanged_partitions(records)
        _require_every_partition(plan, self.manifests, unchanged)
        before = warehouse.describe(plan.target)
        _require_continued_target(plan, before)
        if progress is None or before is None:
            raise PublishError(
                _named(plan, "nothing was settled by its extraction: materialize the staged asset first")
            )
        _require_same_checksums(plan, self.manifests, records)
        moved = any(manifest.files for manifest in self.manifests.values())
        deleted = deleted_table_name(self._load) if progress.deleted_files else None
        candidate, loaded = self._loaded() if moved else (None, 0)
        told: Mapping[str, RawMetadataValue] = {}
        if candidate is not None and not candidate.rows:
            # All files were loaded and nothing is left of them: a crash after the transaction, which has emptied the
            # load table. The verdicts were written down before it.
            checks = {one.name: _recorded(one) for one in self.ledger.checks(self.generation.id)}
        else:
            self._require_untouched(before, progress, moved=moved)
            checks = self._blocking_checks(loaded, candidate or TargetTable(before.columns, 0), types_are_ours=False)
            checks[names.FINGERPRINT_CHECK] = self._moved_check(candidate, self._fingerprint)
            checks[names.METRICS_CHECK] = self._moved_check(candidate, lambda load, _: self._metrics(load))
            if refused := self._refused(checks):
                return refused
            self._record(checks)
            if plan.evolve:
                warehouse.evolve(plan.target, load_columns(plan))
                before = self._target()
            change = TargetChange(
                plan=plan,
                progress=progress,
                platform=warehouse.platform,
                existing=before.columns,
                load=self._load if moved else None,
                deleted=deleted,
                changed=frozenset(one.key for one in plan.partitions) - unchanged,
            )
            try:
                with warehouse.transaction(plan.target.database) as transaction:
                    applied = change.apply(transaction)
            except ChangeError as error:
                # A failed check: the next run doesn't go on with these files, which the source may have corrected.
                refused = self._refused({**checks, names.ROW_COUNT_CHECK: CheckResult(Verdict.FAIL, str(error))})
                assert refused is not None
                return refused
            told = {
                "rows deleted": applied.deleted,
                "rows written": applied.written,
                "rows replaced by newer ones of their key": applied.repeated,
            }
        return self._published(
            checks,
            self._target(),
            {
                **told,
                "partitions unchanged": len(unchanged),
                "keys gone in the source": progress.deleted,
                **({"watermark": progress.watermark} if progress.watermark is not None else {}),
            },
        )

    def _require_untouched(self, target: TargetTable, progress: Progress, *, moved: bool) -> None:
        """What the last generation has left is still all there, and nothing else."""
        before = self.ledger.published(self.plan.workflow, self.plan.table)
        if before is None or before.published_rows is None:
            return
        # Without a load table nothing tells that rows were deleted already, by a run that died before it said so.
        # They are deleted once more, which changes nothing.
        done = () if moved else (before.published_rows - progress.deleted, progress.rows)
        if target.rows in (before.published_rows, *done):
            return
        raise PublishError(
            _named(
                self.plan,
                f"the target {self.plan.target} holds {target.rows:,} rows, and generation {before.number} has left "
                f"{before.published_rows:,}: somebody else has written or deleted rows there. Start the table over "
                "with `migrate reset`, and compare first with `migrate validate` if these rows matter",
            )
        )

    def _published_before(self) -> PublishOutcome:
        checks = {one.name: _recorded(one) for one in self.ledger.checks(self.generation.id)}
        return PublishOutcome(checks, None, {"note": f"generation {self.generation.number} is published already"})

    @property
    def _load(self) -> TableName:
        return load_table_name(self.plan, self.generation.number)

    def _target(self) -> TargetTable:
        found = self.warehouse.describe(self.plan.target)
        assert found is not None
        return found

    def _loaded(self) -> tuple[TargetTable, int]:
        """The load table, and the rows that COPY says it has put there."""
        candidate = self.warehouse.describe(self._load)
        if candidate is None:
            raise PublishError(
                _named(self.plan, f"there is no load table {self._load}: materialize the loaded asset first")
            )
        paths = [file.path for found in self.manifests.values() for file in found.files]
        files = self.warehouse.loaded_files(self._load, paths)
        _require_loaded(self.plan, self.manifests, files)
        return candidate, sum(files.values())

    def _blocking_checks(
        self, loaded: int | None, table: TargetTable, *, types_are_ours: bool
    ) -> dict[str, CheckResult]:
        manifests = list(self.manifests.values())
        planned = self.plan.estimated_rows if self.plan.synchronization.is_full else 0
        return {
            names.SCHEMA_CHECK: check_schema(
                self.plan, table.columns, self.warehouse.platform, types_are_ours=types_are_ours
            ),
            names.ROW_COUNT_CHECK: check_row_counts(manifests, loaded, table.rows, self.facts, planned=planned),
        }

    def _moved_check(
        self, candidate: TargetTable | None, check: Callable[[TableName, TargetTable], CheckResult]
    ) -> CheckResult:
        if candidate is None:
            return CheckResult(Verdict.PASS, "no rows moved")
        return check(self._load, candidate)

    def _fingerprint(self, name: TableName, table: TargetTable) -> CheckResult:
        plan, facts = self.plan, self.facts
        # Without it nothing proves that checksums are those of the rows that were read.
        if not plan.fingerprint_check and not self._later:
            return CheckResult(Verdict.INCONCLUSIVE, "switched off by fingerprintCheck")
        try:
            side = TargetSide(self.warehouse, name, None)
            check = check_fingerprint(plan, list(self.manifests.values()), table, facts, side)
        except WarehouseError as error:
            return CheckResult(Verdict.INCONCLUSIVE, f"no fingerprint: {error}")
        if check.verdict is not Verdict.FAIL or facts is None:
            return check
        try:
            with self.source.open_snapshot(plan.source, strict=False) as snapshot, snapshot.steady():
                told = explain_difference(plan, table, facts, self.source, snapshot, side)
        except (SourceError, WarehouseError) as error:
            told = f"which rows differ could not be asked: {error}"
        return replace(check, summary=f"{check.summary}: {told}")

    def _metrics(self, name: TableName) -> CheckResult:
        return check_target_metrics(self.plan, list(self.manifests.values()), self.facts, self.warehouse, name)

    def _refused(self, checks: Mapping[str, CheckResult]) -> PublishOutcome | None:
        """The refusal to publish, where a blocking check fails."""
        failed = [one for name, one in checks.items() if one.verdict is Verdict.FAIL and name != names.METRICS_CHECK]
        if not failed:
            return None
        self._record(checks)
        reasons = "; ".join(check.summary for check in failed)
        told = f"not published, {self.plan.target} is as it was before: {reasons}"
        return PublishOutcome(checks, _named(self.plan, told))

    def _record(self, checks: Mapping[str, CheckResult]) -> None:
        for name, check in checks.items():
            details = {"summary": check.summary, **check.figures}
            self.ledger.record_check(self.generation.id, CheckRecord(name, check.verdict.value, details))

    def _published(
        self, checks: Mapping[str, CheckResult], after: TargetTable, told: Mapping[str, RawMetadataValue]
    ) -> PublishOutcome:
        """Writes the end down, and cleans up after it."""
        self.ledger.set_generation_status(
            self.generation.id,
            GenerationStatus.PUBLISHED,
            published_rows=after.rows,
            unproven=self._unproven(checks.get(names.FINGERPRINT_CHECK)),
        )
        self.ledger.clear_errors(self.generation.id)
        self.ledger.complete_workflow_if_done(self.plan.workflow)
        metadata = {**_metadata(self.plan, self.generation, after, self.manifests), **told}
        try:
            self._clean_up()
        except (StageError, WarehouseError) as error:
            # The table is published; what is left over goes with the next generation.
            metadata["left over"] = str(error)
        return PublishOutcome(checks, None, metadata)

    def _unproven(self, fingerprint: CheckResult | None) -> list[str]:
        """Partitions that move again.

        A row that was changed after its checksum was taken, and back before the next run, would otherwise stay wrong
        in the target.
        """
        return [] if fingerprint and is_proof(fingerprint.figures) else self._later

    @property
    def _later(self) -> list[str]:
        """Partitions whose rows may be of a later state than their checksums."""
        return [
            key
            for key, manifest in self.manifests.items()
            if manifest.has_own_state and manifest.checksum and (manifest.rows or checksum_rows(manifest.checksum))
        ]

    def _clean_up(self) -> None:
        """Drops the load tables of the target, and the staged files of all but the last published generations."""
        plan = self.plan
        prefix = load_table_prefix(plan)
        for leftover in self.warehouse.list_tables(plan.target.database, plan.target.schema, prefix):
            if leftover.table.removeprefix(prefix).removesuffix(DELETED_SUFFIX).isdecimal():
                self.warehouse.drop_table(leftover)
        kept = {
            f"g{number:06d}"
            for number in self.ledger.published_numbers(plan.workflow, plan.table, plan.staged_generations)
        }
        own = generation_folder(plan, self.generation.number)
        paths = self.stage.list_files(table_folder(plan.workflow, plan.table))
        folders = {"/".join(path.split("/")[:3]) for path in paths}
        for found in sorted(folders):
            name = found.rpartition("/")[2].partition("-")[0]
            # What another ledger has called so is not one of this ledger's generations.
            if name not in kept or (name == f"g{self.generation.number:06d}" and found != own):
                self.stage.delete(found)
        # What attempts that were broken off have left.
        needed = {manifest_path(own, key) for key in self.manifests}
        needed |= {file.path for manifest in self.manifests.values() for file in manifest.files}
        for path in paths:
            if path.startswith(f"{own}/") and path not in needed:
                self.stage.delete(path)


def _require_every_partition(plan: TablePlan, manifests: Mapping[str, Manifest], unchanged: Collection[str]) -> None:
    missing = [one.key for one in plan.partitions if one.key not in manifests and one.key not in unchanged]
    if missing:
        raise PublishError(
            _named(
                plan,
                f"{len(missing)} of {len(plan.partitions)} partitions are not extracted yet "
                f"({', '.join(missing[:5])}): materialize the missing and failed partitions, then the target",
            )
        )


def _require_own_target(plan: TablePlan, target: TargetTable | None) -> None:
    """What was put into the target since it was planned is not replaced unasked."""
    if target is None or plan.replace_existing or not target.rows:
        return
    if target.mark is None or (target.mark.workflow, target.mark.table) != (plan.workflow, plan.table):
        raise PublishError(
            _named(
                plan,
                f"the target {plan.target} holds {target.rows:,} rows that {_author(target)} put there, and is left "
                'as it is: set "replaceExisting": true in the table to replace them, or name another target',
            )
        )


def _author(target: TargetTable) -> str:
    return "somebody else" if target.mark is None else f"workflow {target.mark.workflow}, table {target.mark.table},"


def _require_loaded(plan: TablePlan, manifests: Mapping[str, Manifest], files: Mapping[str, int]) -> None:
    missing = [key for key, manifest in manifests.items() if any(file.path not in files for file in manifest.files)]
    if missing:
        raise PublishError(
            _named(
                plan,
                f"{len(missing)} of {len(plan.partitions)} partitions are extracted and not loaded yet "
                f"({', '.join(missing[:5])}): materialize them in the loaded asset, then the target",
            )
        )


def _require_continued_target(plan: TablePlan, target: TargetTable | None) -> None:
    """Changes are made to the very table that the continued generation has left."""
    if target is not None and target.mark is not None and target.mark.token == plan.synchronization.target_token:
        return
    state = "is gone" if target is None else "was replaced by another one"
    raise PublishError(
        _named(
            plan,
            f"the target {plan.target} {state} since generation {plan.synchronization.continues}, which this one "
            "continues: run the workflow again, which plans the table anew",
        )
    )


def _require_same_checksums(
    plan: TablePlan, manifests: Mapping[str, Manifest], records: Sequence[PartitionRecord]
) -> None:
    """All partitions are of one state of the source: that whose checksums the ledger has."""
    known = {one.key: one.checksum for one in records}
    stale = [key for key, manifest in manifests.items() if manifest.checksum != known.get(key)]
    if stale:
        raise PublishError(
            _named(
                plan,
                f"the source has changed since {len(stale)} of {len(plan.partitions)} partitions were extracted "
                f"({', '.join(stale[:5])}): materialize them again, then the target",
            )
        )


def _recorded(check: CheckRecord) -> CheckResult:
    """A verdict that was written down before."""
    figures = {name: one for name, one in check.details.items() if name != "summary" and isinstance(one, Value)}
    return CheckResult(Verdict(check.verdict), str(check.details.get("summary", "")), figures)


def _metadata(
    plan: TablePlan, generation: GenerationRecord, table: TargetTable, manifests: Mapping[str, Manifest]
) -> dict[str, RawMetadataValue]:
    schema = TableSchema(
        columns=[
            TableColumn(
                column.name,
                column.type,
                constraints=TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )
    return {
        **TableMetadataSet(column_schema=schema, row_count=table.rows, table_name=str(plan.target)),
        "bytes": sum(manifest.bytes for manifest in manifests.values()),
        "partitions": len(plan.partitions),
        "generation": generation.number,
        "source": str(plan.source),
        "divided": plan.method,
    }


def _named(plan: TablePlan, text: str) -> str:
    return f"{plan.title}: {text}"
