"""Jobs: the input of the Spark script, and the location of its results. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from metadata_sync.analysis.lake_location import partition_columns, resolved
from metadata_sync.analysis.spark import SparkSelect
from metadata_sync.analysis.text_copies import copies_folder, is_text
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import ResolvedDependency
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.spark import FUNCTIONS_PREFIX, Cut, spark_type, unread_view, view_name

Window = dict[str, Any]
"""A window as the macro `capture_window` wrote it; it is passed to the load unchanged."""

FUNCTIONS: Final = Path(__file__).with_name("spark_functions.py")
"""Functions that Spark lacks."""
_EXECUTION: Final = re.compile(r"[0-9a-z]{1,32}")
_RESULT_FILE: Final = re.compile(r"[\w.+=-]+\.parquet")
_GLOB_SIGN: Final = re.compile(r"[\[\]{}*?\\]")
"""What Spark takes for more than itself in a path."""
_WINDOW: Final = re.compile(r"/\* sluice:window (\{.*?\}) \*/")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files that a job reads of a lake source.

    Attributes:
        paths: Their paths or URIs.
        is_mixed: Whether files of the source differ in their columns.
    """

    paths: tuple[str, ...]
    is_mixed: bool


@dataclass(frozen=True, slots=True)
class SparkJob:
    """One transformation on Spark.

    Attributes:
        target: `schema.table`.
        attempt: Id of the attempt, part of its file names.
        select: The translated SELECT.
        locations: The location of each source, by the name of its view.
        folder: The folder of the run's attempts.
        scan_bytes: Estimated bytes that it reads.
        catalog: The catalog of tables in other formats than Parquet; None: they are read from their location.
        limit_seconds: How long its step on a cluster may take; None: no limit.
        files: The listed files of each view; one that is not here reads its location.
    """

    target: str
    attempt: str
    select: SparkSelect
    locations: Mapping[str, str]
    folder: str
    scan_bytes: int
    catalog: str | None = None
    limit_seconds: float | None = None
    files: Mapping[str, SourceFiles] = field(default_factory=dict)

    @property
    def places(self) -> tuple[str, ...]:
        """All locations that it reads or writes; listed copies of text files go where it runs."""
        views = {view for source in self.text_sources if (view := view_name(source.name)) in self.files}
        return (*(place for view, place in self.locations.items() if view not in views), self.folder)

    @property
    def text_sources(self) -> tuple[SourceRow, ...]:
        """The sources whose files it reads as copies."""
        return tuple(source for source in self.select.sources if is_text(source))

    @property
    def manifest(self) -> str:
        """The location of this attempt's manifest; no other attempt writes there."""
        return f"{self.folder}/attempt={self.attempt}.manifest.json"

    @property
    def error(self) -> str:
        """The location of the error file when it fails."""
        return f"{self.folder}/attempt={self.attempt}.error.json"

    def document(self, settings: Mapping[str, str], functions: str) -> dict[str, Any]:
        """Return the job as the script reads it.

        Args:
            settings: Spark's options of this job.
            functions: Where `spark_functions.py` lies.
        """
        return {
            "target": self.target,
            "attempt": self.attempt,
            "sql": self.select.sql,
            "settings": dict(settings),
            "sources": [
                self._source(source, view)
                for source in self.select.sources
                for view in (view_name(source.name), unread_view(source.name))
                if view == view_name(source.name) or view in self.files
            ],
            "columns": [{"name": name, "type": kind} for name, kind in self.select.columns],
            "output": self.folder,
            "manifest": self.manifest,
            "error": self.error,
            "groups": self._groups(),
            "functions": functions if FUNCTIONS_PREFIX in self.select.sql.lower() else None,
        }

    def _source(self, source: SourceRow, view: str) -> dict[str, Any]:
        """Return a source for the script, read recursively with the partition columns of its location, as in DuckDB."""
        location = self.locations[view_name(source.name)]
        found: dict[str, Any] = {"view": view, "format": source.format, "location": location, "options": {}}
        found["columns"] = [
            {"name": name, "type": kind} for name, kind in self.select.schemas.get(view_name(source.name), ())
        ]
        if is_text(source):
            schema = ", ".join(f"`{column.name}` {spark_type(column.type, 'duckdb')}" for column in source.columns)
            found |= {"format": "parquet", "schema": schema}
        if found["format"] == "parquet":
            partitions = partition_columns(source.location or "")
            above = location.partition(f"/{partitions[0]}=*")[0] if partitions else ""
            where = {"basePath": above} if partitions else {"recursiveFileLookup": "true"}
            found["options"] = {**where, "pathGlobFilter": "*.parquet"}
            listed = self.files.get(view)
            if listed is not None:  # names were judged when they were listed
                paths = [_GLOB_SIGN.sub(r"\\\g<0>", path) for path in listed.paths]
                found |= {"options": where, "files": paths, "is_mixed": listed.is_mixed}
        elif self.catalog is not None:
            found["table"] = f"`{self.catalog}`.`{source.source_schema}`.`{source.source_table}`"
        return found

    def _groups(self) -> dict[str, Any] | None:
        groups = self.select.groups
        if groups is None:
            return None
        return {"sql": groups.sql, "columns": [{"name": name, "type": kind} for name, kind, _ in groups.columns]}


