"""The stage on a disk and in a bucket: the same promises, one suite."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from migration_assets.resources.stages.base import StageError
from migration_assets.resources.stages.filesystem import FileSystemStage
from migration_assets_tests.servers import S3Bucket

ODD_NAMES = ("with space", "żółw", "100%", "a%20b", "a+b", "a&b=c", "#1", "what?", "[x]*", "it's", "a\\b", "~a", "a..b")


def of_bucket(bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, prefix: str = "/stage") -> FileSystemStage:
    for name, value in bucket.server.environment().items():
        if "ENDPOINT" not in name:
            monkeypatch.setenv(name, value)
    return FileSystemStage(
        url=f"{bucket.url}{prefix}", s3_region=bucket.server.region, s3_endpoint=bucket.server.endpoint_url
    )


@pytest.fixture(params=["disk", "bucket"])
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSystemStage:
    if request.param == "disk":
        return FileSystemStage(url=(tmp_path / "stage").as_uri())
    return of_bucket(request.getfixturevalue("s3_bucket"), monkeypatch)


def write(stage: FileSystemStage, path: str, content: bytes) -> None:
    with stage.open_output(path) as output:
        output.write(content)


def test_what_is_written_is_read(stage: FileSystemStage) -> None:
    write(stage, "a/b/data.parquet", b"data")
    stage.write_bytes("a/manifest.json", b"{}")

    assert stage.read_bytes("a/b/data.parquet") == b"data"
    assert stage.read_bytes("a/manifest.json") == b"{}"
    assert stage.list_files("a") == ["a/b/data.parquet", "a/manifest.json"]


def test_a_small_file_is_replaced(stage: FileSystemStage) -> None:
    stage.write_bytes("manifest.json", b"the first, and longer")
    stage.write_bytes("manifest.json", b"the second")

    assert stage.read_bytes("manifest.json") == b"the second"
    assert stage.list_files("") == ["manifest.json"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_taken_literally(stage: FileSystemStage, name: str) -> None:
    path = f"{name}/sub {name}/{name}.json"
    stage.write_bytes(path, b"x")

    assert stage.list_files(name) == [path]
    assert stage.read_bytes(path) == b"x"
    stage.delete(name)
    assert stage.list_files("") == []


def test_a_folder_is_not_confused_with_one_whose_name_begins_alike(stage: FileSystemStage) -> None:
    stage.write_bytes("g000001/a", b"1")
    stage.write_bytes("g0000010/a", b"10")

    assert stage.list_files("g000001") == ["g000001/a"]
    stage.delete("g000001")
    assert stage.list_files("") == ["g0000010/a"]


def test_there_is_nothing_in_a_folder_that_does_not_exist(stage: FileSystemStage) -> None:
    assert stage.list_files("nowhere") == []


def test_deleting_may_be_repeated(stage: FileSystemStage) -> None:
    write(stage, "a/1", b"")
    write(stage, "a/2", b"")
    write(stage, "b", b"")

    for _ in range(2):
        stage.delete("a")
        stage.delete("b")
        stage.delete("never/was/there")

    assert stage.list_files("") == []
    write(stage, "a/1", b"again")
    assert stage.list_files("a") == ["a/1"]


def test_a_missing_file_is_an_error_that_names_it(stage: FileSystemStage) -> None:
    with pytest.raises(StageError, match=r"can't read a/missing\.json"):
        stage.read_bytes("a/missing.json")


def test_the_address_of_a_file_is_told_without_a_double_slash(stage: FileSystemStage) -> None:
    assert stage.uri_of("a/b") == f"{stage.url}/a/b"
    assert FileSystemStage(url=f"{stage.url}/").uri_of("a/b") == f"{stage.url}/a/b"


def test_an_error_of_the_writer_passes_through(stage: FileSystemStage) -> None:
    def broken() -> None:
        with stage.open_output("a/b") as output:
            output.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    stage.delete("a")
    assert stage.list_files("") == []


def test_no_reader_sees_half_a_manifest(stage: FileSystemStage) -> None:
    contents = [bytes([number]) * 200_000 for number in range(30)]
    stage.write_bytes("manifest.json", contents[0])
    done = threading.Event()
    seen: set[bytes] = set()

    def look() -> None:
        while not done.is_set():
            seen.add(stage.read_bytes("manifest.json"))

    reader = threading.Thread(target=look)
    reader.start()
    for content in contents:
        stage.write_bytes("manifest.json", content)
    done.set()
    reader.join()

    assert seen <= set(contents)


def test_a_process_that_is_killed_while_it_writes_leaves_whole_manifests_only(tmp_path: Path) -> None:
    program = f"""
