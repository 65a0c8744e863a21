"""Which utility reads a table: the one that the workflow names, else the source's own for tables of a size."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import ValidationError

from migration_assets.resources.sources.base import SourceError
from migration_assets.resources.sources.bulk_utilities.base import BulkOptions, BulkUtility
from migration_assets.resources.sources.bulk_utilities.bcp import Bcp

BULK_UTILITIES: Mapping[str, type[BulkUtility]] = MappingProxyType({utility.name: utility for utility in (Bcp,)})
"""All utilities, by the name that workflows and settings use."""

NONE = "none"
"""In a table: no utility, whatever the source's settings say."""

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class BulkSettings:
    """A source's utilities.

    Attributes:
        platform: the source's.
        preferred: the utility of tables that name none; None is none.
        min_megabytes: the estimated size from which on it reads them.
        options: of each utility, as text.
    """

    platform: str
    preferred: str | None = None
    min_megabytes: float = 0
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def choose(self, asked: str | None, table_bytes: int, login: object, *, strict: bool) -> BulkUtility | None:
        """The utility that reads a table; None where the driver does.

        Args:
            asked: the workflow's choice; None is none.
            login: the source's.
            strict: all partitions have to see one state, which processes can't share.

        Raises:
            SourceError: there is no such utility, it isn't installed, or it can't read what was asked of it.
        """
        if asked == NONE:
            return None
        if asked is not None:
            utility = self.utility(asked, login)
            if strict:
                raise SourceError(
                    f"{asked} can't read with strict consistency: its processes see a state of the source each. Set "
                    f'"bulkUtility": "{NONE}" for the table, or consistency to "snapshot"'
                )
        elif self.preferred is not None and not strict and table_bytes >= self.min_megabytes * _MEGABYTE:
            utility = self.utility(self.preferred, login)
        else:
            return None
        utility.check()
        utility.executable()
        return utility

    def utility(self, name: str, login: object) -> BulkUtility:
        """A utility with its options.

        Raises:
            SourceError: there is no such utility for the platform, or its options are wrong.
        """
        kind = BULK_UTILITIES.get(name)
        if kind is None or kind.platform != self.platform:
            known = ", ".join(f"{known} (of {utility.platform})" for known, utility in BULK_UTILITIES.items())
            raise SourceError(
                f"{name!r} is no bulk utility of {self.platform}: those that are known are {known}; or "
                f'set "bulkUtility": "{NONE}"'
            )
        return kind(parse_options(kind, self.platform, self.options.get(name, {})), login)


def parse_options(utility: type[BulkUtility], platform: str, texts: Mapping[str, str]) -> BulkOptions:
    """A utility's options from their texts.

    Raises:
        SourceError: one is unknown or has a wrong value; the text names its variable.
    """
    try:
        return utility.Options.model_validate(texts)
    except ValidationError as error:
        problems = "; ".join(
            f"{'_'.join([variable_prefix(platform, utility.name), *map(str, found['loc'])]).upper()}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False)
        )
        known = ", ".join(name.upper() for name in utility.Options.model_fields)
        raise SourceError(f"options of {utility.name} can't be used: {problems} (there are {known})") from None


def options_from_environment(platform: str, variables: Mapping[str, str] = os.environ) -> dict[str, dict[str, str]]:
    """The options of a platform's utilities, from variables such as `SOURCE_SQLSERVER_BCP_PACKET_SIZE`."""
    options = {}
    for utility in BULK_UTILITIES.values():
        prefix = variable_prefix(platform, utility.name) + "_"
        if utility.platform == platform:
            options[utility.name] = {
                variable.removeprefix(prefix).lower(): text
                for variable, text in variables.items()
                if variable.startswith(prefix) and text
            }
    return options


def variable_prefix(platform: str, utility: str) -> str:
    """What the names of a utility's variables begin with."""
    return f"SOURCE_{platform.upper()}_{utility.upper()}"
