"""What dbt's parse of a project depends on, looked at without reading the project: states of files, versions, settings.

As in git's index, a file with the same inode, size and times is taken as unchanged. A file that changed within seconds
before it was looked at could change again at the same time: its content is compared as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from flows.dbt.package import project_settings
from flows.warehouse.profile import Profile
from metadata_sync.project import Project

_SETTLED_NANOSECONDS: Final = 2_000_000_000
_PATHS: Final = {
    "model-paths": ["models"],
    "macro-paths": ["macros"],
    "test-paths": ["tests"],
    "seed-paths": ["seeds"],
    "snapshot-paths": ["snapshots"],
    "analysis-paths": ["analyses"],
    "function-paths": ["functions"],
    "docs-paths": [],
}
"""Setting of dbt_project.yml with folders that dbt parses → its default; by default docs are in the other ones."""

_FILES: Final = (
    *("dbt_project.yml", "packages.yml", "dependencies.yml", "package-lock.yml", "selectors.yml"),
    *("vars.yml", "catalogs.yml", ".dbtignore"),
)
"""Files at the top of a project or package that dbt reads."""

_DISTRIBUTIONS: Final = ("dbt-core", "dbt-adapters", "dbt-common", "dbt-duckdb", "dbt-postgres", "dbt-redshift")


class CannotCutError(Exception):
    """A part of the manifest cannot be used, and why; dbt then parses the project."""


@dataclass(frozen=True, slots=True)
class ParseInputs:
    """Everything that a parse depends on but the environment variables that it reads.

    Attributes:
        settings: Hash of versions, profile, and dbt's own environment variables.
        files: Hash of the files' states.
        contents: Content hash of each file that changed just before, by path.
        paths: All files of the project and its packages.
    """

    settings: str
    files: str
    contents: Mapping[str, str]
    paths: frozenset[str]

    def holds(self, files: str, contents: Mapping[str, str]) -> bool:
        """Tell whether an earlier hash of the states, and contents of files that were young then, are those of now."""
        return self.files == files and all(
            hashed == (self.contents.get(path) or content_hash(path)) for path, hashed in contents.items()
        )


def observe_inputs(project: Project, profile: Profile) -> ParseInputs:
    """Look at what a parse depends on: one stat of each file of the project and its packages.

    Args:
        project: The project; its macros are linked already.
        profile: The target.

    Raises:
        CannotCutError: When a folder's name is only known to dbt.
    """
    states: dict[str, int] = {}
    total = hashlib.sha256()
    for line, path, changed in _files(project):
        states[path] = changed
        total.update(line.encode(errors="surrogateescape"))
    young = time.time_ns() - _SETTLED_NANOSECONDS
    contents = {path: content_hash(path) for path, changed in states.items() if changed >= young}
    return ParseInputs(_settings_hash(project, profile), total.hexdigest(), contents, frozenset(states))


def variables_state(names: Iterable[str]) -> str:
    """Return a hash of environment variables, set or not."""
    return _hash([[name, os.environ.get(name)] for name in sorted(names)])


def content_hash(path: str) -> str:
    """Return the hash of a file's content; of one that cannot be read, nothing."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _settings_hash(project: Project, profile: Profile) -> str:
    own = {name: value for name, value in os.environ.items() if name.startswith("DBT_")}
    place = [str(project.dbt_dir), str(project.profiles_file), profile.name, profile.target]
    versions = [sys.version, *(_version(name) for name in _DISTRIBUTIONS)]
    return _hash([place, versions, dict(profile.values), own])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, default=str, sort_keys=True).encode()).hexdigest()


def _files(project: Project) -> Iterable[tuple[str, str, int]]:
    """Return a line of the state, the path, and the time of the last change of each file."""
    yield _state(str(project.profiles_file))
    settings = project_settings(project.dbt_dir)
    yield from _files_of_package(project.dbt_dir, settings)
    packages = project.dbt_dir / _literal(settings.get("packages-install-path") or "dbt_packages")
    for name in sorted(os.listdir(packages)) if packages.is_dir() else ():  # noqa: PTH208 - names only
        yield from _files_of_package(packages / name, project_settings(packages / name))


def _files_of_package(folder: Path, settings: Mapping[str, Any]) -> Iterable[tuple[str, str, int]]:
    yield from (_state(str(folder / name)) for name in _FILES)
    found = {_literal(path) for name, usual in _PATHS.items() for path in settings.get(name) or usual}
    for path in sorted(found):
        yield from _files_below(os.path.normpath(folder / path))


def _literal(path: object) -> str:
    if not isinstance(path, str) or "{" in path:
        raise CannotCutError(f"the folder {path!r} of dbt_project.yml is only known to dbt")
    return path


def _files_below(folder: str) -> Iterable[tuple[str, str, int]]:
    """Follow links, as dbt does; the operating system ends a loop of links."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        yield f"{folder} none\n", folder, 0
        return
    for entry in found:
        if entry.is_dir():
            yield from _files_below(entry.path)
        else:
            yield _state(entry.path)


def _state(path: str) -> tuple[str, str, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - for thousands of files, creating a Path costs more than the stat
    except OSError:
        return f"{path} none\n", path, 0
    state = f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n"
    return state, path, max(found.st_mtime_ns, found.st_ctime_ns)
