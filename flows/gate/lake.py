"""The files of a lake source, and which target has read which: what `sluice lake` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flows.context import reading
from flows.warehouse.lake.folder import LakeFile, Listing
from flows.warehouse.lake.variable import lake_view
from flows.warehouse.lake.view import LakeView
from flows.warehouse.load_log import files_read, tables_in
from flows.warehouse.profile import SLUICE_SCHEMA
from metadata_sync.errors import ConfigurationError
from metadata_sync.loads import FileRead
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import SourceKind

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.rows.model import ControlRows, SourceRow


@dataclass(frozen=True, slots=True)
class FileOfTarget:
    """A file as one target knows it.

    Attributes:
        file: Its path below the location's folder.
        size_bytes: Its size now; None: it is gone.
        target: The target, `schema.table`.
        state: read, new, changed, unreadable (nobody can read it), left_out (it does not fit the others) or gone.
        reason: Why it is unreadable or left out; empty: it is not.
        load_id: The load that read it last; None: no load has.
        loaded_at: When that load loaded, UTC.
    """

    file: str
    size_bytes: int | None
    target: str
    state: str
    load_id: str | None = None
    loaded_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LakeReport:
    """The files of a source.

    Attributes:
        source: `schema.table`.
        location: Its location.
        file_count: Files that hold its data.
        size_bytes: Their size.
        ignored: What else lies there, for people; empty: nothing.
        change: The last change of its columns, and who reads them; empty: none was seen.
        files: One entry per file and target that reads it by files.
    """

    source: str
    location: str
    file_count: int
    size_bytes: int
    ignored: str
    change: str
    files: tuple[FileOfTarget, ...]


def look_at_lake(context: Context, name: str) -> LakeReport:
    """List the files of a source and compare them with what its readers have read. Writes nothing.

    Args:
        context: Project, settings, control database.
        name: The source, `schema.table`.

    Raises:
        ConfigurationError: When there is no lake source of this name, or its folder cannot be listed.
        RunError: When S3 or the warehouse does not answer.
    """
    rows = context.store.usable_rows()
    source = _find(rows, name)
    lake = lake_view(context, rows)
    try:
        _, listing = lake.listed(source)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}", "Land its files, or correct its location.") from error
    readers = sorted(
        row.name
        for row in rows.transformations
        if any(item.name == source.name and item.is_watched for item in resolve_dependencies(row, rows))
    )
    schema = context.profile.physical_schema(SLUICE_SCHEMA)
    with reading(context, context.profile) as warehouse:
        is_noted = bool(readers) and (schema, "lake_files") in tables_in(warehouse, {schema})
        read = files_read(warehouse, schema, readers) if is_noted else {}
    return LakeReport(
        source=name,
        location=source.location or "",
        file_count=len(listing.files),
        size_bytes=sum(file.size_bytes for file in listing.files),
        ignored=listing.ignored,
        change=_last_change(context, name),
        files=tuple(
            item
            for target in map(str, readers)
            for item in _compare(target, listing, read.get((target, name), {}), _left_out(lake, source, target))
        ),
    )


def _find(rows: ControlRows, name: str) -> SourceRow:
    lakes = {row.key: row for row in rows.sources if row.kind is SourceKind.LAKE and row.location}
    if name not in lakes:
        known = ", ".join(sorted(lakes))
        raise ConfigurationError(f"There is no lake source {name!r}.", f"There is: {known or 'none'}.")
    return lakes[name]


def _last_change(context: Context, source: str) -> str:
    shape = context.store.source_shapes().get(source)
    return "" if shape is None or not shape.change else f"{shape.change}, since {shape.noted_at:%Y-%m-%d %H:%M} UTC"


def _left_out(lake: LakeView, source: SourceRow, target: str) -> Mapping[str, tuple[str, str]]:
    """Return the files that a target leaves out, each with its state and the reason; all, when none can be read."""
    try:
        reasons = lake.left_out(source, target)
        unreadable = {fault.file.name for fault in lake.columns(source).faults if fault.error}
    except ValueError as error:
        return {file.name: ("unreadable", str(error)) for file in lake.listed(source)[1].files}
    return {name: ("unreadable" if name in unreadable else "left_out", reason) for name, reason in reasons.items()}


def _compare(
    target: str, listing: Listing, read: Mapping[str, FileRead], left_out: Mapping[str, tuple[str, str]]
) -> list[FileOfTarget]:
    """Return the files of one target; none are listed of a target whose loads do not note files."""

    def described(file: LakeFile) -> FileOfTarget:
        before = read.get(file.name)
        state, reason = left_out.get(file.name, ("", ""))
        if reason and (before is None or before.identity != file.identity):
            known = (None, None) if before is None else (before.load_id, before.loaded_at)
            return FileOfTarget(file.name, file.size_bytes, target, state, *known, reason)
        if before is None:
            return FileOfTarget(file.name, file.size_bytes, target, "new")
        state = "read" if before.identity == file.identity else "changed"
        return FileOfTarget(file.name, file.size_bytes, target, state, before.load_id, before.loaded_at)

    there = {file.name for file in listing.files}
    gone = [
        FileOfTarget(name, None, target, "gone", noted.load_id, noted.loaded_at)
        for name, noted in read.items()
        if name not in there
    ]
    return [*map(described, listing.files), *gone]
