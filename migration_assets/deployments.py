"""The deployments: which warehouse, stage, ledger and sources `DAGSTER_DEPLOYMENT` stands for.

Nothing connects here, and secrets are named (`EnvVar`), not read: an unset one is reported when a run needs
the resource that it belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dagster import ConfigurableIOManager, ConfigurableIOManagerFactory, ConfigurableResource, EnvVar

import migration_assets.instance  # noqa: F401 - lets events be written in batches
from migration_assets.assets import names
from migration_assets.io_managers.stage_io_manager import StageIOManager
from migration_assets.resources.ledger import LedgerResource
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets.resources.warehouses.duckdb import DuckDBWarehouse
from migration_assets.source_settings import SettingError, source_resources

if TYPE_CHECKING:
    from dagster_snowflake import SnowflakeResource

DEPLOYMENT = "DAGSTER_DEPLOYMENT"
LEDGER_URL = "MIGRATION_LEDGER_URL"
STAGE_URL = "MIGRATION_STAGE_URL"

Resource = ConfigurableResource[Any] | ConfigurableIOManager | ConfigurableIOManagerFactory[Any]


class UnknownDeploymentError(ValueError):
    """DAGSTER_DEPLOYMENT names no deployment, or a setting of it can't be used."""


@dataclass(frozen=True)
class Deployment:
    """The resources of one deployment by resource key.

    Attributes:
        results: makes the I/O manager that writes what validations found as tables.
    """

    name: str
    resources: Mapping[str, Resource]
    warehouse_kind: str
    results: Callable[[], Resource]

    def with_results(self) -> Mapping[str, Resource]:
        """The resources, and the I/O manager of validation results, which takes a second to import."""
        return {**self.resources, names.VALIDATION_IO_MANAGER: self.results()}


def current_deployment() -> Deployment:
    """The deployment that `DAGSTER_DEPLOYMENT` names; `local` when it is unset.

    Raises:
        UnknownDeploymentError: there is no deployment of that name.
    """
    name = os.environ.get(DEPLOYMENT) or "local"
    if name not in _DEPLOYMENTS:
        raise UnknownDeploymentError(f"{DEPLOYMENT}={name!r} is not a deployment: use one of {', '.join(_DEPLOYMENTS)}")
    return _DEPLOYMENTS[name]()


def migration_home() -> Path:
    """The folder of the local state: ledger, stage, warehouse."""
    return Path(os.environ.get("MIGRATION_HOME") or ".migration").absolute()


def reports_folder() -> Path:
    """The folder of the HTML reports."""
    return Path(os.environ.get("MIGRATION_REPORTS") or migration_home() / "reports").absolute()


def workflows_folder() -> Path:
    """The drop folder."""
    return Path(os.environ.get("MIGRATION_WORKFLOWS") or "workflows").absolute()


def _local() -> Deployment:
    home = migration_home()
    ledger_url = f"sqlite:///{home / 'ledger.sqlite'}"
    return _deployment(
        "local",
        ledger=_ledger(EnvVar(LEDGER_URL) if LEDGER_URL in os.environ else ledger_url),
        stage=_file_stage(os.environ.get(STAGE_URL) or (home / "stage").as_uri()),
        # Runs that load into one file wait for each other: as long as the load of a large table may take.
        warehouse=DuckDBWarehouse(directory=str(home / "warehouse"), lock_timeout_seconds=3600),
        warehouse_kind="duckdb",
        results=_duckdb_results,
    )


def _duckdb_results() -> Resource:
    from dagster_duckdb_pandas import DuckDBPandasIOManager

    file = migration_home() / "warehouse" / f"{_metadata_database()}.duckdb"
    file.parent.mkdir(parents=True, exist_ok=True)
    return DuckDBPandasIOManager(database=str(file), schema=_validation_schema())


def _metadata_database() -> str:
    return os.environ.get("MIGRATION_METADATA_DATABASE") or "MIGRATION_METADATA"


def _validation_schema() -> str:
    return os.environ.get("MIGRATION_VALIDATION_SCHEMA") or "DATA_VALIDATION"


def _staging() -> Deployment:
    # Staging reads the same workflow files: the prefix keeps it away from production's databases.
    return _snowflake("staging", database_prefix=os.environ.get("MIGRATION_DATABASE_PREFIX") or "STAGING_")


def _production() -> Deployment:
    return _snowflake("production", database_prefix="")


