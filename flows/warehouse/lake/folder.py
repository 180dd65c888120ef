"""Lake folders: the files of a source's location, and a token that changes with any of them.

Which files are data is told by the rules of Spark and Hive (`is_hidden`), and by suffixes of other formats.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from flows.warehouse.lake.s3 import list_objects
from metadata_sync.analysis.lake_location import (
    file_pattern,
    folder_of,
    partition_columns,
    read_parquet,
    snapshot_pattern,
)
from metadata_sync.analysis.text_copies import COPY_SUFFIX, copies_pattern, is_text
from metadata_sync.project import Project

if TYPE_CHECKING:
    from flows.warehouse.lake.formats.copies import Copies
    from flows.warehouse.lake.iceberg import IcebergTable
    from metadata_sync.rows.model import SourceRow

LISTINGS_AT_ONCE: Final = 16
"""Number of folders listed in parallel: a listing mostly waits for the network."""

_WILDCARDS: Final = frozenset("*?[")
_SUFFIXES: Final = {
    "parquet": frozenset({".parquet", ".parq"}),
    "csv": frozenset({".csv", ".tsv", ".txt"}),
    "json": frozenset({".json", ".jsonl", ".ndjson", ".txt"}),
}
"""Suffixes of the formats that Sluice reads; before them a compression's suffix may stand."""
_NO_DATA: Final = frozenset(
    {".avro", ".crc", ".gif", ".html", ".jpg", ".log", ".md", ".orc", ".pdf", ".png", ".py", ".sql"}
    | {".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip"}
)
"""Suffixes of files of other formats."""
_UNFINISHED: Final = frozenset({"._copying_", ".crdownload", ".filepart", ".inprogress", ".part", ".partial", ".tmp"})
"""Suffixes of files that are still being written, by Hadoop, browsers, SFTP servers, Flink and others."""
_COMPRESSIONS: Final = frozenset({".bz2", ".gz", ".gzip", ".lz4", ".snappy", ".zst"})


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file of a source.

    Attributes:
        name: Its path below the location's folder; of S3 its key.
        size_bytes: Its size.
        version: Its etag or modification time.
        modified_at: When it was modified, UTC.
        path: The absolute path or s3 URI of its Parquet: its own, or of a text file that of its copy.
        original: The path or URI of a text file itself; else empty.
    """

    name: str
    size_bytes: int
    version: str
    modified_at: datetime | None = None
    path: str = ""
    original: str = ""

    @property
    def identity(self) -> str:
        """What differs after the file was written again: size and version."""
        return f"{self.size_bytes}:{self.version}"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a source's location.

    Attributes:
        files: Those that hold its data, by name.
        hidden_count: Files that Spark and Hive leave out, by their names or their folders'.
        other_count: Files of other formats, and files that are still being written.
        unregistered_count: Files outside the registered partitions of an external table.
        columns: The columns of an Iceberg table; None: the files say which there are.
    """

    files: tuple[LakeFile, ...] = ()
    hidden_count: int = 0
    other_count: int = 0
    unregistered_count: int = 0
    columns: tuple[str, ...] | None = None

    @property
    def ignored(self) -> str:
        """What is not read, for people; empty: everything is."""
        parts = [
            (self.hidden_count, "hidden"),
            (self.other_count, "of other formats, or unfinished"),
            (self.unregistered_count, "in no partition that the external table has"),
        ]
        told = ", ".join(f"{count:,} {kind}" for count, kind in parts if count)
        return f"{told}: not read" if told else ""


