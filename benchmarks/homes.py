"""Folders and workflow files for measured runs of this program: each run starts with nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from migration_assets.instance import CONFIGURATION

SCHEMA = "PUBLIC"


def new_home(folder: Path) -> dict[str, str]:
    """Makes an empty MIGRATION_HOME, which is DAGSTER_HOME too.

    Returns:
        The variables that name it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text(CONFIGURATION.format(base_dir=json.dumps(str(folder))))
    return {"MIGRATION_HOME": str(folder), "DAGSTER_HOME": str(folder), "DAGSTER_DEPLOYMENT": "local"}


def write_workflow(
    file: Path,
    database: str,
    tables: Sequence[str],
    platform: str = "postgresql",
    schema: str = "public",
    /,
    **keys: object,
) -> Path:
    """Writes a workflow that moves tables into targets of the same names.

    Args:
        platform: the source's.
        schema: the source's.
        keys: further keys of every table, such as `partitionSize`.
    """
    document = {
        "sourcePlatform": platform,
        "defaultTableConfiguration": {
            "source": {"databaseName": database, "schemaName": schema},
            "target": {"databaseName": database, "schemaName": SCHEMA},
            **keys,
        },
        "tables": [{"source": {"tableName": name}, "target": {"tableName": name}} for name in tables],
    }
    file.write_text(json.dumps(document, indent=2))
    return file
