"""The ledger as a Dagster resource."""

from __future__ import annotations

from functools import cached_property

from dagster import ConfigurableResource

from migration_assets.resources.ledger.ledger import Ledger


class LedgerResource(ConfigurableResource):  # type: ignore[type-arg]
    """Opens the ledger.

    Attributes:
        url: `sqlite:///path`, or `postgresql+psycopg2://user:password@host/database`.
    """

    url: str

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger; it connects at the first use."""
        return Ledger(self.url)
