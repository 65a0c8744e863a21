"""This program's staged asset alone: plans the one table of a workflow file, and materializes its partitions.

    python -m benchmarks.staged FILE

The last line on stdout is `{"seconds": ...}`: plan and run, with Dagster's own work for the run, without imports;
`plan_seconds` of them are planning.
"""

from __future__ import annotations

import atexit
import gc
import json
import sys
import time

from dagster import DagsterInstance, materialize

from migration_assets.assets import generations, names
from migration_assets.assets.factory import build_table_assets
from migration_assets.deployments import current_deployment
from migration_assets.jobs import open_connections, submit
from migration_assets.resources.ledger import GenerationStatus, WorkflowStatus
from migration_assets.workflow import load_workflow


def main(file: str) -> None:
    """Stages the table, and prints the seconds."""
    # As `migrate run` does.
    gc.freeze()
    atexit.register(gc.unfreeze)
    workflow, deployment = load_workflow(file), current_deployment()
    (table,) = generations.workflow_tables(workflow)
    with (
        DagsterInstance.get() as instance,
        open_connections(deployment, workflow.source_platform) as connections,
    ):
        source, ledger = connections.source, connections.ledger
        submit(ledger, workflow, WorkflowStatus.EXECUTING)
        started = time.monotonic()
        with source.connect(generations.source_database(table, source)) as run:
            plan = generations.plan(workflow, table, run, source, connections.warehouse, ledger)
        planned = time.monotonic() - started
        generation = generations.start(ledger, instance, plan, GenerationStatus.RUNNING)
        keys = [partition.key for partition in plan.partitions]
        materialize(
            build_table_assets(workflow, table, warehouse_kind=deployment.warehouse_kind),
            selection=[names.staged_key(workflow.name, table.slug)],
            instance=instance,
            resources=dict(deployment.resources),
            tags=names.run_tags(workflow.name, None, table.slug, generation.number, (keys[0], keys[-1])),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        seconds = time.monotonic() - started
    print(json.dumps({"seconds": seconds, "plan_seconds": planned, "partitions": len(keys)}))


if __name__ == "__main__":
    main(sys.argv[1])
