"""The statements of the internal stage (see `snowflake_double`)."""

from __future__ import annotations

import glob
import re
from pathlib import Path

import pytest

from migration_assets.resources.stages.base import StageError
from migration_assets.resources.stages.snowflake import SnowflakeInternalStage, stage_name
from migration_assets_tests.resources.snowflake_double import (
    SnowflakeDouble,
    account,
    failure,
    snowflake_double,
)

__all__ = ["snowflake_double"]

_LOCAL_FILE = re.compile(r"'file://([^']+)'")


@pytest.fixture
def stage(snowflake_double: SnowflakeDouble) -> SnowflakeInternalStage:
    return SnowflakeInternalStage(snowflake=account(), stage='ops."Landing Zone".files', prefix="/it's/root/")


def local_file(statement: str) -> str:
    match = _LOCAL_FILE.search(statement)
    assert match
    return match.group(1)


def without_local_file(statement: str) -> str:
    return _LOCAL_FILE.sub("<local file>", statement)


NAMES = [
    ("ops.landing.files", '"OPS"."LANDING"."FILES"'),
    ('"Ops"."Landing Zone".files', '"Ops"."Landing Zone"."FILES"'),
    ('a."b""c"."d.e"', '"A"."b""c"."d.e"'),
]


@pytest.mark.parametrize(("written", "quoted"), NAMES)
def test_a_stage_s_name_is_quoted_and_folded(written: str, quoted: str) -> None:
    assert stage_name(written) == quoted


@pytest.mark.parametrize("written", ["", "files", "landing.files", "a.b.c.d", "a.b.c; DROP", "@a.b.c"])
def test_another_name_is_refused(written: str) -> None:
    with pytest.raises(StageError, match=r"DATABASE\.SCHEMA\.STAGE"):
        stage_name(written)


def test_the_address_names_stage_and_folder(stage: SnowflakeInternalStage) -> None:
    assert stage.uri == 'snowflake://@"OPS"."Landing Zone"."FILES"/it\'s/root'
    assert stage.uri_of("a/b.parquet").endswith("/it's/root/a/b.parquet")
    assert SnowflakeInternalStage(snowflake=account(), stage="a.b.c").uri == 'snowflake://@"A"."B"."C"'


def test_a_file_is_uploaded_when_it_is_whole(stage: SnowflakeInternalStage, snowflake_double: SnowflakeDouble) -> None:
    uploaded: list[bytes] = []

    def put(statement: str) -> list[dict[str, str]]:
        uploaded.extend(Path(name).read_bytes() for name in glob.glob(local_file(statement)))  # noqa: PTH207
        return [{"source": "x", "target": "x", "status": "UPLOADED"}]

    snowflake_double.answer("PUT", put)

    with stage.open_output("p 1/part[1].parquet") as output:
        output.write(b"abc")
        assert snowflake_double.statements == []

    assert uploaded == [b"abc"]
    (statement,) = snowflake_double.take_statements()
    assert without_local_file(statement) == (
        'PUT <local file> \'@"OPS"."Landing Zone"."FILES"/it\\\'s/root/p 1\' '
        "AUTO_COMPRESS=FALSE OVERWRITE=TRUE PARALLEL=4"
    )
    assert not Path(local_file(statement)).parent.exists()


def test_a_file_that_failed_is_not_uploaded(stage: SnowflakeInternalStage, snowflake_double: SnowflakeDouble) -> None:
    with pytest.raises(ZeroDivisionError), stage.open_output("a.parquet") as output:
        output.write(b"%d" % (1 // 0))

    assert snowflake_double.statements == []


@pytest.mark.parametrize("rows", [[], [{"source": "x", "status": "SKIPPED"}]])
def test_an_upload_that_is_not_confirmed_is_an_error(
    stage: SnowflakeInternalStage, snowflake_double: SnowflakeDouble, rows: list[dict[str, str]]
) -> None:
    snowflake_double.answer("PUT", rows)

    with pytest.raises(StageError, match="not confirmed"):
        stage.write_bytes("a/manifest.json", b"{}")


def test_a_file_is_downloaded(stage: SnowflakeInternalStage, snowflake_double: SnowflakeDouble) -> None:
    def get(statement: str) -> list[dict[str, str]]:
        Path(local_file(statement), "manifest.json").write_bytes(b"{}")
        return [{"file": "manifest.json", "status": "DOWNLOADED"}]

    snowflake_double.answer("GET", get)

    assert stage.read_bytes("a/manifest.json") == b"{}"
    (statement,) = snowflake_double.take_statements()
    assert without_local_file(statement) == (
        'GET \'@"OPS"."Landing Zone"."FILES"/it\\\'s/root/a/manifest.json\' <local file> '
        "PATTERN='.*manifest\\\\.json$'"
    )


def test_a_file_that_is_missing_is_an_error(stage: SnowflakeInternalStage) -> None:
    with pytest.raises(StageError, match=r"there is no file a/manifest\.json"):
        stage.read_bytes("a/manifest.json")


def test_files_are_listed_relative_to_the_root(
    stage: SnowflakeInternalStage, snowflake_double: SnowflakeDouble
) -> None:
    names = ["files/it's/root/a/2.parquet", "files/it's/root/a/1.parquet"]
    snowflake_double.answer("LIST", [{"name": name, "size": 1} for name in names])

    assert stage.list_files("a") == ["a/1.parquet", "a/2.parquet"]
    assert snowflake_double.take_statements() == ['LIST \'@"OPS"."Landing Zone"."FILES"/it\\\'s/root/a/\'']


def test_a_folder_or_exactly_one_file_is_deleted(
    stage: SnowflakeInternalStage, snowflake_double: SnowflakeDouble
) -> None:
    stage.delete("a/part-1")
    stage.delete("")

    root = '@"OPS"."Landing Zone"."FILES"/it\\\'s/root'
    assert snowflake_double.take_statements() == [
        f"REMOVE '{root}/a/part-1/'",
        f"REMOVE '{root}/a/part-1' PATTERN='.*part\\\\-1$'",
        f"REMOVE '{root}/'",
    ]


def test_errors_name_stage_and_path(stage: SnowflakeInternalStage, snowflake_double: SnowflakeDouble) -> None:
    snowflake_double.answer("", failure("Stage 'OPS' does not exist or not authorized."))

    with pytest.raises(StageError, match=r"FILES.*LIST of a/b failed.*not authorized.*01b2-query-id"):
        stage.list_files("a/b")
