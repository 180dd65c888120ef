"""The columns of lake folders: read by name from the footers of their files, which may differ where nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flows.warehouse.connection import first_line
from flows.warehouse.footers import FooterMemory
from flows.warehouse.lake import LakeFile, LakeFolder, Listing, change_token
from metadata_sync.analysis.lake_location import literal_path, partition_columns
from metadata_sync.rows.model import Column, type_text
from metadata_sync.sql.type_rules import MOST_DIGITS
from metadata_sync.sql.types import is_widening, type_parts


@dataclass(frozen=True, slots=True)
class LakeColumns:
    """The columns of a folder.

    Attributes:
        columns: Those of all files together, each with a type that holds the values of every file.
        is_mixed: Whether files differ: a column that a file lacks is NULL there.
    """

    columns: tuple[Column, ...]
    is_mixed: bool


class LakeFooters:
    """A database in memory that looks at the footers of files; no SELECT of a row reaches it.

    Args:
        known: Location → token of its listing and its columns. A folder is looked at again after a change.
        memory: What was read of large folders by earlier runs.
    """

    def __init__(self, known: dict[str, tuple[str, LakeColumns]], memory: FooterMemory) -> None:
        import duckdb

        self._connection = duckdb.connect(":memory:")
        self._known = known
        self._memory = memory

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def look_at(self, folder: LakeFolder, listing: Listing, key: str | None = None) -> LakeColumns:
        """Return the columns of a folder.

        Args:
            folder: The folder.
            listing: Its files.
            key: The incremental key of its source: a file without it belongs to another source.

        Raises:
            ValueError: When the folder is empty, a file is no Parquet or belongs to another source, or types
                of a column lose values in each other.
        """
        if not listing.files:
            ignored = f" ({listing.ignored})" if listing.ignored else ""
            raise ValueError(f"no Parquet file in {folder.location}{ignored}")
        token = change_token(listing.files)
        if self._known.get(folder.location, ("",))[0] != token:
            self._known[folder.location] = (token, self._read(folder, listing.files, key))
        return self._known[folder.location][1]

    def _read(self, folder: LakeFolder, files: Sequence[LakeFile], key: str | None) -> LakeColumns:
        import duckdb

        try:
            layouts = self._memory.layouts(folder, files, self._layouts)
            examples = _examples(layouts, files)
            is_mixed = len(examples) > 1
            # the types of partition columns depend on all folders' names
            shown = files if partition_columns(folder.location) else examples
            columns = self._describe(f"from {folder.relation(shown, is_mixed=is_mixed)}")
            paths = [literal_path(file.path) for file in examples]
            if is_mixed:
                single = {path: self._describe(f"from read_parquet({_literal(path)})") for path in paths}
                _refuse_foreign(folder, single, key)
                _refuse_lossy(folder, columns, single)
            if any(column.type == "double" for column in columns):
                columns = self._with_wide_decimals(columns, paths)
        except duckdb.Error as error:
            raise ValueError(f"{folder.location} cannot be read: {first_line(error)}") from error
        return LakeColumns(columns, is_mixed)

    def _layouts(self, files: Sequence[LakeFile]) -> dict[str, str]:
        """Return path → layout, the set of a file's names and types."""
        rows = self._connection.execute(
            """
            select file_name, string_agg(name || ' ' || lower(duckdb_type), ', ' order by name)
            from parquet_schema($paths)
            where duckdb_type is not null
            group by file_name
            """,
            {"paths": [literal_path(file.path) for file in files]},
        ).fetchall()
        return dict(rows)

    def _describe(self, select: str) -> tuple[Column, ...]:
        relation = self._connection.sql(select)
        return tuple(
            Column(name=name, type=type_text(str(type_), "duckdb"))
            for name, type_ in zip(relation.columns, relation.types, strict=True)
        )

    def _with_wide_decimals(self, columns: Sequence[Column], paths: Sequence[str]) -> tuple[Column, ...]:
        """Name decimals with more digits than DuckDB holds: it would read them as doubles."""
        rows = self._connection.execute(
            """
            select distinct name, precision, scale
            from parquet_schema($paths)
            where precision > 38 and duckdb_type = 'DOUBLE'
            """,
            {"paths": paths},
        ).fetchall()
        wide = {name: f"decimal({precision},{scale})" for name, precision, scale in rows}
        return tuple(column.model_copy(update={"type": wide.get(column.name, column.type)}) for column in columns)


_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def _examples(layouts: Mapping[str, str], files: Sequence[LakeFile]) -> list[LakeFile]:
    """Return the latest file of each layout, the most frequent layout first, of equal ones that of the first file."""
    first: dict[str, LakeFile] = {}
    for file in sorted(files, key=lambda file: (file.modified_at or _LONG_AGO, file.name), reverse=True):
        first.setdefault(layouts[file.path], file)
    return [first[layout] for layout, _ in Counter(layouts[file.path] for file in files).most_common()]


def _refuse_foreign(folder: LakeFolder, layouts: Mapping[str, Sequence[Column]], key: str | None) -> None:
    """Refuse a file that lacks the incremental key, or shares no column with the others."""
    names = {path: {column.name.lower() for column in layout} for path, layout in layouts.items()}
    usual = next(iter(names))
    is_in_files = key is not None and key.lower() not in map(str.lower, partition_columns(folder.location))
    for path, held in names.items():
        lacks = f"{key}, the incremental key" if key is not None and is_in_files and key.lower() not in held else ""
        lacks = lacks or ("" if held & names[usual] else f"any column of {usual}")
        if lacks:
            raise ValueError(
                f"files of {folder.location} have different columns: {path} has {', '.join(sorted(held))}, and not "
                f"{lacks}. Move the different file away, or write it again with the columns of the others"
            )


def _refuse_lossy(folder: LakeFolder, columns: Sequence[Column], layouts: Mapping[str, Sequence[Column]]) -> None:
    """Refuse types of one column that no type holds without a change, e.g. whole numbers and text."""
    for column in columns:
        found = {path: item.type for path, layout in layouts.items() for item in layout if item.name == column.name}
        held = {path: type_ for path, type_ in found.items() if type_.lower() != _NOTHING}
        if all(_is_kept(type_, column.type) for type_ in held.values()):
            continue
        usual, usual_type = next(iter(held.items()))
        odd, odd_type = next((path, type_) for path, type_ in held.items() if type_ != usual_type)
        raise ValueError(
            f"files of {folder.location} have different columns: {odd} has {column.name} {odd_type}, where {usual} "
            f"has {column.name} {usual_type}. Move the different file away, or write it again with the same type"
        )


def _is_kept(narrow: str, wide: str) -> bool:
    """Whether a type holds the values of another one without a change."""
    is_same_instant = narrow in ("timestamp_s", "timestamp_ms") and wide == "timestamp"
    return narrow == wide or is_same_instant or is_widening(narrow, wide)


def readable_type(column: Column) -> str:
    """Return the type in which DuckDB reads a column: a decimal of more digits than it has is a double there."""
    name, sizes = type_parts(column.type)
    return "double" if name == "decimal" and sizes[0] > MOST_DIGITS else column.type


_NOTHING = '"null"'
"""Type of a column that holds NULL alone and was written without a type."""


def _literal(path: str) -> str:
    return "'" + literal_path(path).replace("'", "''") + "'"
