"""What the format allows and this version can't do is refused by name, with its place."""

from __future__ import annotations

import pytest

from migration_assets.workflow import unsupported
from migration_assets_tests.workflow.documents import TYPICAL, Json, parse, problems, table, workflow

ICEBERG = {"tableType": "iceberg", "icebergConfig": {"externalVolume": "v"}}

# (platform, document, paths)
NOT_BUILT: dict[str, tuple[str, Json, list[str]]] = {
    "nothing": ("postgresql", workflow(), []),
    "platform": ("teradata", workflow(), ["$.sourcePlatform"]),
    "platform in the file": ("redshift", workflow(sourcePlatform="redshift"), ["$.sourcePlatform"]),
    "iceberg": ("postgresql", workflow(table(target=ICEBERG)), ["$.tables[0].target.tableType"]),
    "checksum": ("postgresql", workflow(table(synchronization={"strategy": "checksum"})), []),
    "the typical unload, once for all its tables": (
        *TYPICAL["unload"],
        ["$.sourcePlatform", "$.defaultTableConfiguration.extraction.strategy"],
    ),
    "the typical basic": (*TYPICAL["basic"], []),
    "the typical watermark": (*TYPICAL["watermark"], []),
}


@pytest.mark.parametrize(("platform", "document", "paths"), NOT_BUILT.values(), ids=NOT_BUILT.keys())
def test_a_loaded_workflow_says_what_is_not_built(platform: str, document: Json, paths: list[str]) -> None:
    found = unsupported(parse(document, platform))
    assert [problem.path for problem in found] == paths
    assert all("not built yet" in problem.message and problem.cure for problem in found)


@pytest.mark.parametrize(("platform", "document", "paths"), NOT_BUILT.values(), ids=NOT_BUILT.keys())
def test_loading_refuses_it_unless_asked_not_to(platform: str, document: Json, paths: list[str]) -> None:
    assert [problem.path for problem in problems(document, platform, require_supported=True)] == paths


def test_it_is_reported_together_with_other_problems() -> None:
    document = workflow(table(target={"tableType": "iceberg"}, metricsCheck=0))
    assert [problem.path for problem in problems(document, require_supported=True)] == [
        "$.tables[0].target.icebergConfig",
        "$.tables[0].target.tableType",
        "$.tables[0].metricsCheck",
    ]
