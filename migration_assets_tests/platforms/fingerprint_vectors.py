"""The golden vectors of fingerprint spec v1, read from docs/fingerprint-vectors.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration_assets.platforms.canonical import CanonicalKind, CanonicalType
from migration_assets.platforms.types import ColumnType, Kind

FILE = Path(__file__).parents[2] / "docs" / "fingerprint-vectors.json"
DOCUMENT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Vector:
    """Values of one type, as text, with their tokens; None is NULL."""

    type: ColumnType
    canonical: CanonicalType
    values: tuple[str | None, ...]
    tokens: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type} as {self.canonical}"


def vectors(part: str) -> list[Vector]:
    """The vectors in a part of the file: `values`, which every platform has, or `values_of_some_systems`."""
    return [
        Vector(
            ColumnType(**{**entry["type"], "kind": Kind(entry["type"]["kind"])}),
            canonical(entry["compared_as"]),
            tuple(value["value"] for value in entry["values"]),
            tuple(value["token"] for value in entry["values"]),
        )
        for entry in DOCUMENT[part]
    ]


def canonical(text: str) -> CanonicalType:
    """The canonical type that `str` has written."""
    name, _, digits = text.rstrip(")").partition("(")
    return CanonicalType(CanonicalKind(name), int(digits or 0))
