"""The dynamic partitions of a table in Dagster follow its plan."""

from __future__ import annotations

import time

import dagster as dg
import pytest

from migration_assets.assets.generations import set_partition_keys
from migration_assets.planning.division import partition_key
from migration_assets_tests.stubs import table_plan


def keys(count: int) -> list[str]:
    return [partition_key(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("counts", [(3,), (5, 2), (2, 5), (5, 1, 7), (9_998, 10_002, 9_999, 10_001)])
def test_the_keys_are_exactly_those_of_the_last_plan_in_its_order(counts: tuple[int, ...]) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for count in counts:
            set_partition_keys(instance, table_plan(keys(count)))

            assert list(instance.get_dynamic_partitions("sales/orders")) == keys(count)


def test_the_keys_of_other_tables_stay_as_they_are() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        set_partition_keys(instance, table_plan(keys(3), table="customers"))
        set_partition_keys(instance, table_plan(keys(1)))

        assert list(instance.get_dynamic_partitions("sales/customers")) == keys(3)


def test_a_hundred_thousand_keys_take_seconds() -> None:
    plan = table_plan(["0001"])
    part = plan.partitions[0]
    plan = plan.model_copy(update={"partitions": tuple(part.model_copy(update={"key": key}) for key in keys(100_000))})
    with dg.DagsterInstance.ephemeral() as instance:
        begun = time.monotonic()
        set_partition_keys(instance, plan)
        assert time.monotonic() - begun < 20
