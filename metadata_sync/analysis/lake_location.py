"""The location of a lake source: its files, and the partition columns in its folders' names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from metadata_sync.project import Project

_WILDCARD: Final = re.compile(r"[*?\[]")
_PARTITION: Final = re.compile(r"([A-Za-z_]\w*)=\*")
_FILES: Final = ".parquet"
_TEXT_FILES: Final = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")
_NAMED_FILES: Final = (_FILES, *_TEXT_FILES, *(f"{suffix}.gz" for suffix in _TEXT_FILES))
"""Suffixes of a location that names one file."""


def resolved(project: Project, location: str) -> str:
    """Return a location as an absolute path or an s3 URI.

    Args:
        project: The project.
        location: `s3://…`, or a path below the project's root: a folder, a file or a glob.

    Raises:
        ValueError: When a path leaves the project.
    """
    return location.rstrip("/") if location.startswith("s3://") else str(project.resolve(location))


def file_pattern(project: Project, location: str) -> str:
    """Return the glob of a location's files; see `resolved`."""
    base = resolved(project, location)
    return base if _is_glob_of_files(location) else f"{base}/**/*{_FILES}"


def snapshot_pattern(project: Project, location: str) -> str:
    """Return a glob that stands for the files of an Iceberg table and matches none: its catalog knows them."""
    return f"{resolved(project, location)}/**/*.of-the-current-snapshot"


def folder_of(project: Project, location: str) -> str | None:
    """Return the folder whose files a location means, as a path that may hold wildcards; None: it names files."""
    return None if _is_glob_of_files(location) else resolved(project, location)


def _is_glob_of_files(location: str) -> bool:
    """Tell whether a location is a glob of files; otherwise it is a folder that is read recursively.

    >>> _is_glob_of_files("lake/orders"), _is_glob_of_files("lake/orders/day=*")
    (False, False)
    >>> _is_glob_of_files("lake/orders/*.parquet"), _is_glob_of_files("lake/orders/*")
    (True, True)
    """
    if location.lower().endswith(_NAMED_FILES):
        return True
    return bool(_WILDCARD.search(location)) and not _PARTITION.fullmatch(location.rstrip("/").rpartition("/")[2])


def file_folder(project: Project, location: str) -> str:
    """Return the folder or prefix that all files of a location lie below, with a final slash.

    Args:
        project: The project.
        location: `s3://…`, or a path below the project's root: a folder, a file or a glob.

    Raises:
        ValueError: When a path leaves the project.
    """
    fixed = _WILDCARD.split(resolved(project, location), maxsplit=1)[0]
    is_whole = fixed == resolved(project, location) and not fixed.lower().endswith(_NAMED_FILES)
    return f"{fixed}/" if is_whole else f"{fixed.rpartition('/')[0]}/"


def partition_columns(location: str) -> tuple[str, ...]:
    """Return the partition columns of a location, `name=*` in folders' names as Spark and Hive write them.

    >>> partition_columns("s3://lake/orders/country=*/day=*")
    ('country', 'day')
    """
    matches = (_PARTITION.fullmatch(part) for part in location.split("/"))
    return tuple(match.group(1) for match in matches if match)


def literal_path(path: str) -> str:
    r"""Return a path as a glob that matches this path alone. In S3 a backslash would escape what follows it.

    >>> literal_path("lake/a[1]*.parquet"), literal_path("s3://lake/a\\b")
    ('lake/a[[]1][*].parquet', 's3://lake/a[\\]b')
    """
    found = _WILDCARD.sub(r"[\g<0>]", path)
    return found.replace("\\", "[\\]") if path.startswith("s3://") else found


def read_parquet(
    pattern: str,
    paths: Sequence[str] = (),
    *,
    is_partitioned: bool,
    is_mixed: bool = False,
    file_column: str | None = None,
) -> str:
    """Return DuckDB's table expression for some files.

    Args:
        pattern: Their glob.
        paths: The files; none: all that the glob matches.
        is_partitioned: Whether folders' names are columns; DuckDB then skips folders that a condition excludes.
        is_mixed: Whether the files may differ: columns are then those of all files, with types that hold all values.
        file_column: A column that holds each row's path; None: there is none.
    """
    listed = ", ".join("'" + literal_path(path).replace("'", "''") + "'" for path in paths)
    quoted = f"[{listed}]" if paths else "'" + pattern.replace("'", "''") + "'"
    by_name, by_folder = str(is_mixed).lower(), str(is_partitioned).lower()
    named = f", filename = '{file_column}'" if file_column else ""
    return f"read_parquet({quoted}, union_by_name = {by_name}, hive_partitioning = {by_folder}{named})"
