"""What the footers of a folder's files said: remembered between runs, so that a large lake is not opened again."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.warehouse.lake.folder import LakeFile, LakeFolder

logger = logging.getLogger(__name__)

_WORTH_REMEMBERING: Final = 1_000
"""Number of files from which on a folder is remembered: fewer footers are read faster than noticed."""
_TABLES: Final = """
create table if not exists layouts (id integer primary key, layout text not null unique);
create table if not exists files
(path text primary key, identity text not null, layout_id integer not null) without rowid;
"""


@dataclass(frozen=True, slots=True)
class FooterMemory:
    """A database per folder of the lake, in `.sluice/footers/`. Losing it costs time and nothing else.

    Attributes:
        place: The folder of these databases.
    """

    place: Path

    def layouts(
        self, folder: LakeFolder, files: Sequence[LakeFile], read: Callable[[Sequence[LakeFile]], Mapping[str, str]]
    ) -> Mapping[str, str]:
        """Return path → layout of all files; reads the footers of those that are new or changed.

        Args:
            folder: The folder.
            files: Its files.
            read: Reads footers: path → layout.
        """
        if len(files) < _WORTH_REMEMBERING:
            return read(files)
        path = self.place / f"{hashlib.sha256(folder.read_pattern.encode()).hexdigest()[:32]}.db"
        before = _load(path)
        unseen, now = [], {}
        for file in files:
            identity, layout = before.get(file.path, ("", ""))
            if identity == file.identity:
                now[file.path] = layout
            else:
                unseen.append(file)
        found = read(unseen) if unseen else {}
        now |= found
        gone = before.keys() - now.keys()
        if unseen or gone:
            _save(path, {file.path: (file.identity, found[file.path]) for file in unseen}, gone)
        return now


def _load(path: Path) -> dict[str, tuple[str, str]]:
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("select path, identity, layout from files join layouts on id = layout_id")
            return {name: (identity, layout) for name, identity, layout in rows}
    except sqlite3.Error as error:
        _complain(path, error)
        return {}


def _save(path: Path, files: Mapping[str, tuple[str, str]], gone: Collection[str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, files, gone)
    except sqlite3.DatabaseError as error:  # damaged, say: what it held is read again next time
        _complain(path, error)
        if not isinstance(error, sqlite3.OperationalError):
            path.unlink(missing_ok=True)
    except OSError as error:  # a read-only project: the footers are read again
        _complain(path, error)


def _write(path: Path, files: Mapping[str, tuple[str, str]], gone: Collection[str]) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.executescript(_TABLES)
        with connection:
            layouts = {(layout,) for _, layout in files.values()}
            connection.executemany("insert or ignore into layouts (layout) values (?)", layouts)
            connection.executemany(
                "insert or replace into files select ?, ?, id from layouts where layout = ?",
                ((name, identity, layout) for name, (identity, layout) in files.items()),
            )
            connection.executemany("delete from files where path = ?", ((name,) for name in gone))


def _complain(path: Path, error: Exception) -> None:
    logger.warning("footers.not_remembered path=%s error=%s", path, error)
