"""Listings of lake sources for the macros: which files a load may read, and in which version.

The embedded warehouse reads files by name, Redshift by the "$path" of an external table; PostgreSQL has no lake.
"""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.warehouse.lake import s3
from flows.warehouse.lake.folder import LISTINGS_AT_ONCE, LakeFolder, Listing
from flows.warehouse.lake.shape import readable_type
from flows.warehouse.lake.spectrum import LISTING_TABLE, read_places, relation_of, store_listing, unread
from flows.warehouse.lake.view import LakeView
from flows.warehouse.load_log import files_read, tables_in
from flows.warehouse.profile import SLUICE_SCHEMA
from metadata_sync.errors import RunError, SluiceError
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import SourceKind

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.connection import Warehouse
    from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow

logger = logging.getLogger(__name__)

_SECONDS_KEPT: Final = 2 * 24 * 3600
"""How long a listing stays after its run, for whoever looks into a failure."""


def lake_view(context: Context, rows: ControlRows, warehouse: Warehouse | None = None) -> LakeView:
    """Return a new look at the lake; on servers, which read folders by themselves, no file is left out.

    Args:
        context: Project, profile.
        rows: The environment's rows.
        warehouse: An open connection; None: the process's session, where there are lake sources on Redshift.
    """
    from flows.warehouse.columns import DuckDBColumns

    if isinstance(context.columns, DuckDBColumns):
        return LakeView(context.project, rows, context.columns.lake_columns)
    lakes = [source for source in rows.sources if source.kind is SourceKind.LAKE and source.location]
    if context.profile.dialect != "redshift" or not lakes:
        return LakeView(context.project, rows)
    if warehouse is not None:
        return LakeView(context.project, rows, places=read_places(warehouse, lakes))
    with _session(context) as opened:
        return LakeView(context.project, rows, places=read_places(opened, lakes))


def _session(context: Context) -> AbstractContextManager[Warehouse]:
    assert context.session is not None, "Redshift is a server"
    return context.session.use()


def files_variable(
    context: Context,
    rows: ControlRows,
    targets: Iterable[TransformationRow],
    run_id: str,
    *,
    left_out: Collection[tuple[str, str, str]] | None = (),
    seen: LakeView | None = None,
    is_whole: bool = True,
) -> dict[str, str]:
    """List the lake sources of some targets, and return the variable that passes the listing to the macros.

    A folder that cannot be listed is left out: its load then says what is wrong with it.

    Args:
        context: Project, profile.
        rows: The environment's rows.
        targets: The targets that dbt is going to load.
        run_id: Names the file of the listing, which is made in `.sluice/listings/`.
        left_out: (target, source, file) of what loads may leave out, as the gate decided; None: any file. A target that
            would leave out another one is refused, for its load could lose rows: unless the file came since.
        seen: The lake as the gate saw it. The folders are listed again when that was a while ago.
        is_whole: Whether a load may read all files again; else Redshift is told those alone that a target has not read.
    """
    if context.profile.dialect not in ("duckdb", "redshift"):
        return {}
    readers = _readers(rows, targets)
    if not readers:
        return {}
    lake = seen if seen is not None and seen.is_fresh else lake_view(context, rows)
    if not context.profile.is_embedded:
        readers = {source: names for source, names in readers.items() if lake.place_of(source) is not None}
    listings = _list(lake, readers)
    if not listings:
        return {}
    path = context.project.make_state_dir() / "listings" / f"{run_id}.csv"
    if not context.profile.is_embedded:
        found = _of_external_tables(context, path, readers, listings, is_whole=is_whole)
        places = {relation_of(source): place for source in listings if (place := lake.place_of(source)) is not None}
        found["patterns"] = {name: {"folder_length": str(place.folder_length)} for name, place in places.items()}
        return {"SLUICE_FILES": json.dumps(found)}
    choice = _Choice(left_out, seen)
    patterns: dict[str, dict[str, str]] = {}
    rejects: dict[str, dict[str, str]] = {}
    for source, names in readers.items():
        if source in listings:
            folder, listing = listings[source]
            patterns[folder.read_pattern] = _columns(lake, source)
            found = {} if folder.copies is None else folder.copies.rejects_of(listing.files)
            if found:
                rejects[folder.read_pattern] = found
                patterns[folder.read_pattern]["rejects"] = source.key
            start, rest = folder.name_starts_at
            patterns[folder.read_pattern] |= {"name_start": str(start), "name_rest": str(rest)}
            choice.add(lake, source, folder.read_pattern, names)
    sources = {source.key: folder.read_pattern for source, (folder, _) in listings.items()}
    by_pattern = {folder.read_pattern: (folder, listing) for folder, listing in listings.values()}
    _write(path, by_pattern, choice.left_out_by, rejects)
    is_remote = any(folder.loads_from_s3 for folder, _ in listings.values())
    return {
        "SLUICE_FILES": json.dumps(
            {"listing": str(path), "patterns": patterns, "sources": sources, "refused": choice.refused}
        ),
        **(s3.environment(context.profile.values) if is_remote else {}),
    }


