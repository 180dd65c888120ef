"""Lake folders: the files of a source's location, and a token that changes with any of them."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from metadata_sync.analysis.lake_location import file_pattern, partition_columns, read_parquet
from metadata_sync.errors import ConfigurationError, SoftRunError
from metadata_sync.project import Project

_WILDCARDS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file of a source: name, size in bytes, etag or modification time, and when it was modified (UTC)."""

    name: str
    size_bytes: int
    version: str
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LakeFolder:
    """A source's location, resolved.

    Attributes:
        location: The row's location.
        pattern: The glob of its files: an absolute path or an s3 URI.
        root: The folder that local files must be in after links are followed.
    """

    location: str
    pattern: str
    root: Path

    @property
    def relation(self) -> str:
        """The folder as a table expression of DuckDB."""
        return read_parquet(self.pattern, is_partitioned=bool(partition_columns(self.location)))

    @property
    def is_remote(self) -> bool:
        """Whether it is in S3."""
        return self.pattern.startswith("s3://")


def resolve_folder(project: Project, location: str) -> LakeFolder:
    """Resolve a source's location against the project's root.

    Args:
        project: The project.
        location: `s3://…`, or a path below the project: a folder, a file or a glob.

    Raises:
        ValueError: When a path leaves the project.
    """
    return LakeFolder(location, file_pattern(project, location), project.root)


def list_files(folder: LakeFolder) -> tuple[LakeFile, ...]:
    """List the files of a folder by name.

    Raises:
        ValueError: When the folder itself is missing, or a link in it leads out of the project.
        ConfigurationError: When it is in S3 and boto3 is not installed.
        SoftRunError: When S3 does not answer, or refuses.
    """
    found = _list_s3(folder) if folder.is_remote else _list_local(folder)
    return tuple(sorted(found, key=lambda file: file.name))


def change_token(files: Iterable[LakeFile]) -> str:
    """Return a token that changes when a file is added, removed or rewritten.

    Args:
        files: The listing, in any order.

    Returns:
        A SHA-256 over names, sizes and versions, in hexadecimal.
    """
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda item: item.name):
        digest.update(f"{file.name}\0{file.size_bytes}\0{file.version}\n".encode())
    return digest.hexdigest()


def _list_local(folder: LakeFolder) -> Iterator[LakeFile]:
    root = _fixed_part(folder.pattern)
    if not root.exists():
        raise ValueError(f"{root} does not exist (location: {folder.location})")
    for name in glob.iglob(folder.pattern, recursive=True):  # noqa: PTH207 - Path.glob takes no absolute pattern
        if not Path(name).resolve().is_relative_to(folder.root):
            raise ValueError(f"{name} is a link that leads out of the project {folder.root}")
        status = Path(name).stat()
        came = datetime.fromtimestamp(status.st_mtime, UTC)
        yield LakeFile(Path(name).relative_to(root).as_posix(), status.st_size, str(status.st_mtime_ns), came)


def _fixed_part(pattern: str) -> Path:
    """Return the folder above the first wildcard; for a plain file, its folder."""
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if not _WILDCARDS.isdisjoint(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _list_s3(folder: LakeFolder) -> Iterator[LakeFile]:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise ConfigurationError(
            f"{folder.location} is in S3, and boto3 is not installed.", "pip install 'sluice-data[aws]'"
        ) from error
    from fnmatch import fnmatchcase

    address = urlsplit(folder.pattern)
    key = address.path.lstrip("/")
    prefix = key[: next((index for index, char in enumerate(key) if char in _WILDCARDS), len(key))]
    wanted = key.replace("**/", "*")
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=address.netloc, Prefix=prefix)
    try:
        for page in pages:
            for item in page.get("Contents", ()):
                if fnmatchcase(item["Key"], wanted):
                    yield LakeFile(item["Key"], item["Size"], item["ETag"], item["LastModified"])
    except (BotoCoreError, ClientError) as error:
        raise SoftRunError(f"{folder.location} cannot be listed: {error}") from error
