"""Listings of lake sources for the macros: which files a load may read, and in which version.

Only the embedded warehouse reads files by name; Redshift and Spark read a source's folder by themselves.
"""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from flows.warehouse.lake import LISTINGS_AT_ONCE, LakeFolder, Listing, list_folder, resolve_folder
from flows.warehouse.lake_columns import readable_type
from metadata_sync.errors import SluiceError
from metadata_sync.rows.names import quote_identifier
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import SourceKind

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.rows.model import ControlRows, TransformationRow

logger = logging.getLogger(__name__)

_SECONDS_KEPT: Final = 2 * 24 * 3600
"""How long a listing stays after its run, for whoever looks into a failure."""


def files_variable(
    context: Context, rows: ControlRows, targets: Iterable[TransformationRow], run_id: str
) -> dict[str, str]:
    """List the lake sources of some targets now, and return the variable that passes the listing to the macros.

    A folder that cannot be listed is left out: its load then says what is wrong with it.

    Args:
        context: Project, profile.
        rows: The environment's rows.
        targets: The targets that dbt is going to load.
        run_id: Names the file of the listing, which is made in `.sluice/listings/`.
    """
    if not context.profile.is_embedded:
        return {}
    names = {item.name for row in targets for item in resolve_dependencies(row, rows)}
    sources = [source for name in sorted(names) if (source := rows.source(name)) is not None]
    keys = {row.location: row.incremental_key for row in sources if row.kind is SourceKind.LAKE and row.location}
    listings = list_places(context, keys)
    if not listings:
        return {}
    path = context.project.make_state_dir() / "listings" / f"{run_id}.csv"
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob("*.csv"):
        if old.stat().st_mtime < time.time() - _SECONDS_KEPT:
            old.unlink(missing_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(("pattern", "path", "name", "version"))
        for folder, listing in listings.items():
            writer.writerows((folder.pattern, item.path, item.name, item.identity) for item in listing.files)
    patterns = {
        folder.pattern: _shape(context, folder, listing, keys[folder.location]) for folder, listing in listings.items()
    }
    return {"SLUICE_FILES": json.dumps({"listing": str(path), "patterns": patterns})}


def _shape(context: Context, folder: LakeFolder, listing: Listing, key: str | None) -> dict[str, str]:
    """Return the columns of a folder whose files differ, as typed NULLs; nothing when all files are alike.

    A load reads a few of its files, and a column that these lack is NULL.
    """
    from flows.warehouse.columns import DuckDBColumns

    assert isinstance(context.columns, DuckDBColumns), "only the embedded warehouse reads files"
    try:
        found = context.columns.lake_columns(folder, listing, key)
    except ValueError as error:  # its load says it again
        logger.warning("lake.not_read location=%s error=%s", folder.location, error)
        return {}
    if not found.is_mixed:
        return {}
    nulls = (f"cast(null as {readable_type(column)}) as {quote_identifier(column.name)}" for column in found.columns)
    return {"nulls": ", ".join(nulls)}


def list_places(context: Context, locations: Iterable[str]) -> dict[LakeFolder, Listing]:
    """List some locations, several at a time; those that cannot be listed are left out and logged."""

    def look(location: str) -> tuple[LakeFolder, Listing] | None:
        try:
            folder = resolve_folder(context.project, location)
            return folder, list_folder(folder)
        except (ValueError, OSError, SluiceError) as error:
            logger.warning("lake.not_listed location=%s error=%s", location, error)
            return None

    with ThreadPoolExecutor(LISTINGS_AT_ONCE, thread_name_prefix="sluice-listing") as pool:
        return dict(found for found in pool.map(look, locations) if found is not None)
