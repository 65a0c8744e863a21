"""The sources and their settings: `SOURCE_<PLATFORM>_…` in the environment.

Nothing connects here. What a run can't do without is named (`EnvVar`), not read: a source that nobody uses needs no
settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from dagster import ConfigurableResource, EnvVar

from migration_assets.resources.sources.bulk_utilities import options_from_environment
from migration_assets.resources.sources.postgresql import CopyFormat, PostgreSQLSource
from migration_assets.resources.sources.sqlserver import SQLServerSource
from migration_assets.resources.sources.sqlserver_login import ApplicationIntent, Authentication, Encryption
from migration_assets.resources.sources.sqlserver_readers import NulCharacters

_Number = TypeVar("_Number", int, float)

_WITHOUT_PASSWORD = ("windows", "entra-managed-identity")


class SettingError(ValueError):
    """A setting can't be used; the text names it and what it can be."""


def source_resources() -> Mapping[str, ConfigurableResource[Any]]:
    """The resource of every source, by platform.

    Raises:
        SettingError: a setting is none of those that are known.
    """
    return {"postgresql": _postgresql(), "sqlserver": _sqlserver()}


def _postgresql() -> PostgreSQLSource:
    name = "SOURCE_POSTGRESQL_"
    return PostgreSQLSource(
        host=EnvVar(name + "HOST"),
        port=_number(name + "PORT", 5432),
        username=EnvVar(name + "USERNAME"),
        password=EnvVar(name + "PASSWORD"),
        sslmode=_text(name + "SSLMODE", "prefer"),
        threads=_number(name + "THREADS", 2),
        copy_format=_one_of(name + "COPY_FORMAT", "auto", get_args(CopyFormat)),
        snapshot_max_age_seconds=_number(name + "SNAPSHOT_MAX_AGE_SECONDS", 4 * 3600.0),
        max_rows_per_second=_number(name + "MAX_ROWS_PER_SECOND", 0.0),
    )


def _sqlserver() -> SQLServerSource:
    name = "SOURCE_SQLSERVER_"
    authentication = _one_of(name + "AUTHENTICATION", "sql", get_args(Authentication))
    has_password = authentication not in _WITHOUT_PASSWORD
    return SQLServerSource(
        host=EnvVar(name + "HOST"),
        port=_number(name + "PORT", 1433),
        instance=_text(name + "INSTANCE", ""),
        # A managed identity that the user has assigned is chosen by its client id.
        username=EnvVar(name + "USERNAME") if has_password else _text(name + "USERNAME", ""),
        password=EnvVar(name + "PASSWORD") if has_password else "",
        authentication=authentication,
        encrypt=_one_of(name + "ENCRYPT", "yes", get_args(Encryption)),
        trust_server_certificate=_yes(name + "TRUST_SERVER_CERTIFICATE"),
        application_intent=_one_of(name + "APPLICATION_INTENT", "ReadOnly", get_args(ApplicationIntent)),
        multi_subnet_failover=_yes(name + "MULTI_SUBNET_FAILOVER"),
        driver=os.environ.get(name + "DRIVER") or None,
        threads=_number(name + "THREADS", 2),
        max_rows_per_second=_number(name + "MAX_ROWS_PER_SECOND", 0.0),
        connect_timeout_seconds=_number(name + "CONNECT_TIMEOUT_SECONDS", 15),
        lock_timeout_seconds=_number(name + "LOCK_TIMEOUT_SECONDS", 60.0),
        snapshot_max_age_seconds=_number(name + "SNAPSHOT_MAX_AGE_SECONDS", 4 * 3600.0),
        nul_characters=_one_of(name + "NUL_CHARACTERS", "keep", get_args(NulCharacters)),
        bulk_utility=os.environ.get(name + "BULK_UTILITY") or None,
        bulk_utility_min_mb=_number(name + "BULK_UTILITY_MIN_MB", 0.0),
        bulk_options=options_from_environment("sqlserver"),
    )


def _text(name: str, default: str) -> str:
    return os.environ.get(name) or default


def _number(name: str, default: _Number) -> _Number:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return type(default)(text)
    except ValueError:
        kind = "whole number" if isinstance(default, int) else "number"
        raise SettingError(f"{name} is {text!r}: use a {kind}") from None


def _one_of(name: str, default: str, known: tuple[Any, ...]) -> Any:  # noqa: ANN401 - one of a Literal's values
    text = _text(name, default)
    if text not in known:
        raise SettingError(f"{name} is {text!r}: use {', '.join(known)}")
    return text


def _yes(name: str) -> bool:
    return bool(_one_of(name, "no", ("yes", "no")) == "yes")
