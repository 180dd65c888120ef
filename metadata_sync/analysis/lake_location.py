"""The location of a lake source: its files, and the partition columns in its folders' names."""

from __future__ import annotations

import re
from typing import Final

from metadata_sync.project import Project

_WILDCARD: Final = re.compile(r"[*?\[]")
_PARTITION: Final = re.compile(r"([A-Za-z_]\w*)=\*")
_FILES: Final = ".parquet"


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


def _is_glob_of_files(location: str) -> bool:
    """Tell whether a location is a glob of files; otherwise it is a folder that is read recursively.

    >>> _is_glob_of_files("lake/orders"), _is_glob_of_files("lake/orders/day=*")
    (False, False)
    >>> _is_glob_of_files("lake/orders/*.parquet"), _is_glob_of_files("lake/orders/*")
    (True, True)
    """
    if location.endswith(_FILES):
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
    is_whole = fixed == resolved(project, location) and not fixed.endswith(_FILES)
    return f"{fixed}/" if is_whole else f"{fixed.rpartition('/')[0]}/"


def partition_columns(location: str) -> tuple[str, ...]:
    """Return the partition columns of a location, `name=*` in folders' names as Spark and Hive write them.

    >>> partition_columns("s3://lake/orders/country=*/day=*")
    ('country', 'day')
    """
    matches = (_PARTITION.fullmatch(part) for part in location.split("/"))
    return tuple(match.group(1) for match in matches if match)


def read_parquet(pattern: str, *, is_partitioned: bool) -> str:
    """Return DuckDB's table expression for the files of a glob; all files must have the same columns.

    Args:
        pattern: The glob.
        is_partitioned: Whether folders' names are columns; DuckDB then skips folders that a condition excludes.
    """
    quoted = pattern.replace("'", "''")
    return f"read_parquet('{quoted}', union_by_name = false, hive_partitioning = {str(is_partitioned).lower()})"
