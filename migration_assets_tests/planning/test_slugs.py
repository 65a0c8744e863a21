"""The short names of tables."""

from __future__ import annotations

import re
from typing import Any

from migration_assets.planning import table_slugs
from migration_assets_tests.planning.catalogue import workflow_of

PLAIN = re.compile(r"[A-Za-z0-9_]+")


def table(name: str, schema: str = "public", target: str | None = None) -> dict[str, Any]:
    return {
        "source": {"tableName": name, "schemaName": schema},
        "target": {"tableName": target or f'"{schema}.{name.replace(chr(34), "")}"'},
    }


def slugs(*tables: dict[str, Any]) -> list[str]:
    found = table_slugs(workflow_of(*tables).tables)
    assert all(PLAIN.fullmatch(slug) for slug in found)
    assert len({slug.lower() for slug in found}) == len(found)
    return found


def test_a_plain_name_that_is_unique_stays_as_it_is() -> None:
    assert slugs(table("orders"), table("Customers"), table('"Items"'), table("_1")) == [
        "orders",
        "Customers",
        "Items",
        "_1",
    ]


def test_a_name_with_other_characters_keeps_its_letters_and_gets_a_digest() -> None:
    spaced, dashed, dotted = slugs(table('"my orders"'), table('"my-orders"'), table('"my.orders"'))

    assert all(re.fullmatch(r"my_orders_[0-9a-f]{6}", slug) for slug in (spaced, dashed, dotted))


def test_a_name_of_another_script_is_only_a_digest() -> None:
    first, second = slugs(table("注文"), table("顧客"))

    assert re.fullmatch(r"[0-9a-f]{6}", first)
    assert re.fullmatch(r"[0-9a-f]{6}", second)


def test_tables_of_one_name_are_told_apart_by_schema_and_digest() -> None:
    first, second, other = slugs(table("orders", "eu"), table("orders", "us"), table("customers"))

    assert re.fullmatch(r"eu_orders_[0-9a-f]{6}", first)
    assert re.fullmatch(r"us_orders_[0-9a-f]{6}", second)
    assert other == "customers"


def test_names_that_differ_only_in_case_are_told_apart() -> None:
    assert len(slugs(table('"Orders"'), table("orders"), table('"ORDERS"'))) == 3


def test_one_table_with_two_targets_has_two_names() -> None:
    assert len(slugs(table("orders", target="a"), table("orders", target="b"))) == 2


def test_the_same_file_gives_the_same_names_in_any_order() -> None:
    tables = [table("orders", "eu"), table("orders", "us"), table('"my orders"')]

    assert slugs(*tables) == list(reversed(slugs(*reversed(tables))))
