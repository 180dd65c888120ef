"""The Parquet copies of a text source's files, kept between runs: a file is opened once."""

from __future__ import annotations

import json
import logging
import shutil
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flows.warehouse.lake.folder import LakeFile
from flows.warehouse.lake.formats.copy_file import CopiedFile, FileCopier
from flows.warehouse.lake.formats.values import NOTHING, joined_type
from metadata_sync.analysis.text_copies import COPY_SUFFIX, copies_folder, copies_of_project, is_text
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow

logger = logging.getLogger(__name__)

_SECONDS_KEPT: Final = 2 * 24 * 3600
"""How long the copies stay that an earlier way of reading the source has made."""
_SECONDS_UNSETTLED: Final = 3600
"""How long a copy stays in any case."""
_SAVED_AFTER: Final = 100
"""Number of copies after which the index is written, so that a stopped run goes on where it was."""


@dataclass(slots=True)
class _Index:
    """What is known of a source's copies.

    Attributes:
        files: Name → version, why it cannot be read (empty: it can), and number of rejects.
        types: Column in lower case → the type that was found in the files that were there first.
    """

    files: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies of one source's files. Losing them costs time and nothing else.

    Attributes:
        source: The source.
        folder: Their folder.
    """

    source: SourceRow
    folder: Path

    @classmethod
    def of(cls, project: Project, source: SourceRow) -> Copies:
        """Return the copies of a text source."""
        return cls(source, copies_folder(project, source))

    def path_of(self, name: str) -> str:
        """Return the path of a file's copy."""
        return f"{self.folder}/data/{name}{COPY_SUFFIX}"

    def rejects_of(self, files: Sequence[LakeFile]) -> dict[str, str]:
        """Return the files with lines that cannot be read: name → path of these lines."""
        index = self._load()
        known = ((file.name, index.files.get(file.name, ("", "", 0))) for file in files)
        return {name: str(self._rejects(name)) for name, (_, _, reject_count) in known if reject_count}

    def make(self, files: Sequence[LakeFile], known: Mapping[str, str]) -> dict[str, str]:
        """Copy the files that are new or changed, and forget those that are gone.

        Args:
            files: The source's files.
            known: Column in lower case → the type that runs have accepted.

        Returns:
            Name → why nothing of the file can be read.

        Raises:
            OSError, SoftRunError: When a file cannot be opened now, or a copy not be written.
        """
        index = self._load()
        listed = {file.name for file in files}
        gone = [name for name in index.files if name not in listed and self._is_settled(name)]
        for name in gone:
            self._forget(index, name)
        todo = [file for file in files if index.files.get(file.name, ("",))[0] != file.identity]
        if todo:
            self._make_all(index, todo, known)
        if todo or gone:
            self._save(index)
        else:
            self._mark_used()
        return {name: error for name, (_, error, _) in index.files.items() if error and name in listed}

    def _make_all(self, index: _Index, todo: Sequence[LakeFile], known: Mapping[str, str]) -> None:
        import duckdb

        scratch = self.folder / f"scratch-{uuid.uuid4().hex[:8]}"
        scratch.mkdir(parents=True)
        self._remove_others()
        began = time.monotonic()
        try:
            with duckdb.connect(":memory:", config={"temp_directory": str(scratch / "spill")}) as connection:
                connection.execute("set TimeZone = 'UTC'")
                settled = {**index.types, **known}
                types = self._copy(FileCopier(connection, self.source, settled, scratch), index, todo)
                found = self._found_types(types.values(), settled)
                index.types |= found
                again = [file for file in todo if _differs(types[file.name], found)]
                self._copy(FileCopier(connection, self.source, {**settled, **found}, scratch), index, again)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        seconds = time.monotonic() - began
        logger.info("lake.copied source=%s files=%d seconds=%.1f", self.source.key, len(todo), seconds)

    def _copy(self, copier: FileCopier, index: _Index, todo: Sequence[LakeFile]) -> dict[str, Mapping[str, str]]:
        """Copy files, and return the types of their columns by the files' names."""
        types: dict[str, Mapping[str, str]] = {}
        for number, file in enumerate(todo, 1):
            error, reject_count, types[file.name] = self._copy_one(copier, file)
            index.files[file.name] = file.identity, error, reject_count
            if number % _SAVED_AFTER == 0:
                self._save(index)
        return types

    def _copy_one(self, copier: FileCopier, file: LakeFile) -> tuple[str, int, Mapping[str, str]]:
        """Copy a file aside and move the copy into its place, so that nobody reads half of it."""
        data, rejects = copier.scratch / "data.parquet", copier.scratch / "rejects.parquet"
        try:
            copied: CopiedFile = copier.copy(file, data, rejects)
        except ValueError as error:
            logger.warning("lake.bad_file source=%s file=%s error=%s", self.source.key, file.name, error)
            self._remove(file.name)  # the copy of an earlier version
            return str(error), 0, {}
        for made, place in ((data, Path(self.path_of(file.name))), (rejects, self._rejects(file.name))):
            if made.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                made.replace(place)
            else:
                place.unlink(missing_ok=True)
        return "", copied.reject_count, copied.types

    def _found_types(self, files: Iterable[Mapping[str, str]], settled: Mapping[str, str]) -> dict[str, str]:
        """Return the types of columns that nobody knew before: each holds the texts of all these files."""
        declared = {column.name.lower() for column in self.source.columns}
        found: dict[str, str] = {}
        for types in files:
            for name, type_ in types.items():
                folded = name.lower()
                if folded not in settled and folded not in declared and type_ != NOTHING:
                    found[folded] = joined_type(type_, found.get(folded, type_))
        return found

    def _is_settled(self, name: str) -> bool:
        """Whether a copy is old enough to be removed: another process may have made it of a file that came just now."""
        try:
            return Path(self.path_of(name)).stat().st_mtime < time.time() - _SECONDS_UNSETTLED
        except FileNotFoundError:
            return True

    def _forget(self, index: _Index, name: str) -> None:
        del index.files[name]
        self._remove(name)

    def _remove(self, name: str) -> None:
        for path in (Path(self.path_of(name)), self._rejects(name)):
            path.unlink(missing_ok=True)

    def _rejects(self, name: str) -> Path:
        return self.folder / "rejects" / f"{name}.parquet"

    def _remove_others(self) -> None:
        """Remove the copies that the source's earlier columns and options have made, once no load can read them."""
        for folder in self.folder.parent.glob(f"{self.source.key}-????????"):
            if folder != self.folder and folder.stat().st_mtime < time.time() - _SECONDS_KEPT:
                shutil.rmtree(folder, ignore_errors=True)

    def _load(self) -> _Index:
        try:
            document = json.loads((self.folder / "index.json").read_text("utf-8"))
            files = {name: (item[0], item[1], item[2]) for name, item in document["files"].items()}
            return _Index(files, dict(document["types"]))
        except FileNotFoundError:
            return _Index()
        except (ValueError, KeyError, TypeError, IndexError) as error:
            logger.warning("lake.copies_forgotten folder=%s error=%s", self.folder, error)
            return _Index()

    def _mark_used(self) -> None:
        """Let other environments of the project see that these copies are read."""
        index = self.folder / "index.json"
        if index.exists() and index.stat().st_mtime < time.time() - _SECONDS_UNSETTLED:
            index.touch()

    def _save(self, index: _Index) -> None:
        written = self.folder / f"index-{uuid.uuid4().hex[:8]}.new"
        self.folder.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps({"types": index.types, "files": index.files}), "utf-8")
        written.replace(self.folder / "index.json")


def remove_unused(project: Project, sources: Iterable[SourceRow]) -> int:
    """Remove the copies of sources that are no longer declared, once nobody has read them for two days.

    Args:
        project: The project.
        sources: The sources of this environment; another one of the same project may have others.

    Returns:
        The number of sources whose copies were removed.
    """
    declared = {copies_folder(project, source) for source in sources if is_text(source)}
    removed = 0
    for index in copies_of_project(project).glob("*/index.json"):
        if index.parent not in declared and index.stat().st_mtime < time.time() - _SECONDS_KEPT:
            shutil.rmtree(index.parent, ignore_errors=True)
            logger.info("lake.copies_removed folder=%s", index.parent.name)
            removed += 1
    return removed


def _differs(types: Mapping[str, str], found: Mapping[str, str]) -> bool:
    """Whether a copy has a column in another type than its source."""
    return any(type_ not in (NOTHING, found.get(name.lower(), type_)) for name, type_ in types.items())
