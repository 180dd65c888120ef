"""The team's files that name a target: bundles of control rows and SELECTs are rewritten, other mentions are listed."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.lifecycle.test_files import renamed_test_files
from metadata_sync.analysis.select_file import read_select_file
from metadata_sync.control.bundle import bundle_files, inherited_defaults
from metadata_sync.control.renaming import Renaming, readers_of
from metadata_sync.control.yaml_renaming import declares, rename_in_yaml, row_lines, select_paths
from metadata_sync.control.yaml_source import YamlError
from metadata_sync.errors import ConfigurationError, HardRunError
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.sql import parse_select
from metadata_sync.sql.renaming import rename_table

_TEXT_SUFFIXES: Final = {".sql", ".yml", ".yaml", ".py", ".md", ".csv"}
_NOT_THE_TEAMS: Final = {"target", "logs", "dbt_packages", "generated"}
_MAX_BYTES: Final = 1_000_000
_TEMPORARY: Final = ".renamed"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that a renaming rewrites.

    Attributes:
        path: The file, after links are resolved.
        shown: Its path from the project's root.
        before: Its text now.
        after: Its text afterwards.
        new_path: Where it is moved; None: it stays.
    """

    path: Path
    shown: str
    before: str
    after: str
    new_path: Path | None = None

    @property
    def diff(self) -> str:
        """The lines that change, as a unified diff."""
        shown = self.shown if self.new_path is None else str(Path(self.shown).with_name(self.new_path.name))
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), self.shown, shown, lineterm="", n=0
        )
        return "\n".join(lines)

    def write(self) -> None:
        """Write the file atomically, with its rights.

        Raises:
            HardRunError: When somebody changed it meanwhile, or it cannot be written.
        """
        remedy = "Run the same command again."
        place = self.new_path or self.path
        draft = place.with_name(f".{place.name}{_TEMPORARY}")
        try:
            if _read(self.path) != self.before:
                raise HardRunError(f"{self.shown} was changed meanwhile.", remedy, subject=self.shown)
            draft.write_bytes(self.after.encode())
            draft.chmod(self.path.stat().st_mode)
            draft.replace(place)
            if place != self.path:
                self.path.unlink()
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            reason = error.strerror or type(error).__name__
            message = f"{self.shown} cannot be written: {reason}."
            raise HardRunError(message, f"Make it writable. {remedy}", subject=self.shown) from error


def plan_files(project: Project, dialect: str, rows: ControlRows, renaming: Renaming) -> tuple[FileChange, ...]:
    """Plan the files that a renaming rewrites.

    Raises:
        ConfigurationError: When a file cannot be read, rewritten or written.
    """
    bundles = bundle_files(project.control_dir, project.root)
    changes = [change for path in bundles if (change := _bundle_change(path, project, renaming)) is not None]
    paths = {row.sql_path for row in readers_of(rows, (renaming.old, renaming.new)) if row.sql_path}
    for path in bundles:
        paths |= select_paths(_text(path, project), renaming, inherited_defaults(path, project.root))
    for sql_path in sorted(paths):
        change = _select_change(sql_path, project, dialect, renaming)
        if change is not None:
            changes.append(change)
    for path, new_path, after in renamed_test_files(project, renaming):
        shown = str(path.relative_to(project.root))
        to = None if new_path == path else new_path
        changes.append(FileChange(path if to else path.resolve(), shown, _text(path, project), after, to))
    for change in changes:
        if not os.access(change.path, os.W_OK) or not os.access(change.path.parent, os.W_OK):
            raise ConfigurationError(f"{change.shown} cannot be written.", "Make it and its folder writable.")
    return tuple(changes)


def declared_names(project: Project, renaming: Renaming) -> tuple[bool, bool]:
    """Tell whether the bundles declare the row of the old name, and that of the new one."""
    found = [
        declares(_text(path, project), renaming, inherited_defaults(path, project.root))
        for path in bundle_files(project.control_dir, project.root)
    ]
    return any(old for old, _ in found), any(new for _, new in found)


def declared_at(project: Project, target: TableName) -> tuple[str, ...]:
    """Return `file:line` of every place in the bundles that declares the row of a target."""
    found = []
    for path in bundle_files(project.control_dir, project.root):
        try:
            lines = row_lines(_text(path, project), target, inherited_defaults(path, project.root))
        except YamlError as error:
            shown = path.relative_to(project.root)
            raise ConfigurationError(f"{shown}:{error.line}: {error.message}", error.remedy) from error
        found += [f"{path.relative_to(project.root)}:{line}" for line in lines]
    return tuple(found)


def mentions(project: Project, renaming: Renaming, changes: Sequence[FileChange]) -> tuple[str, ...]:
    """Return `file:line` of every place below dbt_project/ that still names the table or its model afterwards."""
    schema, table = re.escape(renaming.old.schema), re.escape(renaming.old.table)
    name = re.compile(rf"(?<![\w.])(?:{schema}\.{table}|{schema}__{table})(?!\w)")
    after = {change.path: change.after for change in changes}
    moved = {change.path for change in changes if change.new_path is not None}
    return tuple(
        f"{path.relative_to(project.root)}:{number}"
        for path in _texts(project)
        if path not in moved
        for number, line in enumerate((after.get(path.resolve()) or _read(path)).splitlines(), 1)
        if name.search(line)
    )


def _texts(project: Project) -> Iterator[Path]:
    for folder, folders, files in os.walk(project.dbt_dir):
        folders[:] = sorted(set(folders) - _NOT_THE_TEAMS)
        for file in sorted(files):
            path = Path(folder) / file
            if path.suffix in _TEXT_SUFFIXES and path.is_file() and path.stat().st_size <= _MAX_BYTES:
                yield path


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def _text(path: Path, project: Project) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.relative_to(project.root)} cannot be read: {error}.", "Correct it.") from error


def _bundle_change(path: Path, project: Project, renaming: Renaming) -> FileChange | None:
    before = _text(path, project)
    shown = str(path.relative_to(project.root))
    try:
        after = rename_in_yaml(before, renaming, inherited_defaults(path, project.root))
    except YamlError as error:
        raise ConfigurationError(f"{shown}:{error.line}: {error.message}", error.remedy) from error
    return None if after == before else FileChange(path.resolve(), shown, before, after)


def _select_change(sql_path: str, project: Project, dialect: str, renaming: Renaming) -> FileChange | None:
    path = project.dbt_dir / sql_path
    shown = str(path.relative_to(project.root))
    problem = read_select_file(sql_path, project)
    if not isinstance(problem, str):
        raise ConfigurationError(f"{shown}: {problem.message}", problem.remedy)
    before = _text(path, project)
    select, _ = parse_select(before, dialect)
    if select is None:
        raise ConfigurationError(f"{shown} is not one SELECT that can be read.", "`sluice validate` says why.")
    if renaming.old not in select.tables:
        return None
    after = rename_table(select, renaming.old, renaming.new)
    if after is None:
        message = f"{shown}: {renaming.old} cannot be renamed there without changing what the SELECT means."
        raise ConfigurationError(message, f"Give it an alias in the SELECT, then rename {renaming.old} again.")
    return FileChange(path.resolve(), shown, before, after)