@dataclass(frozen=True, slots=True)
class LakeFolder:
    """A source's location, resolved.

    Attributes:
        location: The row's location.
        pattern: The glob of its files: an absolute path or an s3 URI.
        folder: The folder whose files are read, at any depth; it may hold wildcards. None: `pattern` names files.
        root: The folder that local files must be in after links are followed.
        copies: The Parquet copies of its files; None: they are Parquet.
        file_column: The column of the source that names each row's file; None: there is none.
        table: The Iceberg table whose files lie here; None: the listing says which files there are.
    """

    location: str
    pattern: str
    folder: str | None
    root: Path
    copies: Copies | None = None
    file_column: str | None = None
    table: IcebergTable | None = None

    @property
    def read_pattern(self) -> str:
        """The glob of the Parquet files that loads read, as dbt's sources name it."""
        if self.table is not None:
            return snapshot_pattern(Project(self.root), self.location)
        return self.pattern if self.copies is None else copies_pattern(self.copies.folder)

    @property
    def loads_from_s3(self) -> bool:
        """Whether DuckDB reads S3 for it: copies of text files lie on this machine."""
        return self.read_pattern.startswith("s3://")

    @property
    def format(self) -> str:
        """The format of its files: parquet, csv or json."""
        if self.copies is None:
            return "parquet"
        return "csv" if self.copies.source.format == "csv" else "json"

    def relation(self, files: Iterable[LakeFile], *, is_mixed: bool = False) -> str:
        """Return some of its files as a table expression of DuckDB; without files, the glob, which matches nothing.

        Args:
            files: The files.
            is_mixed: Whether they may differ in columns and types: DuckDB then opens all of them at once.
        """
        paths = [file.path for file in files]
        is_partitioned = bool(partition_columns(self.location))
        return read_parquet(
            self.read_pattern,
            paths,
            is_partitioned=is_partitioned,
            is_mixed=is_mixed,
            file_column=self.file_column,
        )

    @property
    def name_starts_at(self) -> tuple[int, int]:
        """Where a file's name stands in its path: its first character, from 1, and how many follow it."""
        if self.copies is not None:
            return len(self.copies.path_of("")) - len(COPY_SUFFIX) + 1, len(COPY_SUFFIX)
        if self.is_remote:
            return len(_prefix(self.pattern)) + 1, 0
        return len(str(_fixed_part(self.pattern)).rstrip("/")) + 2, 0

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
    return LakeFolder(location, file_pattern(project, location), folder_of(project, location), project.root)


def source_folder(project: Project, source: SourceRow) -> LakeFolder:
    """Resolve the location of a lake source, whatever the format of its files; see `resolve_folder`."""
    folder = replace(resolve_folder(project, source.location or ""), file_column=source.file_column)
    if source.catalog_table is not None:
        from flows.warehouse.lake.iceberg import IcebergTable

        memory = project.state_dir / "iceberg" / f"{source.catalog_table}.json"
        return replace(folder, table=IcebergTable(source.catalog_table, memory))
    if not is_text(source):
        return folder
    from flows.warehouse.lake.formats.copies import Copies

    return replace(folder, copies=Copies.of(project, source))


def list_folder(folder: LakeFolder) -> Listing:
    """List a folder.

    Raises:
        ValueError: When the folder itself is missing, a link in it leads out of the project, a name is no text, or the
            Iceberg table holds what is not read.
        ConfigurationError: When it is in S3, and boto3 or credentials are missing, or S3 refuses for good.
        SoftRunError: When S3 does not answer now.
    """
    if folder.table is not None:
        return folder.table.list_files(folder)
    files, hidden_count, other_count = [], 0, 0
    for file in _list_s3(folder) if folder.is_remote else _list_local(folder):
        if is_hidden(file.name):
            hidden_count += 1
        elif _is_other(file.name, folder.format):
            other_count += 1
        elif folder.copies is None:
            files.append(file)
        else:
            files.append(replace(file, path=folder.copies.path_of(file.name), original=file.path))
    return Listing(tuple(sorted(files, key=lambda file: file.name)), hidden_count, other_count)


def list_files(folder: LakeFolder) -> tuple[LakeFile, ...]:
    """List the data files of a folder by name; see `list_folder`."""
    return list_folder(folder).files


def is_hidden(name: str) -> bool:
    """Tell whether Spark and Hive leave a file out, because it or a folder on its way begins with `_` or `.`.

    Args:
        name: Its path below the location's folder.

    Source: `HadoopFSUtils.shouldFilterOutPathName` of Spark; a folder of a partition (`_x=1`) is data.

    >>> [is_hidden(name) for name in ("_temporary/0/a.parquet", "a/.b.parquet", "_SUCCESS", "_day=1/a.parquet")]
    [True, True, True, False]
    """
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in name.split("/"))