@dataclass(frozen=True, slots=True)
class Groups:
    """The files of the groups that a job has computed again.

    Attributes:
        manifest: The location of their manifest.
        pattern: The glob of their files; empty when there are none.
        columns: Name and the warehouse's type of each column, in order.
    """

    manifest: str
    pattern: str
    columns: tuple[tuple[str, str], ...]

    def for_macros(self) -> dict[str, Any]:
        """Return the input of the macro `result_groups_sql`."""
        columns = [{"name": name, "type": kind} for name, kind in self.columns]
        return {"manifest": self.manifest, "pattern": self.pattern, "columns": columns}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a job.

    Attributes:
        manifest: The location of its manifest.
        pattern: The glob of its files; empty when there are none.
        row_count: Rows in the files.
        columns: Their columns, in order.
        types: Spark's name of each column's type.
        groups: The groups that it recomputed; None: the target is not loaded by groups.
    """

    manifest: str
    pattern: str
    row_count: int
    columns: tuple[str, ...]
    types: tuple[str, ...]
    groups: Groups | None = None

    def for_macros(self, windows: Mapping[str, Window]) -> dict[str, Any]:
        """Return the input of the macro `result`."""
        return {
            "manifest": self.manifest,
            "pattern": self.pattern,
            "row_count": self.row_count,
            "columns": list(self.columns),
            "types": list(self.types),
            "windows": dict(windows),
            "groups": self.groups.for_macros() if self.groups else None,
        }


def jobs_text(jobs: Sequence[SparkJob], settings: Mapping[str, str], functions: str = str(FUNCTIONS)) -> str:
    """Return the text of the script's job file; see `SparkJob.document`."""
    return json.dumps({"jobs": [job.document(settings, functions) for job in jobs]}, indent=1)


