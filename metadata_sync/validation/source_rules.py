"""What can be wrong with a source row by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from metadata_sync.analysis.text_copies import TEXT_FORMATS
from metadata_sync.errors import Fault
from metadata_sync.problems import Problem, did_you_mean
from metadata_sync.project import Project
from metadata_sync.rows.calendar import parse_calendar
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.resolve import RESERVED_PREFIX
from metadata_sync.rows.vocabulary import OnRemovedFiles, SourceKind
from metadata_sync.validation.rule import Rule, Subject, bad_columns, bad_names
from metadata_sync.validation.text_rules import text_columns, text_options

FORMATS: Final = ("parquet", *TEXT_FORMATS, "iceberg", "hudi", "delta")

_S3: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\S*)?")
_CATALOG_TABLE: Final = re.compile(r"\w[\w-]*(\.\w[\w-]*){2,}")
_GLOB: Final = re.compile(r"[*?\[]")
_CODE: Final = frozenset({"dbt_project", "macros", "flows", "metadata_sync", "tests", "docs", "deploy", "benchmarks"})
"""Folders that hold the project, whose files no load may write."""


def path_problem(path: str, project: Project) -> Problem | None:
    """Return what is wrong with a path of data: it must be on S3 or inside the project.

    Args:
        path: `s3://bucket/prefix`, or a path relative to the project's root, which may end in a glob.
        project: The project it must stay in.
    """
    if path.startswith("s3://"):
        if _S3.fullmatch(path) and ".." not in path.split("/"):
            return None
        return Problem("bad_path", "Is not an S3 address.", "Write s3://bucket/prefix.")
    if "://" in path:
        return Problem(
            "bad_path", "Is neither on S3 nor in the project.", "Write s3://bucket/prefix or a relative path."
        )
    if not path.strip():
        return Problem("bad_path", "Is empty.", "Write s3://bucket/prefix or a path relative to the project's root.")
    fixed = _GLOB.split(path, maxsplit=1)[0]
    is_outside = path.startswith("~") or ".." in path[len(fixed) :].split("/")
    try:
        project.resolve(fixed)
    except (ValueError, OSError):
        is_outside = True
    if is_outside:
        remedy = "Write a path relative to the project's root, without '..' or links that lead out."
        return Problem("path_outside_project", "Leaves the project.", remedy)
    return None


_OPEN_STATE: Final = ("lake", "results")
"""Folders of `.sluice/` that may hold data; its other files are Sluice's own."""


def data_path_problem(path: str, project: Project, *, is_written: bool) -> Problem | None:
    """Return what is wrong with a path that data is read from or written to; see `path_problem`.

    Args:
        path: As the row holds it.
        project: The project it must stay in.
        is_written: Whether files are made there: then the project's own folders are closed to it.
    """
    problem = path_problem(path, project)
    if problem is not None or path.startswith("s3://"):
        return problem
    parts = project.resolve(_GLOB.split(path, maxsplit=1)[0]).relative_to(project.root).parts
    first = parts[0] if parts else ""
    is_closed = first.startswith(".") and not (first == ".sluice" and len(parts) > 2 and parts[1] in _OPEN_STATE)  # noqa: PLR2004
    if is_written:
        is_closed = is_closed or first in _CODE or (project.root / first).is_file()
    if not parts or is_closed:
        remedy = "Name a folder of its own for the data, e.g. lake/flights or .sluice/results/flights."
        return Problem("reserved_path", "Is a place of the project itself.", remedy)
    return None


def _names(subject: Subject[SourceRow]) -> Iterator[Fault]:
    row = subject.row
    for column, name in (
        ("schema", row.source_schema),
        ("table", row.source_table),
        ("external_schema", row.external_schema),
    ):
        yield from bad_names(subject, column, [name])
    yield from bad_columns(subject, "incremental_key", [row.incremental_key])
    yield from bad_names(subject, "file_column", [row.file_column])
    if row.file_column is not None and row.file_column.startswith(RESERVED_PREFIX):
        problem = Problem("reserved_column", "Sluice adds columns of such names itself.", "Give it another name.")
        yield subject.fault("file_column", row.file_column, problem)


def _lake_settings(subject: Subject[SourceRow]) -> Iterator[Fault]:
    row = subject.row
    if row.kind is SourceKind.LAKE:
        if row.location is None:
            remedy = "Give location an s3:// address or a path relative to the project's root."
            yield subject.fault("location", None, Problem("missing_value", "A lake source has a location.", remedy))
        if row.format is None:
            remedy = f"Set format to {FORMATS[0]}."
            yield subject.fault("format", None, Problem("missing_value", "A lake source has a format.", remedy))


def _format(subject: Subject[SourceRow]) -> Iterator[Fault]:
    given = subject.row.format
    if given is not None and given not in FORMATS:
        remedy = did_you_mean(given, FORMATS) or "Use one of these words."
        yield subject.fault("format", given, Problem("unknown_word", f"Is none of: {', '.join(FORMATS)}.", remedy))


def _location(subject: Subject[SourceRow]) -> Iterator[Fault]:
    location = subject.row.location
    problem = None if location is None else data_path_problem(location, subject.project, is_written=False)
    if problem is not None:
        yield subject.fault("location", location, problem)


def _calendar(subject: Subject[SourceRow]) -> Iterator[Fault]:
    calendar = subject.row.calendar
    if calendar is None:
        return
    try:
        parse_calendar(calendar)
    except ValueError as error:
        remedy = "Write days of the week, such as mon-fri or mon,thu."
        yield subject.fault("calendar", calendar, Problem("bad_calendar", f"{error}.", remedy))


def _not_for_kind(subject: Subject[SourceRow]) -> Iterator[Fault]:
    row = subject.row
    if row.kind is SourceKind.WAREHOUSE:
        problem = Problem("not_for_kind", "Only a lake source has this.", "Leave it out, or set kind: lake.")
        removes = row.on_removed_files if row.on_removed_files is not OnRemovedFiles.KEEP else None
        given = {"location": row.location, "format": row.format, "file_column": row.file_column}
        for column, value in {**given, "on_removed_files": removes}.items():
            if value is not None:
                yield subject.fault(column, value, problem)
    elif row.probe is not None:
        problem = Problem("not_for_kind", "A lake source is probed by its files.", "Leave it out.")
        yield subject.fault("probe", row.probe, problem)


def _catalog_table(subject: Subject[SourceRow]) -> Iterator[Fault]:
    """An Iceberg table is known by its catalog; its location is the folder that its files lie in."""
    row = subject.row
    if row.catalog_table is None:
        return
    if row.format != "iceberg":
        problem = Problem("not_for_format", f"Only iceberg has catalogs, and format is {row.format}.", "Leave it out.")
        yield subject.fault("catalog_table", row.catalog_table, problem)
    elif not _CATALOG_TABLE.fullmatch(row.catalog_table):
        problem = Problem("bad_name", "Is no table of a catalog.", "Write catalog.namespace.table.")
        yield subject.fault("catalog_table", row.catalog_table, problem)
    if row.location is not None and _GLOB.search(row.location):
        problem = Problem(
            "bad_path", "Is no folder: the catalog says which files there are.", "Name the table's folder."
        )
        yield subject.fault("location", row.location, problem)


SOURCE_RULES: Final[tuple[Rule[SourceRow], ...]] = (
    _names,
    _lake_settings,
    _format,
    text_columns,
    text_options,
    _location,
    _calendar,
    _not_for_kind,
    _catalog_table,
)