def _is_other(name: str, format_: str) -> bool:
    """Tell whether a file's suffix says that it is of another format, or unfinished.

    >>> [_is_other(name, "parquet") for name in ("a.csv.gz", "a.parquet.tmp", "part-00000", "a.parquet.gzip", "a.PARQ")]
    [True, True, False, False, False]
    >>> [_is_other(name, "csv") for name in ("a.csv.gz", "a.CSV", "part-00000", "a.parquet", "a.json")]
    [False, False, False, True, True]
    """
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    if not suffixes or suffixes[-1] in _SUFFIXES[format_]:
        return False
    return suffixes[-1] in _NO_DATA | _UNFINISHED or any(suffixes[-1] in some for some in _SUFFIXES.values())


def change_token(files: Iterable[LakeFile]) -> str:
    """Return a token that changes when a file is added, removed or rewritten.

    Args:
        files: The listing, in any order.

    Returns:
        A SHA-256 over names, sizes and versions, in hexadecimal.
    """
    lines = [f"{file.name}\0{file.size_bytes}\0{file.version}\n" for file in sorted(files, key=attrgetter("name"))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _list_local(folder: LakeFolder) -> Iterator[LakeFile]:
    root = _fixed_part(folder.pattern)
    if not root.exists():
        raise ValueError(f"{root} does not exist (location: {folder.location})")
    start = len(str(root).rstrip("/")) + 1
    for path in _paths(folder):
        try:
            status = os.stat(path)  # noqa: PTH116 - a hundred thousand of them
        except FileNotFoundError:  # it was renamed or deleted meanwhile
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        if os.path.islink(path):  # noqa: PTH114
            _refuse_escape(path, folder)
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the name of {path!r} is not UTF-8: rename the file") from None
        came = datetime.fromtimestamp(status.st_mtime, UTC)
        yield LakeFile(path[start:], status.st_size, str(status.st_mtime_ns), came, path)


def _paths(folder: LakeFolder) -> Iterator[str]:
    """Yield the paths of all files; hidden folders are entered, so that their files are counted."""
    if folder.folder is None:
        seen = set()
        for path in glob.iglob(folder.pattern, recursive=True, include_hidden=True):  # noqa: PTH207 - absolute
            parent = path.rpartition("/")[0]
            if parent not in seen:
                _refuse_escape(parent, folder)
                seen.add(parent)
            yield path
        return
    for top in glob.glob(folder.folder) if _WILDCARDS & set(folder.folder) else [folder.folder]:  # noqa: PTH207
        _refuse_escape(top, folder)
        for parent, folders, names in os.walk(top, followlinks=True):
            for name in folders:
                _refuse_escape(os.path.join(parent, name), folder)  # noqa: PTH118
            yield from (os.path.join(parent, name) for name in names)  # noqa: PTH118


def _refuse_escape(path: str, folder: LakeFolder) -> None:
    if not Path(path).resolve().is_relative_to(folder.root):
        raise ValueError(f"{path} is a link that leads out of the project {folder.root}")


def _fixed_part(pattern: str) -> Path:
    """Return the folder above the first wildcard; for a plain file, its folder."""
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if not _WILDCARDS.isdisjoint(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def _prefix(pattern: str) -> str:
    """Return the part of an S3 URI before a file's name: up to the last slash before the first wildcard."""
    fixed = pattern[: next((index for index, char in enumerate(pattern) if char in _WILDCARDS), len(pattern))]
    return fixed[: fixed.rfind("/") + 1]


def _list_s3(folder: LakeFolder) -> Iterator[LakeFile]:
    address = urlsplit(folder.pattern)
    key = address.path.lstrip("/")
    prefix = key[: next((index for index, char in enumerate(key) if char in _WILDCARDS), len(key))]
    wanted = key.replace("**/", "*") if folder.folder is None else f"{urlsplit(folder.folder).path.lstrip('/')}/*"
    start = prefix.rfind("/") + 1
    for item in list_objects(folder.location, address.netloc, prefix):
        name = item["Key"]
        if fnmatchcase(name, wanted) and not name.endswith("/"):
            path = f"s3://{address.netloc}/{name}"
            yield LakeFile(name[start:], item["Size"], item["ETag"], item["LastModified"], path)