def _of_external_tables(
    context: Context,
    path: Path,
    readers: Mapping[SourceRow, Sequence[str]],
    listings: Mapping[SourceRow, tuple[LakeFolder, Listing]],
    *,
    is_whole: bool,
) -> dict[str, Any]:
    """Write the listing into Redshift, and as a file for Spark, which reads these files itself."""
    schema = context.profile.physical_schema(SLUICE_SCHEMA)
    names = {TableName.parse(name) for some in readers.values() for name in some}
    with _session(context) as warehouse:
        standing = tables_in(warehouse, {schema})
        is_noted = not is_whole and (schema, "lake_files") in standing
        read = files_read(warehouse, schema, names) if is_noted else {}
    told = {
        relation_of(source): unread(listing, readers[source], read, source) for source, (_, listing) in listings.items()
    }
    refused: dict[str, str] = {}
    try:
        store_listing(context.profile, schema, str(path), told, has_table=(schema, LISTING_TABLE) in standing)
    except RunError as error:  # the readers of these sources fail; other targets have nothing to do with it
        for source in listings:
            reason = f"the listing of {source.key} could not be written: {error.message}"
            refused |= dict.fromkeys(readers[source], reason)
    _write(path, {relation_of(source): found for source, found in listings.items()}, {}, {})
    sources = {source.key: relation_of(source) for source in listings}
    return {"listing": str(path), "sources": sources, "refused": refused}


def _readers(rows: ControlRows, targets: Iterable[TransformationRow]) -> dict[SourceRow, list[str]]:
    """Return the lake sources that targets read, each with the targets."""
    found: dict[SourceRow, list[str]] = {}
    for row in targets:
        for item in resolve_dependencies(row, rows):
            source = rows.source(item.name)
            if source is not None and source.kind is SourceKind.LAKE and source.location:
                found.setdefault(source, []).append(str(row.name))
    return found


@dataclass(slots=True)
class _Choice:
    """What readers leave out.

    Attributes:
        allowed: (target, source, file) of what the gate decided to leave out; None: any file.
        seen: The lake as the gate saw it.
        left_out_by: (glob of the folder, file) → the targets that do not read it.
        refused: Target → why it may not be loaded.
    """

    allowed: Collection[tuple[str, str, str]] | None
    seen: LakeView | None
    left_out_by: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def add(self, lake: LakeView, source: SourceRow, pattern: str, readers: Iterable[str]) -> None:
        for target in readers:
            try:
                files = lake.left_out(source, target)
            except ValueError:  # its load says it again
                continue
            for name, reason in files.items():
                self.left_out_by.setdefault((pattern, name), set()).add(target)
                if not self._may_leave_out(source, target, name):
                    self.refused[target] = f"{source.key} cannot be read: {reason}"

    def _may_leave_out(self, source: SourceRow, target: str, name: str) -> bool:
        is_decided = self.allowed is None or (target, source.key, name) in self.allowed
        return is_decided or (self.seen is not None and self.seen.has_come_since(source, name))


def _columns(lake: LakeView, source: SourceRow) -> dict[str, str]:
    """Return the columns of a folder whose files differ, as typed NULLs; nothing when all files are alike.

    A load reads a few of its files, and a column that these lack is NULL.
    """
    try:
        found = lake.columns(source)
    except ValueError as error:  # its load says it again
        logger.warning("lake.not_read location=%s error=%s", source.location, error)
        return {}
    ignored = {"ignored": json.dumps(found.ignored)} if found.ignored else {}
    if not found.is_mixed:
        return ignored
    nulls = (f"cast(null as {readable_type(column)}) as {quote_identifier(column.name)}" for column in found.columns)
    return {"nulls": ", ".join(nulls), **ignored}


def _write(
    path: Path,
    listings: Mapping[str, tuple[LakeFolder, Listing]],
    left_out_by: Mapping[tuple[str, str], Collection[str]],
    rejects: Mapping[str, Mapping[str, str]],
) -> None:
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob("*.csv"):
        if old.stat().st_mtime < time.time() - _SECONDS_KEPT:
            old.unlink(missing_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(("pattern", "path", "name", "version", "left_out_by", "rejects"))
        for pattern, (_, listing) in listings.items():
            of_pattern = rejects.get(pattern, {})
            for item in listing.files:
                targets = "|".join(left_out_by.get((pattern, item.name), ()))
                writer.writerow((pattern, item.path, item.name, item.identity, targets, of_pattern.get(item.name, "")))


def _list(lake: LakeView, sources: Iterable[SourceRow]) -> dict[SourceRow, tuple[LakeFolder, Listing]]:
    """List some sources, several at a time; those that cannot be listed are left out and logged."""

    def look(source: SourceRow) -> tuple[SourceRow, tuple[LakeFolder, Listing]] | None:
        try:
            return source, lake.listed(source)
        except (ValueError, OSError, SluiceError) as error:
            logger.warning("lake.not_listed location=%s error=%s", source.location, error)
            return None

    with ThreadPoolExecutor(LISTINGS_AT_ONCE, thread_name_prefix="sluice-listing") as pool:
        return dict(found for found in pool.map(look, sources) if found is not None)