def read_manifest(job: SparkJob, text: str) -> Result:
    """Read a job's manifest. Whoever may write to the results may write manifests, so nothing in it is taken on trust.

    Raises:
        ValueError: When it belongs to another attempt, or names files outside the folder of the attempt.
    """
    try:
        document = json.loads(text)
        author = document["author"]
        if author.get("attempt") != job.attempt:
            raise ValueError(f"{job.manifest} is of attempt {author.get('attempt')!r}, not of {job.attempt}")
        folder = _attempt_folder(job, author["folder"])
        elements = document["schema"]["elements"]
        return Result(
            manifest=job.manifest,
            pattern=f"{folder}/*.parquet" if read_entries(job.manifest, text, folder) else "",
            row_count=int(document["meta"]["record_count"]),
            columns=tuple(str(element["name"]) for element in elements),
            types=tuple(str(element["type"]["base"]) for element in elements),
            groups=_groups_of(job, author, folder),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{job.manifest} is no manifest: {type(error).__name__}: {error}") from error


def read_entries(manifest: str, text: str, folder: str) -> set[str]:
    """Return the files that a manifest names.

    Args:
        manifest: Where it lies, for messages.
        text: The manifest.
        folder: The folder that they all must lie in.

    Raises:
        ValueError: When it is no manifest, or names another file.
    """
    try:
        found = {str(entry["url"]) for entry in json.loads(text)["entries"]}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{manifest} is no manifest: {type(error).__name__}: {error}") from error
    for url in found:
        name = url.removeprefix(f"{folder}/")
        if name == url or not _RESULT_FILE.fullmatch(name):
            raise ValueError(f"{manifest} names {url!r}, which is not a Parquet file in {folder}")
    return found


def _attempt_folder(job: SparkJob, folder: object) -> str:
    """Return the folder of one execution of this attempt; the job script makes its name."""
    own = f"{job.folder}/attempt={job.attempt}-"
    if not isinstance(folder, str) or not _EXECUTION.fullmatch(folder.removeprefix(own)) or not folder.startswith(own):
        raise ValueError(f"{job.manifest} names the folder {folder!r}, which is not one of this attempt ({own}…)")
    return folder


def _groups_of(job: SparkJob, author: Mapping[str, Any], folder: str) -> Groups | None:
    if job.select.groups is None:
        return None
    found = author["groups"]
    if (found["folder"], found["manifest"]) != (f"{folder}-groups", f"{folder}-groups.manifest.json"):
        raise ValueError(f"{job.manifest} names groups outside of its attempt: {found['folder']!r}")
    columns = tuple((name, kind) for name, _, kind in job.select.groups.columns)
    return Groups(found["manifest"], f"{found['folder']}/*.parquet" if found["file_count"] else "", columns)


def windows_of(compiled_sql: str) -> dict[str, Window]:
    """Return the windows that the macro `increment` wrote into a compiled model, by source.

    >>> windows_of('select 1 from (/* sluice:window {"source": "lake.t", "end": "9"} */ select 1)')
    {'lake.t': {'source': 'lake.t', 'end': '9'}}
    """
    windows: list[Window] = [json.loads(text) for text in _WINDOW.findall(compiled_sql)]
    return {str(window["source"]): window for window in windows}


def cuts_of(
    row: TransformationRow, reads: Sequence[ResolvedDependency], windows: Mapping[str, Window]
) -> dict[TableName, Cut]:
    """Return the conditions of windows on driving sources, like the macro `window_condition`."""
    if row.increment is Increment.FULL:
        return {}
    is_grouped = row.increment is Increment.GROUPS
    cuts = {}
    for item in reads:
        window = windows.get(str(item.name))
        if not item.is_driving or window is None:
            continue
        group = item.recompute_by if is_grouped else ()
        if window["kind"] is None:
            key = item.incremental_key if is_grouped else None
            cuts[item.name] = Cut(key, is_empty=not window["new"], group=group)
        else:
            bounds = (window["kind"], window["start"], window["end"], window["is_open"])
            has_files = bool(group) and bool(window.get("files"))
            cuts[item.name] = Cut(item.incremental_key, *bounds, group=group, has_unread_view=has_files)
    return cuts


def result_folder(project: Project, row: TransformationRow, run_id: str) -> str:
    """Return the folder of a run's attempts, below the row's output_path.

    Raises:
        ValueError: When a path leaves the project.
    """
    path = row.output_path or ""
    base = path.rstrip("/") if path.startswith("s3://") else str(project.resolve(path))
    return f"{base}/run_id={run_id}/{row.name.model_name}"


def spark_location(project: Project, source: SourceRow) -> str:
    """Return the location that Spark loads: the row's folder or glob, of a text source the copies of its files."""
    if is_text(source):
        partitions = [part for part in (source.location or "").split("/") if partition_columns(part)]
        return "/".join([f"{copies_folder(project, source)}/data", *partitions])
    return resolved(project, source.location or "")
