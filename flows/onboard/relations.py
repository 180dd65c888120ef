"""Table expressions of what is offered: all rows of a source, and those that arrived together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flows.onboard.text_options import Written, look
from flows.warehouse.columns import DuckDBColumns
from flows.warehouse.lake.folder import LakeFile, LakeFolder, list_folder, source_folder
from metadata_sync.errors import RequestError
from metadata_sync.rows.model import Column, SourceRow
from metadata_sync.rows.names import quote_identifier, quote_identifiers
from metadata_sync.rows.vocabulary import SourceKind

if TYPE_CHECKING:
    from flows.context import Context

_MOST_LANDINGS: Final = 12
"""Files that are looked at one by one: the first ones and the last ones."""


def relation_of(context: Context, source: SourceRow) -> tuple[str, tuple[str, ...]]:
    """Return a source as a table expression, and those of what arrived together, oldest first.

    Files that a load leaves out are left out here, too.

    Args:
        context: The project.
        source: The row of a source.

    Raises:
        RequestError: When the source holds no file that can be read.
    """
    if source.kind is SourceKind.WAREHOUSE or not isinstance(context.columns, DuckDBColumns):
        schema = source.external_schema or source.source_schema
        relation = f"{quote_identifier(schema)}.{quote_identifier(source.source_table)}"
        return relation, (relation,)
    folder = source_folder(context.project, source)
    listing = list_folder(folder)
    found = context.columns.lake_columns(folder, listing, source)  # copies text to Parquet, too
    left_out = {fault.file.name for fault in found.faults if fault.reason_for(None)}
    files = [file for file in listing.files if file.name not in left_out]
    if not files:
        message = f"{source.location} holds no {source.format} files that can be read."
        raise RequestError(message, "Name a folder of data files.")
    ordered = sorted(files, key=lambda file: file.name)
    some = ordered if len(ordered) <= _MOST_LANDINGS else [*ordered[:6], *ordered[-6:]]
    columns = found.columns if found.is_mixed else ()
    return folder.relation(files, is_mixed=len(files) > 1), tuple(_landing(folder, file, columns) for file in some)


def _landing(folder: LakeFolder, file: LakeFile, columns: Sequence[Column]) -> str:
    """Return one file as a table expression; with the columns of all files, where they differ."""
    if not columns:
        return folder.relation([file])
    listed = quote_identifiers(column.name for column in columns)
    nothing = ", ".join(f"CAST(NULL AS {column.type}) AS {quote_identifier(column.name)}" for column in columns)
    every = f"SELECT {nothing} WHERE false UNION ALL BY NAME SELECT * FROM {folder.relation([file])}"
    return f"(SELECT {listed} FROM ({every}))"


def with_options(context: Context, source: SourceRow) -> tuple[SourceRow, Written | None]:
    """Return a source of text with the options that its first file needs, and why."""
    if source.format != "csv" or source.format_options is not None:
        return source, None
    files = list_folder(source_folder(context.project, source)).files
    first = next((file.original for file in files if file.size_bytes), "")
    written = look(Path(first)) if first and not first.startswith("s3://") else None
    if written is None:
        return source, None
    return source.model_copy(update={"format_options": written.options}), written
