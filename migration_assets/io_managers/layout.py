"""Where things lie on the stage: one folder per generation, manifests apart from the data."""

from __future__ import annotations

import uuid

from migration_assets.planning import TablePlan
from migration_assets.resources.stages.base import Manifest, Stage


def table_folder(workflow: str, table: str) -> str:
    """Everything of one table."""
    return f"{workflow}/{table}"


def generation_folder(plan: TablePlan, generation: int) -> str:
    """Everything of one generation of a table. What another ledger has called so lies elsewhere."""
    return f"{table_folder(plan.workflow, plan.table)}/g{generation:06d}-{plan.token}"


def attempt_folder(generation: str, partition: str, attempt: str) -> str:
    """The data files of one attempt at a partition; no two attempts share a path."""
    return f"{generation}/data/{partition}/{attempt}"


def deletions_folder(generation: str, attempt: str) -> str:
    """The keys that are gone in the source, as one attempt has found them."""
    return f"{generation}/deleted/{attempt}"


def new_attempt() -> str:
    """A name that no other attempt has."""
    return uuid.uuid4().hex[:12]


def manifest_path(generation: str, partition: str) -> str:
    """The manifest of a finished partition."""
    return f"{generation}/manifests/{partition}.json"


def read_manifests(stage: Stage, generation: str) -> dict[str, Manifest]:
    """The finished partitions of a generation by key."""
    paths = [path for path in stage.list_files(f"{generation}/manifests") if path.endswith(".json")]
    manifests = [Manifest.model_validate_json(stage.read_bytes(path)) for path in paths]
    return {manifest.partition: manifest for manifest in manifests}


def write_manifest(stage: Stage, generation: str, manifest: Manifest) -> None:
    """Makes a partition finished: the last thing that is written of it."""
    content = manifest.model_dump_json(indent=1).encode()
    stage.write_bytes(manifest_path(generation, manifest.partition), content)
