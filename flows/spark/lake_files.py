"""The files that a job reads of its lake sources: those that the load notes as read, and no others."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from flows.spark.jobs import SourceFiles
from metadata_sync.rows.model import SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.sql.spark import unread_view, view_name

Window = Mapping[str, Any]
_LIST: Final = re.compile(r"read_parquet\(\[(.*?)\]\s*(?:,|\)$)", re.DOTALL)
_PLACES: Final = re.compile(r'where "\$path" in \((.*)\)\)$', re.DOTALL)
_PATH: Final = re.compile(r"'((?:[^']|'')*)'")


class ListedFiles:
    """The listing that dbt's macros read, too; see `flows.warehouse.lake.variable`.

    Args:
        variable: SLUICE_FILES; None: the warehouse is a server, and Spark reads folders.
    """

    def __init__(self, variable: str | None) -> None:
        self._document: dict[str, Any] = json.loads(variable) if variable else {}

    def of_job(
        self,
        row: TransformationRow,
        sources: Sequence[SourceRow],
        windows: Mapping[str, Window],
        unread: set[TableName],
    ) -> dict[str, SourceFiles]:
        """Return the files of each view of a job; a source that was not listed is left out.

        Args:
            row: The target.
            sources: What its SELECT reads.
            windows: The windows of its driving sources.
            unread: Sources whose unread files have a view of their own: they tell which groups are touched.

        Raises:
            ValueError: When a window names a file that was not listed.
        """
        found: dict[str, SourceFiles] = {}
        for source in sources:
            pattern = self._document.get("sources", {}).get(source.key)
            if pattern is None:
                continue
            is_mixed = "nulls" in self._document["patterns"][pattern]
            listed = [path for path, left_out_by in self._listing.get(pattern, ()) if str(row.name) not in left_out_by]
            window, view = windows.get(str(source.name)) or {}, view_name(source.name)
            new = _unread(window["files"], listed) if window.get("files") else None
            is_grouped = source.name in unread
            found[view] = SourceFiles(tuple(listed if new is None or is_grouped else new), is_mixed)
            if is_grouped and new is not None:
                found[unread_view(source.name)] = SourceFiles(tuple(new), is_mixed)
        return found

    @cached_property
    def _listing(self) -> dict[str, list[tuple[str, list[str]]]]:
        """The path of each file and the targets that leave it out, by pattern."""
        found: dict[str, list[tuple[str, list[str]]]] = {}
        with Path(self._document["listing"]).open(encoding="utf-8", newline="") as file:
            for item in csv.DictReader(file):
                found.setdefault(item["pattern"], []).append((item["path"], item["left_out_by"].split("|")))
        return found


def _unread(relation: str, listed: Sequence[str]) -> list[str]:
    """Return the files that a window's relation names.

    Raises:
        ValueError: When one was not listed.
    """
    is_external = not relation.startswith("read_parquet")
    found = _PLACES.search(relation) if is_external else _LIST.match(relation)
    if is_external and found is None:
        return list(listed)  # more files than Redshift's statement names
    by_literal = {path.replace("\\", "\\\\") if is_external else _escaped(path): path for path in listed}
    names = [name.replace("''", "'") for name in _PATH.findall(found[1])] if found is not None else []
    missing = [name for name in names if name not in by_literal]
    if missing or not names:
        raise ValueError(f"its window reads files that were not listed: {', '.join(missing) or relation[:200]}")
    return [by_literal[name] for name in names]


def _escaped(path: str) -> str:
    """Return a path as the macro `path_literal_sql` writes it: as a glob that matches it alone."""
    made = path.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]")
    return made.replace("\\", "[\\]") if path.startswith("s3://") else made
