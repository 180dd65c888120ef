"""The second wall of the embedded warehouse: a connection reads the files of declared sources, and no others.

The checks of SELECTs are the first wall. A SELECT that slips through them still opens no other file and no other
database, and changes no setting. The macro `confine_files` does the same to dbt's connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from metadata_sync.analysis.lake_location import file_folder
from metadata_sync.project import Project
from metadata_sync.settings import Settings

if TYPE_CHECKING:
    import duckdb


def file_places(project: Project, settings: Settings, locations: Iterable[str]) -> tuple[str, ...]:
    """Return the folders and prefixes that connections may read, each with a final slash.

    Args:
        project: Where relative locations begin.
        settings: What the team adds.
        locations: Locations of sources; one that leaves the project opens nothing.
    """
    places: set[str] = set()
    for location in locations:
        try:
            places.add(file_folder(project, location))
        except ValueError:
            continue
    added = (place.strip().rstrip("/") for place in (settings.duckdb_directories or "").split(","))
    return tuple(sorted(places | {f"{place}/" for place in added if place}))


def confine(connection: duckdb.DuckDBPyConnection, places: Collection[str], kept: Iterable[str] = ()) -> None:
    """Confine a connection, and every other one to the same database in this process, until it is closed.

    Args:
        connection: The connection; nothing can widen it again.
        places: What it may read; see `file_places`.
        kept: Settings that may still be changed.

    Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
    """
    if is_confined(connection):
        return
    if any(place.startswith("s3://") for place in places):
        connection.execute("install httpfs; load httpfs")  # what DuckDB does by itself, unless it is confined
    connection.execute(f"set allowed_directories = {_list(places)}")
    connection.execute(f"set allowed_configs = {_list(kept)}")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def is_confined(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether the connection's settings are locked."""
    return bool(connection.execute("select current_setting('lock_configuration')").fetchall()[0][0])


def _list(values: Iterable[str]) -> str:
    from sqlglot import exp

    return exp.array(*(exp.Literal.string(value) for value in values), dialect="duckdb").sql("duckdb")