from itertools import count
from migration_assets.resources.stages.filesystem import FileSystemStage
stage = FileSystemStage(url={(tmp_path / "stage").as_uri()!r})
for number in count():
    stage.write_bytes(f"manifests/{{number % 50}}.json", bytes(1_000_000))
    print(number, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)

    stage = FileSystemStage(url=(tmp_path / "stage").as_uri())
    whole = [path for path in stage.list_files("") if not path.endswith(".partial")]
    assert len(whole) >= 20
    assert {len(stage.read_bytes(path)) for path in whole} == {1_000_000}


# -- where the stage is -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "with space", "żółw", "100%", "a%20b", "#1", "what?"])
def test_a_stage_on_a_disk_is_in_the_folder_that_its_url_names(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    FileSystemStage(url=folder.as_uri()).write_bytes("a/b", b"x")

    assert (folder / "a" / "b").read_bytes() == b"x"
    assert FileSystemStage(url=str(folder)).list_files("") == ["a/b"]
    assert FileSystemStage(url=f"{folder.as_uri()}/").list_files("a") == ["a/b"]


@pytest.mark.parametrize("prefix", ["", "/", "/stage", "/stage/", "/with space/100%"])
def test_a_stage_in_a_bucket_is_under_its_prefix(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    stage = of_bucket(s3_bucket, monkeypatch, prefix)
    stage.write_bytes("a/b", b"x")

    assert [key for key in s3_bucket.object_keys() if not key.endswith("/")] == [f"{prefix}/a/b".replace("//", "/")[1:]]
    assert stage.list_files("") == ["a/b"]


def test_a_scheme_that_is_not_known_is_refused() -> None:
    with pytest.raises(StageError, match=r"'ftp' is not known; use file:// or s3://"):
        FileSystemStage(url="ftp://host/folder").list_files("")


def test_a_folder_that_can_not_be_made_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stage = FileSystemStage(url=(tmp_path / "file").as_uri())

    with pytest.raises(StageError, match=r"can't write a/b"):
        stage.write_bytes("a/b", b"")
    with pytest.raises(StageError, match=r"can't write a/c"):
        write(stage, "a/c", b"")


def test_a_full_disk_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    stage = FileSystemStage(url=tmp_path.as_uri())

    with pytest.raises(StageError, match=r"can't write full: .*No space left"):
        write(stage, "full", b"x" * 100_000)


def test_a_bucket_that_does_not_exist_is_an_error_that_names_the_path(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = of_bucket(S3Bucket(s3_bucket.server, "no-such-bucket"), monkeypatch)

    with pytest.raises(StageError, match=r"s3://no-such-bucket/stage: can't write a/b") as written:
        stage.write_bytes("a/b", b"x")
    with pytest.raises(StageError, match="can't write a/c"):
        write(stage, "a/c", b"x")
    with pytest.raises(StageError, match="can't read a/b"):
        stage.read_bytes("a/b")
    assert s3_bucket.server.secret_key not in str(written.value)


def test_a_server_that_is_not_there_is_an_error_without_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex(16)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIACANARY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setattr("migration_assets.resources.stages.filesystem.RETRIES_OF_THE_OBJECT_STORE", 1)
    stage = FileSystemStage(url="s3://bucket/stage", s3_region="us-east-1", s3_endpoint="http://127.0.0.1:1")

    with pytest.raises(StageError, match="can't write a/b") as caught:
        stage.write_bytes("a/b", b"x")

    assert secret not in str(caught.value)
    assert "AKIACANARY" not in str(caught.value)


def test_credentials_in_the_address_are_refused_and_not_shown() -> None:
    with pytest.raises(StageError, match="holds credentials") as caught:
        FileSystemStage(url="s3://AKIACANARY:canary-secret@bucket/stage").list_files("")

    assert "canary" not in str(caught.value).lower()


def test_a_process_that_used_a_bucket_ends(s3_bucket: S3Bucket) -> None:
    program = f"""
from migration_assets.resources.stages.filesystem import FileSystemStage
stage = FileSystemStage(url={s3_bucket.url!r}, s3_region="us-east-1", s3_endpoint={s3_bucket.server.endpoint_url!r})
stage.write_bytes("a", b"x")
"""
    environment = {**os.environ, **s3_bucket.server.environment()}
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60, env=environment)

    assert s3_bucket.object_keys() == ["a"]
