"""The ledger as a Dagster resource."""

from __future__ import annotations

from functools import cached_property

from dagster import ConfigurableResource

from migration_assets.resources.ledger.ledger import Ledger


class LedgerResource(ConfigurableResource):  # type: ignore[type-arg]
    """Opens the ledger.

    Attributes:
        url: `sqlite:///path`, or `postgresql+psycopg2://user:password@host/database`.
        lock_wait_seconds: how long a run waits while another one moves the same table.
    """

    url: str
    lock_wait_seconds: float = 300

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger; it connects at the first use."""
        return Ledger(self.url)
