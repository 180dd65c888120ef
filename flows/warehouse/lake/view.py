"""The lake as one decision sees it: each folder listed once, and which reader leaves out which file."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from flows.warehouse.lake.folder import LakeFile, LakeFolder, Listing, list_folder, resolve_folder, source_folder
from flows.warehouse.lake.shape import LakeColumns
from flows.warehouse.lake.spectrum import Places, relation_of
from metadata_sync.analysis.select_file import read_select
from metadata_sync.errors import SluiceError
from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName

if TYPE_CHECKING:
    from metadata_sync.project import Project
    from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow

_SECONDS_FRESH: Final = 10

Look = Callable[[LakeFolder, Listing, "SourceRow"], LakeColumns]
"""Returns the columns of a source's listed files; see `LakeFooters.look_at`."""


class LakeView:
    """The files of lake sources, for one decision and the loads that follow from it.

    Attributes:
        seen: The sources whose footers were looked at, with their columns.
        faulty: Those of them with a file that does not fit.

    Args:
        project: The root of relative locations.
        rows: The environment's rows.
        look: Reads footers; None: the warehouse reads a source's folder by itself, and no file is left out.
        places: Of a warehouse that reads external tables: where these find their files, by relation; None: of others.
    """

    def __init__(
        self,
        project: Project,
        rows: ControlRows | None = None,
        look: Look | None = None,
        *,
        places: Mapping[str, Places] | None = None,
    ) -> None:
        self._project = project
        self._rows = rows
        self._look = look
        self._places = places
        self._listings: dict[str, tuple[LakeFolder, Listing]] = {}
        self._made_at = time.monotonic()
        self._named: dict[str, frozenset[str] | None] = {}
        self.seen: dict[SourceRow, LakeColumns] = {}
        self.faulty: set[TableName] = set()

    @property
    def is_fresh(self) -> bool:
        """Whether a load may read by these listings, rather than list again: files may have come or gone meanwhile."""
        return time.monotonic() - self._made_at < _SECONDS_FRESH

    def listed(self, source: SourceRow) -> tuple[LakeFolder, Listing]:
        """Return a source's folder and listing; it is listed the first time.

        Raises:
            ValueError, OSError, SluiceError: See `list_folder`.
        """
        key = self._key(source)
        if key not in self._listings:
            folder = self._folder(source)
            listing = list_folder(folder)
            places = (self._places or {}).get(key)
            self._listings[key] = folder, listing if places is None else places.shown(source, folder, listing)
        return self._listings[key]

    def place_of(self, source: SourceRow) -> Places | None:
        """Return where the external table of a source finds its files; None: the warehouse reads it otherwise."""
        return (self._places or {}).get(relation_of(source)) if source.location else None

    def check_place(self, source: SourceRow) -> None:
        """Check that a source's row and its external table name one folder, when S3 can be listed.

        Raises:
            ValueError: When they do not.
        """
        if self.place_of(source) is not None:
            try:
                self.listed(source)
            except (OSError, SluiceError):  # without rights in S3, windows of the key are read
                return

    def _folder(self, source: SourceRow) -> LakeFolder:
        """Return a source's folder; an external table reads text files by itself."""
        if self._places is None:
            return source_folder(self._project, source)
        return resolve_folder(self._project, source.location or "")

    def _key(self, source: SourceRow) -> str:
        return source_folder(self._project, source).read_pattern if self._places is None else relation_of(source)

    def has_come_since(self, source: SourceRow, name: str) -> bool:
        """Whether a file of a source has come after this look at it; False when it was not listed then."""
        found = self._listings.get(self._key(source))
        return found is not None and all(file.name != name for file in found[1].files)

    def columns(self, source: SourceRow) -> LakeColumns:
        """Return the columns of a source's files, and the files that do not fit.

        Raises:
            ValueError, OSError, SluiceError: When it cannot be listed, is empty, or none of its files can be read.
        """
        if self._look is None:
            return LakeColumns((), is_mixed=False)
        if source not in self.seen:
            folder, listing = self.listed(source)
            self.seen[source] = found = self._look(folder, listing, source)
            if found.faults:
                self.faulty.add(source.name)
        return self.seen[source]

    def left_out(self, source: SourceRow, reader: str | None) -> Mapping[str, str]:
        """Return the files that a reader of a source leaves out: name → why.

        Args:
            source: The source.
            reader: The target, `schema.table`; None: the gate, which reads the incremental key alone.
        """
        faults = self.columns(source).faults
        if not faults:
            return {}
        key = (source.incremental_key or "").lower()
        columns = frozenset({key}) if reader is None else self._columns_named(reader, key)
        reasons = ((fault.file.name, fault.reason_for(columns)) for fault in faults)
        return {name: reason for name, reason in reasons if reason is not None}

    def readers_of(self, source: SourceRow, column: str) -> list[str]:
        """Return the targets that read a column of a source."""
        key = (source.incremental_key or "").lower()
        named = {
            str(row.name): self._columns_named(str(row.name), key)
            for row in (self._rows.transformations if self._rows else ())
            if any(item.table == source.key for item in row.dependencies)
        }
        return sorted(name for name, columns in named.items() if columns is None or column.lower() in columns)

    def readable(self, source: SourceRow) -> tuple[LakeFile, ...]:
        """Return the files of a source that hold its incremental key."""
        files = self.listed(source)[1].files
        left_out = self.left_out(source, None)
        return tuple(file for file in files if file.name not in left_out) if left_out else files

    def _columns_named(self, target: str, key: str) -> frozenset[str] | None:
        """Return every word of a row that may name a column, in lower case; None: its SELECT may read all columns."""
        row = self._rows.transformation(TableName.parse(target)) if self._rows else None
        if row is None:
            return None
        if target not in self._named:
            text = read_select(row, self._project)
            from metadata_sync.sql import parse_select
            from metadata_sync.sql.columns_read import names_read

            select = None if isinstance(text, Problem) else parse_select(text, "duckdb")[0]
            self._named[target] = None if select is None else names_read(select)
        named = self._named[target]
        return None if named is None else named | {key} | frozenset(_words(row))


def _words(row: TransformationRow) -> Iterable[str]:
    """Yield the words of a row's keys, which may be expressions over the columns of a source."""
    texts = [row.incremental_key or "", *row.recompute_key]
    for item in row.dependencies:
        texts += [item.incremental_key or "", *item.recompute_by]
    joined = " ".join(texts).lower()
    return [*map(str.lower, texts), *re.findall(r"\w+", joined), *re.findall(r'"([^"]+)"', joined)]
