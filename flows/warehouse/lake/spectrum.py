"""Lake sources that Redshift reads as external tables: which files these show, and their listing in the warehouse.

An external table shows the files below its location, or those of its registered partitions, and names the file of each
row by its hidden column "$path". Loads compare the listing, rows of the table `lake_listing`, with what they have read.

Source: https://docs.aws.amazon.com/redshift/latest/dg/c-spectrum-external-tables.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from flows.warehouse.connection import literal
from flows.warehouse.lake.folder import LakeFolder, Listing
from flows.warehouse.writes import run_writes
from metadata_sync.loads import FileRead
from metadata_sync.rows.names import quote_identifier

if TYPE_CHECKING:
    from flows.warehouse.connection import Warehouse
    from flows.warehouse.profile import Profile
    from metadata_sync.rows.model import SourceRow

LISTING_TABLE: Final = "lake_listing"
FILES_IN_A_STATEMENT: Final = 5_000
"""How many files a statement names; the macro `unread_paths` says the same."""
_ROWS_AT_ONCE: Final = 2_000
_PARTITIONS: Final = re.compile(r"/\w+=\*.*$")
"""The end of a location that names its partition folders: `…/day=*`."""
_HIDDEN: Final = re.compile(r"/#[^/]*$|~$")
"""Names that Redshift ignores, besides those that Spark and Hive do.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_TABLE.html
"""
_DAYS_KEPT: Final = 2
_PLACES: Final = """
    select schemaname, tablename, location, 0 from svv_external_tables
    where schemaname in ({schemas}) and tablename in ({tables})
    union all
    select schemaname, tablename, location, 1 from svv_external_partitions
    where schemaname in ({schemas}) and tablename in ({tables})
    union all
    select distinct schemaname, tablename, '', 1 from svv_external_columns
    where part_key > 0 and schemaname in ({schemas}) and tablename in ({tables})"""
"""Source: https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_EXTERNAL_PARTITIONS.html, and those of the others."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where an external table finds its files.

    Attributes:
        location: Its folder in S3.
        partitions: The folders of its registered partitions; None: it has no partitions.
    """

    location: str
    partitions: tuple[str, ...] | None = None

    @property
    def folder_length(self) -> int:
        """How long the folder's name is, with its slash: hidden folders count below it."""
        return len(_folder(self.location))

    def shown(self, source: SourceRow, folder: LakeFolder, listing: Listing) -> Listing:
        """Return the files that the table shows; the others are counted.

        Raises:
            ValueError: When the row's location is not the table's.
        """
        above = _PARTITIONS.sub("", folder.folder or "")
        if not above or _folder(above) != _folder(self.location):
            raise ValueError(
                f"its location is {source.location}, and the external table {relation_of(source)} reads {self.location}"
            )
        files = tuple(file for file in listing.files if not _HIDDEN.search(file.path))
        listing = replace(listing, files=files, hidden_count=listing.hidden_count + len(listing.files) - len(files))
        if self.partitions is None:
            return listing
        folders = tuple(map(_folder, self.partitions))
        files = tuple(file for file in listing.files if folders and file.path.startswith(folders))
        return replace(listing, files=files, unregistered_count=len(listing.files) - len(files))


def relation_of(source: SourceRow) -> str:
    """Return the table of a source, as SQL."""
    return f"{quote_identifier(source.external_schema or source.source_schema)}.{quote_identifier(source.source_table)}"


def read_places(warehouse: Warehouse, sources: Iterable[SourceRow]) -> dict[str, Places]:
    """Return where the external tables of some sources find their files, by relation; others are not in it.

    Args:
        warehouse: A connection to Redshift.
        sources: Lake sources.
    """
    by_relation = {relation_of(source): source for source in sources}
    if not by_relation:
        return {}
    schemas = {(source.external_schema or source.source_schema).lower() for source in by_relation.values()}
    tables = {source.source_table.lower() for source in by_relation.values()}
    found: dict[str, Places] = {}
    statement = _PLACES.format(schemas=_listed(schemas), tables=_listed(tables))
    for schema, table, location, is_partition in warehouse.query(statement):
        relation = f"{quote_identifier(schema)}.{quote_identifier(table)}"
        before = found.get(relation, Places(""))
        if is_partition:
            folders = (location,) if location else ()
            found[relation] = replace(before, partitions=(*(before.partitions or ()), *folders))
        else:
            found[relation] = replace(before, location=location)
    return {relation: places for relation, places in found.items() if places.location}


def files_relation(source: SourceRow, paths: Collection[str]) -> str:
    """Return the rows of some files of an external table, as a subselect without an alias."""
    listed = ", ".join(map(_text, paths))
    return f'(select * from {relation_of(source)} where "$path" in ({listed}))'  # noqa: S608


def unread(
    listing: Listing, readers: Iterable[str], read: Mapping[tuple[str, str], Mapping[str, FileRead]], source: SourceRow
) -> Listing:
    """Return the files that one of some readers has not read as they are, or has read in part."""
    notes = [read.get((reader, source.key), {}) for reader in readers]
    files = (
        file
        for file in listing.files
        if any(
            (noted := of_reader.get(file.name)) is None or noted.identity != file.identity or noted.future_from
            for of_reader in notes
        )
    )
    return replace(listing, files=tuple(files))


def store_listing(
    profile: Profile, schema: str, name: str, listings: Mapping[str, Listing], *, has_table: bool
) -> None:
    """Write the listing of a run into the warehouse; those of earlier days are removed.

    Args:
        profile: For writing.
        schema: Sluice's schema in the warehouse; it is made where it is missing.
        name: Of the listing.
        listings: The files by relation, as `relation_of` writes it.
        has_table: Whether the schema has the table of listings; else it is made.

    Raises:
        SoftRunError: When the warehouse does not answer.
        HardRunError: When it refuses.
    """
    table = f"{quote_identifier(schema)}.{LISTING_TABLE}"
    statements = [f"delete from {table} where listed_at < dateadd(day, -{_DAYS_KEPT}, getdate())"]  # noqa: S608
    if not has_table:
        statements = [
            f"create schema if not exists {quote_identifier(schema)}",
            f"create table if not exists {table} (listing varchar(1024), pattern varchar(300), path varchar(1200), "
            "name varchar(1024), version varchar(256), listed_at timestamp)",
        ]
    rows = [
        f"({_text(name)}, {_text(pattern)}, {_text(file.path)}, {_text(file.name)}, {_text(file.identity)}, getdate())"
        for pattern, listing in listings.items()
        for file in listing.files
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        statements.append(f"insert into {table} values {', '.join(rows[start : start + _ROWS_AT_ONCE])}")  # noqa: S608
    run_writes(profile, statements)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(literal, sorted(names)))


def _folder(location: str) -> str:
    return location.rstrip("/") + "/"


def _text(value: str) -> str:
    """Write a text as a literal of Redshift, which knows backslashes."""
    return literal(value.replace("\\", "\\\\"))
