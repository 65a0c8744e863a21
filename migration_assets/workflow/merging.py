"""Defaults merged into each table, with a memory of where every value was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from migration_assets.workflow.errors import Location

JsonObject = Mapping[str, object]

DEFAULTS_KEY = "defaultTableConfiguration"

# The objects whose keys are merged one by one. Everything else, partitionSize included, replaces as a whole.
_MERGED_OBJECTS: frozenset[Location] = frozenset(
    {("source",), ("target",), ("target", "icebergConfig"), ("synchronization",), ("extraction",)}
)

# Keys that mean something under one choice only: a table that chooses otherwise doesn't inherit them.
# {object: (key that chooses, {key: the choice it belongs to})}
_DEPENDENT_KEYS: dict[Location, tuple[str, dict[str, str]]] = {
    ("synchronization",): (
        "strategy",
        dict.fromkeys(
            ("watermarkColumn", "trackModifications", "lookback", "trackDeletions", "deletionLimit"), "watermark"
        ),
    ),
    ("extraction",): ("strategy", {"externalStage": "unload", "bulkUtility": "regular"}),
    ("target",): ("tableType", {"icebergConfig": "iceberg"}),
}


@dataclass(frozen=True)
class Merged:
    """One table with its defaults.

    Args:
        index: Position of the table in `tables`.
        values: The merged JSON object.
        inherited: Locations in `values` that came whole from the defaults.
    """

    index: int
    values: dict[str, object]
    inherited: frozenset[Location]

    def written_at(self, location: Location) -> Location:
        """Where in the file the user wrote, or would write, the value at `location` of the merged table."""
        if any(location[:length] in self.inherited for length in range(1, len(location) + 1)):
            return (DEFAULTS_KEY, *location)
        return ("tables", self.index, *location)


def merge(defaults: JsonObject, table: JsonObject, index: int) -> Merged:
    """The table with every default that it doesn't set itself; a null in the table takes a default away."""
    inherited: set[Location] = set()
    values = _merge_object(defaults, table, (), inherited)
    return Merged(index, values, frozenset(inherited))


def merged_tables(content: JsonObject) -> Iterator[Merged]:
    """Every table of a workflow's JSON object that is an object itself."""
    defaults = content.get(DEFAULTS_KEY)
    tables = content.get("tables")
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        if isinstance(table, dict):
            yield merge(defaults if isinstance(defaults, dict) else {}, table, index)


def _merge_object(
    defaults: JsonObject, own: JsonObject, location: Location, inherited: set[Location]
) -> dict[str, object]:
    inheritable = _inheritable(defaults, own, location)
    merged: dict[str, object] = {}
    for key in {**inheritable, **own}:
        place = (*location, key)
        default = inheritable.get(key)
        deeper = place in _MERGED_OBJECTS and isinstance(default, Mapping)
        value = own.get(key, {} if deeper else default)
        if key in inheritable and value is None:
            continue
        if deeper and isinstance(default, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge_object(default, value, place, inherited)
            continue
        merged[key] = value
        if key not in own:
            inherited.add(place)
    return merged


def _inheritable(defaults: JsonObject, own: JsonObject, location: Location) -> JsonObject:
    chooser, dependents = _DEPENDENT_KEYS.get(location, ("", {}))
    if chooser not in own:
        return defaults
    return {key: value for key, value in defaults.items() if dependents.get(key, own[chooser]) == own[chooser]}
