"""The columns of lake folders: read by name from the footers of their files, which may differ where nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from flows.warehouse.connection import first_line
from flows.warehouse.lake.faults import FileFault
from flows.warehouse.lake.folder import LakeFile, LakeFolder, Listing
from flows.warehouse.lake.footers import FooterMemory
from flows.warehouse.lake.formats.nested import known_type
from flows.warehouse.lake.s3 import prepare, unreadable_name
from metadata_sync.analysis.lake_location import literal_path, partition_columns
from metadata_sync.rows.model import Column, SourceRow, type_text
from metadata_sync.rows.vocabulary import OnSourceChange
from metadata_sync.sql.type_rules import MOST_DIGITS
from metadata_sync.sql.types import is_widening, type_parts


@dataclass(frozen=True, slots=True)
class KnownShape:
    """The columns of a source as a run accepted them.

    Attributes:
        types: Name in lower case → type.
        policy: What the source's row says of new columns and wider types.
        damaged: Files that a load found to be damaged behind a sound footer: name → version and error.
    """

    types: Mapping[str, str]
    policy: OnSourceChange
    damaged: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def known_shape(
    source: SourceRow, accepted: Mapping[str, str] | None, damaged: Mapping[str, tuple[str, str]]
) -> KnownShape | None:
    """Return what is known of a source's columns: the declared ones come first; None: nothing is.

    Args:
        source: The source.
        accepted: Its columns as a run has accepted them; None: no run has looked at it.
        damaged: Files that a load found to be damaged.

    Raises:
        ValueError: When a declared type is none.
    """
    types = {name.lower(): type_ for name, type_ in (accepted or {}).items()}
    for column in source.columns:
        try:
            types[column.name.lower()] = known_type(column.type)
        except ValueError as error:
            raise ValueError(f"{source.key} declares {column.name} {column.type}: {error}") from error
    return KnownShape(types, source.on_source_change, damaged) if source.columns or accepted is not None else None


@dataclass(frozen=True, slots=True)
class LakeColumns:
    """The columns of a folder.

    Attributes:
        columns: Those of all files together, each with a type that holds the values of every file that fits.
        is_mixed: Whether files differ: a column that a file lacks is NULL there.
        faults: The files that do not fit.
        ignored: Columns of the files that are not part of the source, in lower case.
    """

    columns: tuple[Column, ...]
    is_mixed: bool
    faults: tuple[FileFault, ...] = ()
    ignored: tuple[str, ...] = ()

    def only(self, names: Iterable[str], file_column: str | None) -> LakeColumns:
        """Return them without columns of files that a table has dropped."""
        known = {name.lower() for name in (*names, file_column or "")}
        dropped = tuple(name for column in self.columns if (name := column.name.lower()) not in known)
        kept = tuple(column for column in self.columns if column.name.lower() in known)
        return replace(self, columns=kept, ignored=(*self.ignored, *dropped))


Look = tuple[Listing, str | None, KnownShape | None, str | None]
"""Listing, incremental key, columns as a run accepted them, and the column that names files."""


class LakeFooters:
    """A database in memory that looks at the footers of files; no SELECT of a row reaches it.

    Args:
        known: Glob of a folder → its listing and what was asked of it, and its columns. A folder is looked at again
            after a change.
        memory: What was read of large folders by earlier runs.
        profile: The profile's target, which may hold credentials for S3.
    """

    def __init__(
        self,
        known: dict[str, tuple[Look, LakeColumns]],
        memory: FooterMemory,
        profile: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        import duckdb

        self._connection = duckdb.connect(":memory:")
        self._profile = profile
        self._reads_s3 = False
        self._known = known
        self._memory = memory

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def look_at(
        self, folder: LakeFolder, listing: Listing, key: str | None = None, known: KnownShape | None = None
    ) -> LakeColumns:
        """Return the columns of a folder, and the files that do not fit.

        Args:
            folder: The folder.
            listing: Its files.
            key: The incremental key of its source: a file without it belongs to another source.
            known: Its columns as a run accepted them; None: nobody has looked before.

        Raises:
            ValueError: When the folder is empty, or none of its files can be read.
            ConfigurationError: When DuckDB cannot read S3.
        """
        if folder.loads_from_s3 and not self._reads_s3:
            prepare(self._connection, self._profile)
            self._reads_s3 = True
        if not listing.files:
            ignored = f" ({listing.ignored})" if listing.ignored else ""
            raise ValueError(f"no {_FORMATS[folder.format]} file in {folder.location}{ignored}")
        look: Look = listing, key, known, folder.file_column
        place = folder.read_pattern
        if place not in self._known or self._known[place][0] != look:
            found = self._read(folder, listing.files, key, known)
            if listing.columns is not None:
                found = found.only(listing.columns, folder.file_column)
            self._known[place] = look, found
        return self._known[place][1]

    def _read(
        self, folder: LakeFolder, files: Sequence[LakeFile], key: str | None, known: KnownShape | None
    ) -> LakeColumns:
        import duckdb

        try:
            layouts = self._layouts_of(folder, files, known)
            damaged = {} if known is None else known.damaged
            for file in files if damaged else ():
                version, error = damaged.get(file.name, ("", ""))
                if version == file.identity:
                    layouts[file.path] = _BROKEN + error
            grouped = _Layouts.of(files, layouts)
            found = self._compare(folder, grouped, key, known)
            if any(column.type == "double" for column in found.columns):
                paths = [literal_path(file.path) for file in grouped.examples.values()]
                found = replace(found, columns=self._with_wide_decimals(found.columns, paths))
        except duckdb.Error as error:
            raise ValueError(f"{folder.location} cannot be read: {first_line(error)}") from error
        return found

    def _layouts_of(self, folder: LakeFolder, files: Sequence[LakeFile], known: KnownShape | None) -> dict[str, str]:
        """Return path → layout of all files; text files are copied to Parquet first."""
        if folder.copies is None:
            return dict(self._memory.layouts(folder, files, self._layouts))
        errors = folder.copies.make(files, {} if known is None else known.types)
        readable = [file for file in files if file.name not in errors]
        layouts = dict(self._memory.layouts(folder, readable, self._layouts))
        return layouts | {file.path: _BROKEN + errors[file.name] for file in files if file.name in errors}

    def _compare(self, folder: LakeFolder, layouts: _Layouts, key: str | None, known: KnownShape | None) -> LakeColumns:
        """Describe all files that fit together, and find those that do not."""
        if not layouts.examples:
            error = next(iter(layouts.broken.values()))
            raise ValueError(f"no file of {folder.location} can be read, e.g. {error.reason_for(None)}")
        single = {
            layout: self._describe(f"from read_parquet({_literal(file.path)})")
            for layout, file in layouts.examples.items()
        }
        foreign = _foreign(folder, single, layouts, key) if len(single) > 1 else {}
        if known is not None and known.policy is OnSourceChange.HOLD:
            foreign |= self._changed(single, known)
        fitting = {layout: columns for layout, columns in single.items() if layout not in foreign}
        if not fitting:
            raise ValueError(f"no file of {folder.location} fits: {next(iter(foreign.values()))}")
        agreed = self._agree(fitting, layouts, known)
        is_mixed = len(fitting) > 1
        # the types of partition columns depend on all folders' names
        shown = layouts.files_of(fitting) if partition_columns(folder.location) else layouts.examples_of(fitting)
        columns = self._describe(f"from {folder.relation(shown, is_mixed=is_mixed)}")
        if is_mixed:
            types = agreed.types
            columns = tuple(
                column.model_copy(update={"type": types.get(column.name.lower(), column.type)}) for column in columns
            )
        ignored: tuple[str, ...] = ()
        if known is not None and known.policy is OnSourceChange.IGNORE:
            own = {*known.types, (folder.file_column or "").lower()}
            ignored = tuple(name for column in columns if (name := column.name.lower()) not in own)
        kept = tuple(column for column in columns if column.name.lower() not in ignored)
        return LakeColumns(kept, is_mixed, layouts.faults(foreign, agreed.conflicts), ignored)

    def _changed(self, single: Mapping[str, Sequence[Column]], known: KnownShape) -> dict[str, str]:
        """Return the layouts that would change the source, each with a sentence."""
        found = {}
        for layout, columns in single.items():
            new = [f"the new column {column.name}" for column in columns if column.name.lower() not in known.types]
            new += [
                f"{column.name} {column.type} in place of {usual}"
                for column in columns
                if (usual := known.types.get(column.name.lower())) not in (None, column.type)
                and self._common_type(usual or "", column.type) not in (None, usual)
            ]
            if new:
                found[layout] = f"it has {' and '.join(new)} (on_source_change: hold)"
        return found

    def _agree(self, single: Mapping[str, Sequence[Column]], layouts: _Layouts, known: KnownShape | None) -> _Agreement:
        """Find for each column the type that holds the values of all layouts.

        What a run has accepted comes first, as far as any file agrees with it; then the most frequent layout.
        """
        agreed = _Agreement({}, {})
        from_: dict[str, str] = {}
        held = {(column.name.lower(), column.type) for columns in single.values() for column in columns}
        for name, type_ in () if known is None else known.types.items():
            if any(name == other and self._common_type(type_, found) is not None for other, found in held):
                agreed.types[name], from_[name] = type_, "the source"
        for layout, columns in single.items():
            for column in columns:
                name, type_ = column.name.lower(), column.type
                usual = agreed.types.get(name)
                if type_.lower() == _NOTHING:
                    continue
                common = type_ if usual is None else self._common_type(usual, type_)
                if common is not None:
                    agreed.types[name] = common
                    from_.setdefault(name, layouts.examples[layout].name)
                else:
                    text = f"{column.name} {type_}, where {from_[name]} has {column.name} {usual}"
                    agreed.conflicts.setdefault(layout, {})[name] = text
        return agreed

    def _common_type(self, one: str, other: str) -> str | None:
        """Return the type that holds the values of two types without a change; None: there is none."""
        if _is_kept(other, one) or other.lower() == _NOTHING:
            return one
        if _is_kept(one, other):
            return other
        if any(name == "decimal" and sizes[0] > MOST_DIGITS for name, sizes in map(type_parts, (one, other))):
            return None
        (united,) = self._describe(f"select cast(null as {one}) as x union all select cast(null as {other})")
        wide = united.type
        return wide if _is_kept(one, wide) and _is_kept(other, wide) else None

    def _layouts(self, files: Sequence[LakeFile]) -> dict[str, str]:
        """Return path → layout, the set of a file's names and types; of a file that is no Parquet, why."""
        import duckdb

        found = {file.path: _BROKEN + reason for file in files if (reason := unreadable_name(file.path))}
        todo = [some] if (some := [file for file in files if file.path not in found]) else []
        while todo:
            some = todo.pop()
            try:
                found |= self._read_layouts(some)
            except duckdb.IOException:  # the file system or S3 does not answer: that says nothing of the files
                raise
            except duckdb.Error as error:
                if len(some) == 1:
                    found[some[0].path] = _BROKEN + first_line(error).replace(some[0].path, some[0].name)
                else:
                    todo += [some[: len(some) // 2], some[len(some) // 2 :]]
        return found

    def _read_layouts(self, files: Sequence[LakeFile]) -> dict[str, str]:
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


@dataclass(frozen=True, slots=True)
class _Agreement:
    """Column → common type; layout → column → how its type differs."""

    types: dict[str, str]
    conflicts: dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Layouts:
    """The files of a folder by layout.

    Attributes:
        files: The files of each layout, the latest first; the most frequent layout first.
        examples: The latest file of each layout.
        broken: Name → fault of a file that nobody can read.
    """

    files: Mapping[str, Sequence[LakeFile]]
    examples: Mapping[str, LakeFile]
    broken: Mapping[str, FileFault]

    @classmethod
    def of(cls, files: Sequence[LakeFile], layouts: Mapping[str, str]) -> _Layouts:
        found: dict[str, list[LakeFile]] = {}
        broken = {}
        for file in sorted(files, key=_age, reverse=True):
            layout = layouts[file.path]
            if layout.startswith(_BROKEN):
                broken[file.name] = FileFault(file, layout.removeprefix(_BROKEN))
            else:
                found.setdefault(layout, []).append(file)
        # of equally frequent layouts the older one is the usual one; a list ends with its oldest file
        by_count = dict(sorted(found.items(), key=lambda item: (-len(item[1]), _age(item[1][-1]))))
        return cls(by_count, {layout: some[0] for layout, some in by_count.items()}, broken)

    def files_of(self, layouts: Iterable[str]) -> list[LakeFile]:
        return sorted((file for layout in layouts for file in self.files[layout]), key=lambda file: file.name)

    def examples_of(self, layouts: Iterable[str]) -> list[LakeFile]:
        return [self.examples[layout] for layout in layouts]

    def faults(self, foreign: Mapping[str, str], conflicts: Mapping[str, Mapping[str, str]]) -> tuple[FileFault, ...]:
        found = list(self.broken.values())
        found += [FileFault(file, error) for layout, error in foreign.items() for file in self.files[layout]]
        found += [
            FileFault(file, conflicts=texts) for layout, texts in conflicts.items() for file in self.files[layout]
        ]
        return tuple(sorted(found, key=lambda fault: fault.file.name))


def _age(file: LakeFile) -> tuple[datetime, str]:
    return file.modified_at or _LONG_AGO, file.name


_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_BROKEN: Final = "cannot be read: "
"""Begins the layout of a file that is no Parquet."""


def _foreign(
    folder: LakeFolder, single: Mapping[str, Sequence[Column]], layouts: _Layouts, key: str | None
) -> dict[str, str]:
    """Return the layouts that lack the incremental key, or share no column with the others, each with a sentence."""
    names = {layout: {column.name.lower() for column in columns} for layout, columns in single.items()}
    wanted = "" if key is None or key.lower() in map(str.lower, partition_columns(folder.location)) else key.lower()
    is_known = any(wanted in held for held in names.values())
    usual = next((layout for layout, held in names.items() if not is_known or wanted in held), next(iter(names)))
    found = {}
    for layout, held in names.items():
        lacks = f"{key}, the incremental key" if is_known and wanted not in held else ""
        lacks = lacks or ("" if held & names[usual] else f"any column of {layouts.examples[usual].name}")
        if lacks:
            found[layout] = f"it has {', '.join(sorted(held))}, and not {lacks}"
    return found


def _is_kept(narrow: str, wide: str) -> bool:
    """Whether a type holds the values of another one without a change."""
    is_same_instant = narrow in ("timestamp_s", "timestamp_ms") and wide == "timestamp"
    return narrow == wide or is_same_instant or is_widening(narrow, wide)


def readable_type(column: Column) -> str:
    """Return the type in which DuckDB reads a column: a decimal of more digits than it has is a double there."""
    name, sizes = type_parts(column.type)
    return "double" if name == "decimal" and sizes[0] > MOST_DIGITS else column.type


_FORMATS: Final = {"parquet": "Parquet", "csv": "CSV", "json": "JSON"}
_NOTHING = '"null"'
"""Type of a column that holds NULL alone and was written without a type."""


def _literal(path: str) -> str:
    return "'" + literal_path(path).replace("'", "''") + "'"