def _snowflake(name: str, *, database_prefix: str) -> Deployment:
    # Imported here: Snowflake's packages take seconds that a local start needn't pay.
    from dagster_snowflake import SnowflakeResource

    from migration_assets.resources.warehouses.snowflake import SnowflakeWarehouse

    snowflake = SnowflakeResource(**_snowflake_login())
    return _deployment(
        name,
        ledger=_ledger(EnvVar(LEDGER_URL)),
        stage=_stage(snowflake),
        warehouse=SnowflakeWarehouse(snowflake=snowflake, database_prefix=database_prefix),
        warehouse_kind="snowflake",
        results=lambda: _snowflake_results(database_prefix),
    )


def _snowflake_login() -> dict[str, Any]:
    """How everything that works on Snowflake logs in."""
    # A key pair when its file is named, else the password (or a programmatic access token).
    key_file = "SNOWFLAKE_PRIVATE_KEY_PATH" in os.environ
    key_password = key_file and "SNOWFLAKE_PRIVATE_KEY_PASSWORD" in os.environ
    return {
        "account": EnvVar("SNOWFLAKE_ACCOUNT"),
        "user": EnvVar("SNOWFLAKE_USER"),
        "role": os.environ.get("SNOWFLAKE_ROLE"),
        "warehouse": EnvVar("SNOWFLAKE_WAREHOUSE"),
        "password": None if key_file else EnvVar("SNOWFLAKE_PASSWORD"),
        "private_key_path": EnvVar("SNOWFLAKE_PRIVATE_KEY_PATH") if key_file else None,
        "private_key_password": EnvVar("SNOWFLAKE_PRIVATE_KEY_PASSWORD") if key_password else None,
    }


def _snowflake_results(database_prefix: str) -> Resource:
    from dagster_snowflake_pandas import SnowflakePandasIOManager

    return SnowflakePandasIOManager(
        **_snowflake_login(),
        database=database_prefix + _metadata_database(),
        schema=_validation_schema(),
    )


def _stage(snowflake: SnowflakeResource) -> Resource:
    """The stage that MIGRATION_STAGE_URL names."""
    url = os.environ.get(STAGE_URL)
    if not url:
        # Loading the definitions must not fail for it; the first run that needs the stage names the variable.
        return FileSystemStage(url=EnvVar(STAGE_URL))
    parts = urlsplit(url)
    if parts.scheme == "snowflake":
        from migration_assets.resources.stages.snowflake import SnowflakeInternalStage

        return SnowflakeInternalStage(snowflake=snowflake, stage=parts.netloc, prefix=parts.path.strip("/"))
    return _file_stage(url)


def _ledger(url: str) -> LedgerResource:
    return LedgerResource(url=url, lock_wait_seconds=float(os.environ.get("MIGRATION_LOCK_WAIT_SECONDS") or 300))


def _file_stage(url: str) -> FileSystemStage:
    if urlsplit(url).scheme not in ("s3", "file"):
        # Not the URL itself: it may hold what it must not hold.
        raise UnknownDeploymentError(
            f"{STAGE_URL} with the scheme {urlsplit(url).scheme!r} can't be used here: local takes file:///folder or "
            "s3://bucket/prefix, staging and production take s3://bucket/prefix or snowflake://DATABASE.SCHEMA.STAGE/prefix"
        )
    return FileSystemStage(
        url=url,
        external_stage=os.environ.get("SNOWFLAKE_EXTERNAL_STAGE"),
        s3_region=os.environ.get("AWS_REGION", ""),
        s3_endpoint=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""),
    )


def _deployment(
    name: str,
    *,
    ledger: LedgerResource,
    stage: Resource,
    warehouse: Resource,
    warehouse_kind: str,
    results: Callable[[], Resource],
) -> Deployment:
    try:
        sources = source_resources()
    except SettingError as error:
        raise UnknownDeploymentError(str(error)) from None
    return Deployment(
        name,
        {
            names.LEDGER: ledger,
            names.STAGE: stage,
            names.WAREHOUSE: warehouse,
            names.STAGE_IO_MANAGER: StageIOManager(stage=stage, ledger=ledger),
            **{names.source_resource(platform): source for platform, source in sources.items()},
        },
        warehouse_kind,
        results,
    )


_DEPLOYMENTS: Mapping[str, Callable[[], Deployment]] = {
    "local": _local,
    "staging": _staging,
    "production": _production,
}
