"""Jobs: what the Spark script is told, and where a result lies. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from metadata_sync.analysis.lake_location import partition_columns, resolved
from metadata_sync.analysis.spark import SparkSelect
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import ResolvedDependency
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.spark import Cut, view_name

Window = dict[str, Any]
"""A window as the macro `capture_window` wrote it: handed on to the load as it is."""

_WINDOW: Final = re.compile(r"/\* sluice:window (\{.*?\}) \*/")


@dataclass(frozen=True, slots=True)
class SparkJob:
    """One transformation on Spark.

    Attributes:
        target: `schema.table`.
        attempt: Tells this attempt's files from any other's.
        select: What runs.
        locations: Where each source lies, by its view's name.
        folder: Where attempts of this run put their files.
        scan_bytes: What it is expected to read.
        catalog: Where tables in other formats than Parquet are looked up; None: they are read from their location.
    """

    target: str
    attempt: str
    select: SparkSelect
    locations: Mapping[str, str]
    folder: str
    scan_bytes: int
    catalog: str | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """Every address that it reads or writes."""
        return (*self.locations.values(), self.folder)

    @property
    def manifest(self) -> str:
        """Where this attempt's manifest will lie: no other attempt of the run writes there."""
        return f"{self.folder}/attempt={self.attempt}.manifest.json"

    @property
    def error(self) -> str:
        """Where the error will lie when it fails."""
        return f"{self.folder}/attempt={self.attempt}.error.json"

    def document(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """Return what the script reads."""
        return {
            "target": self.target,
            "attempt": self.attempt,
            "sql": self.select.sql,
            "settings": dict(settings),
            "sources": [self._source(source) for source in self.select.sources],
            "columns": [{"name": name, "type": kind} for name, kind in self.select.columns],
            "output": self.folder,
            "manifest": self.manifest,
            "error": self.error,
            "groups": self._groups(),
        }

    def _source(self, source: SourceRow) -> dict[str, Any]:
        """Files are read as DuckDB reads them: at any depth, with the columns that a location names in folders."""
        view = view_name(source.name)
        location = self.locations[view]
        found: dict[str, Any] = {"view": view, "format": source.format, "location": location, "options": {}}
        if source.format == "parquet":
            partitions = partition_columns(source.location or "")
            above = location.partition(f"/{partitions[0]}=*")[0] if partitions else ""
            where = {"basePath": above} if partitions else {"recursiveFileLookup": "true"}
            found["options"] = {**where, "pathGlobFilter": "*.parquet"}
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
    """Where the groups lie that a job has computed again.

    Attributes:
        manifest: Where their manifest lies.
        pattern: Which files hold them; empty when there are none.
        columns: Name and the warehouse's type of each column, in order.
    """

    manifest: str
    pattern: str
    columns: tuple[tuple[str, str], ...]

    def for_macros(self) -> dict[str, Any]:
        """Return what the macro `result_groups_sql` reads."""
        columns = [{"name": name, "type": kind} for name, kind in self.columns]
        return {"manifest": self.manifest, "pattern": self.pattern, "columns": columns}


@dataclass(frozen=True, slots=True)
class Result:
    """What a job left.

    Attributes:
        manifest: Where its manifest lies.
        pattern: Which files hold it; empty when there are none.
        row_count: Rows in them.
        columns: Their columns, in order.
        types: Spark's name of each column's type.
        groups: The groups that it holds all rows of; None: all groups, or none.
    """

    manifest: str
    pattern: str
    row_count: int
    columns: tuple[str, ...]
    types: tuple[str, ...]
    groups: Groups | None = None

    def for_macros(self, windows: Mapping[str, Window]) -> dict[str, Any]:
        """Return what the macro `result` reads."""
        return {
            "manifest": self.manifest,
            "pattern": self.pattern,
            "row_count": self.row_count,
            "columns": list(self.columns),
            "types": list(self.types),
            "windows": dict(windows),
            "groups": self.groups.for_macros() if self.groups else None,
        }


def jobs_text(jobs: Sequence[SparkJob], settings: Mapping[str, str]) -> str:
    """Write the file that the script is started with."""
    return json.dumps({"jobs": [job.document(settings) for job in jobs]}, indent=1)


def read_manifest(job: SparkJob, text: str) -> Result:
    """Read a job's manifest.

    Raises:
        ValueError: When it is not this attempt's: a person or another program has written there.
    """
    document = json.loads(text)
    author = document["author"]
    if author.get("attempt") != job.attempt:
        raise ValueError(f"{job.manifest} is of attempt {author.get('attempt')}, not of {job.attempt}")
    return Result(
        manifest=job.manifest,
        pattern=f"{author['folder']}/*.parquet" if document["entries"] else "",
        row_count=int(document["meta"]["record_count"]),
        columns=tuple(element["name"] for element in document["schema"]["elements"]),
        types=tuple(element["type"]["base"] for element in document["schema"]["elements"]),
        groups=_groups_of(job, author),
    )


def _groups_of(job: SparkJob, author: Mapping[str, Any]) -> Groups | None:
    if job.select.groups is None:
        return None
    found = author["groups"]
    columns = tuple((name, kind) for name, _, kind in job.select.groups.columns)
    return Groups(found["manifest"], f"{found['folder']}/*.parquet" if found["file_count"] else "", columns)


def windows_of(compiled_sql: str) -> dict[str, Window]:
    """Return the windows that `increment()` wrote into a compiled model, by source.

    >>> windows_of('select 1 from (/* sluice:window {"source": "lake.t", "end": "9"} */ select 1)')
    {'lake.t': {'source': 'lake.t', 'end': '9'}}
    """
    windows: list[Window] = [json.loads(text) for text in _WINDOW.findall(compiled_sql)]
    return {str(window["source"]): window for window in windows}


def cuts_of(
    row: TransformationRow, reads: Sequence[ResolvedDependency], windows: Mapping[str, Window]
) -> dict[TableName, Cut]:
    """Return the conditions that windows put on driving sources: what the macro `window_condition` does."""
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
            cuts[item.name] = Cut(item.incremental_key, *bounds, group=group)
    return cuts


def result_folder(project: Project, row: TransformationRow, run_id: str) -> str:
    """Return where a run's attempts put their files: below the row's output_path.

    Raises:
        ValueError: When a path leaves the project.
    """
    path = row.output_path or ""
    base = path.rstrip("/") if path.startswith("s3://") else str(project.resolve(path))
    return f"{base}/run_id={run_id}/{row.name.model_name}"


def spark_location(project: Project, source: SourceRow) -> str:
    """Return what Spark is asked to load: the folder, or the glob that the row names."""
    return resolved(project, source.location or "")
