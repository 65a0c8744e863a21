"""The search for deleted keys, for the table of a plan."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing

from migration_assets.planning import TablePlan
from migration_assets.resources.sources.base import Snapshot, Source
from migration_assets.resources.warehouses.base import Warehouse
from migration_assets.synchronization.deletions import (
    DeletionError,
    Deletions,
    TooManyDeletionsError,
    find_deletions,
)
from migration_assets.synchronization.progress import Progress
from migration_assets.synchronization.scope import moving_condition
from migration_assets.validation.migrations.plan_fingerprint import align_plan
from migration_assets.validation.sides import Inquiry, SourceSide, TargetSide


def deletions_finder(
    plan: TablePlan, source: Source, warehouse: Warehouse
) -> Callable[[Snapshot, Progress], Deletions] | None:
    """What looks for the keys of the target that are gone in the source; None when the workflow leaves them there."""
    asked = plan.synchronization
    if not asked.track_deletions or asked.is_full:
        return None

    def find(snapshot: Snapshot, progress: Progress) -> Deletions:
        with warehouse.hold(plan.target.database):
            target = warehouse.describe(plan.target)
            if target is None:
                raise DeletionError(
                    f"{plan.title}: the target {plan.target} is gone: run the workflow again, which plans anew"
                )
            alignment = align_plan(plan, target.columns, warehouse.platform)
            aligned = {column.source.name: column for column in alignment.compared}
            if missing := [name for name in asked.key if name not in aligned]:
                raise DeletionError(
                    f"{plan.title}: keys can't be compared by {', '.join(missing)}: "
                    f"{'; '.join(alignment.skipped.values())}: name other primaryKeyColumns, or remove trackDeletions"
                )
            of_source = SourceSide(snapshot, source.platform.canonical_sql(snapshot.query), plan.source, plan.where)
            of_target = TargetSide(warehouse, plan.target, None)
            try:
                with closing(Inquiry(of_source, of_target)) as inquiry:
                    return find_deletions(
                        inquiry,
                        [aligned[name] for name in asked.key],
                        moving_condition(plan, source.platform, progress),
                        estimated_rows=target.rows,
                        limit=math.floor(asked.deletion_limit * target.rows),
                    )
            except TooManyDeletionsError as error:
                raise DeletionError(
                    f"{plan.title}: {error}. Nothing was changed. If these rows are meant to go, raise "
                    f"synchronization.deletionLimit (now {asked.deletion_limit:g}), and run the workflow again"
                ) from None
            except DeletionError as error:
                raise DeletionError(f"{plan.title}: {error}") from None

    return find
