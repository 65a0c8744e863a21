"""A stage on any filesystem that pyarrow speaks: a local folder, or a prefix of an S3 bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import BinaryIO, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pyarrow as pa
from dagster import ConfigurableResource
from pyarrow import fs

from migration_assets.resources.stages.base import Stage, StageError

RETRIES_OF_THE_OBJECT_STORE = 5


class FileSystemStage(ConfigurableResource, Stage):  # type: ignore[type-arg]
    """A stage at a `file:///folder` or `s3://bucket/prefix` address.

    Attributes:
        url: the root of the stage.
        external_stage: the Snowflake external stage (`DB.SCHEMA.STAGE`) that shows the same root; needed
            when Snowflake is the warehouse.
        s3_region: region of the bucket; found by the SDK when empty.
        s3_endpoint: address of an S3-compatible server, such as `http://127.0.0.1:9000`; empty is AWS.

    Credentials come from the SDK's own chain (environment, profile, instance role), never from the URL.
    """

    url: str
    external_stage: str | None = None
    s3_region: str = ""
    s3_endpoint: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the files are on this machine's disk."""
        return urlsplit(self.url).scheme in ("", "file")

    @property
    def uri(self) -> str:
        return self.url

    @property
    def base_path(self) -> str:
        """The root inside `filesystem`, without a slash at the end."""
        scheme, separator, path = self.url.partition("://")
        if not separator:
            return self.url.rstrip("/")
        # A file URL writes special characters as %20 and so on; an object's key is written as it is.
        return (url2pathname(urlsplit(self.url).path) if scheme == "file" else path).rstrip("/")

    @cached_property
    def filesystem(self) -> fs.FileSystem:
        """The filesystem that holds the stage.

        Raises:
            StageError: the address has a scheme that this stage doesn't speak.
        """
        if self.is_local:
            return fs.LocalFileSystem()
        scheme = urlsplit(self.url).scheme
        if "@" in urlsplit(self.url).netloc:
            raise StageError(
                f"the {scheme} stage's address holds credentials, which every log would show: "
                "give them in the SDK's environment variables"
            )
        if scheme != "s3":
            raise StageError(f"stage {self.url}: the scheme {scheme!r} is not known; use file:// or s3://")
        endpoint = urlsplit(self.s3_endpoint)
        return fs.S3FileSystem(
            region=self.s3_region or None,
            endpoint_override=endpoint.netloc or None,
            scheme=endpoint.scheme or "https",
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=RETRIES_OF_THE_OBJECT_STORE),
            connect_timeout=10,
            request_timeout=60,
        )

    @contextmanager
    def open_output(self, path: str) -> Iterator[BinaryIO]:
        full = self._full(path)
        try:
            if self.is_local:
                self.filesystem.create_dir(full.rpartition("/")[0], recursive=True)
            with self.filesystem.open_output_stream(full) as stream:
                yield cast(BinaryIO, stream)
        except OSError as error:
            raise self._failure("write", path, error) from error

    def write_bytes(self, path: str, content: bytes) -> None:
        # An object store shows an object only when it is whole; on a disk the rename does it.
        full = self._full(path)
        temporary = f"{full}.partial" if self.is_local else full
        try:
            if self.is_local:
                self.filesystem.create_dir(full.rpartition("/")[0], recursive=True)
            with self.filesystem.open_output_stream(temporary) as stream:
                stream.write(content)
            if self.is_local:
                self.filesystem.move(temporary, full)
        except OSError as error:
            raise self._failure("write", path, error) from error

    def read_bytes(self, path: str) -> bytes:
        try:
            with self.filesystem.open_input_stream(self._full(path)) as stream:
                return bytes(stream.read())
        except OSError as error:
            raise self._failure("read", path, error) from error

    def sizes(self, prefix: str) -> dict[str, int]:
        selector = fs.FileSelector(self._full(prefix), recursive=True, allow_not_found=True)
        skipped = len(self.base_path) + 1
        try:
            found = self.filesystem.get_file_info(selector)
        except OSError as error:
            raise self._failure("list", prefix, error) from error
        return {info.path[skipped:]: int(info.size) for info in found if info.type == fs.FileType.File}

    def delete(self, prefix: str) -> None:
        full = self._full(prefix)
        try:
            info = self.filesystem.get_file_info(full)
            if info.type == fs.FileType.Directory:
                self.filesystem.delete_dir(full)
            elif info.type == fs.FileType.File:
                self.filesystem.delete_file(full)
        except OSError as error:
            raise self._failure("delete", prefix, error) from error

    def _full(self, path: str) -> str:
        return f"{self.base_path}/{path}".rstrip("/")

    def _failure(self, verb: str, path: str, error: OSError | pa.ArrowException) -> StageError:
        return StageError(f"stage {self.url}: can't {verb} {path}: {error}")
