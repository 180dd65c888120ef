"""Snapshot of the inputs and files of a sync, so that the next sync can skip the comparison when nothing changed.

As in git's index, a file with the same inode, size and times is taken as unchanged. A file that changed within seconds
before the snapshot could change again at the same time: its content is compared as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metadata_sync.project import Project

_SETTLED_SECONDS: Final = 2.0
_NANOSECONDS: Final = 1_000_000_000
WHOLE: Final = ""
"""The part that is everything."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of everything that generated files depend on, and of the files themselves.

    Attributes:
        inputs: Hash of the stored rows, of the code's version and of other inputs.
        states: Inode, size and times of each file, by path.
        contents: Hash of the content of files whose state does not suffice, by path: those that changed just before, or
            that sync wrote. Empty when the file cannot be read.
    """

    inputs: str
    states: Mapping[str, str]
    contents: Mapping[str, str]

    @property
    def digest(self) -> str:
        """A hash of the inputs and of the files' states."""
        total = hashlib.sha256(self.inputs.encode())
        for path, state in self.states.items():
            total.update(f"{path} {state}\n".encode(errors="surrogateescape"))
        return total.hexdigest()


def take_snapshot(
    project: Project,
    inputs: Iterable[str],
    sql_paths: Iterable[str],
    contents: Mapping[str, str] | None = None,
    *,
    pipelines: Collection[str] | None = None,
) -> Snapshot:
    """Take a snapshot of the generated files and the SELECTs.

    Args:
        project: The project with the files.
        inputs: Other inputs of the generated files.
        sql_paths: The SELECTs of the rows, relative to the dbt project.
        contents: Hash of the content of files, by path; None: the files that changed just before are read.
        pipelines: Only the generated files of these pipelines; None: of all.
    """
    total = hashlib.sha256()
    for text in (str(project.root), *inputs):
        total.update(f"{len(text)}:{text}".encode())
    settled_before = time.time_ns() - _SETTLED_SECONDS * _NANOSECONDS
    dbt_dir = str(project.dbt_dir)
    states: dict[str, str] = {}
    young: list[str] = []
    for path in (*_files(project.generated_dir, pipelines), *(f"{dbt_dir}/{path}" for path in sorted(set(sql_paths)))):
        try:
            found = os.stat(path)  # noqa: PTH116 - for thousands of files, creating a Path costs more than the stat
        except OSError:
            states[path] = "none"
            continue
        states[path] = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
        if max(found.st_mtime_ns, found.st_ctime_ns) >= settled_before:
            young.append(path)
    if contents is None:
        contents = {path: _content(path) for path in young}
    return Snapshot(total.hexdigest(), states, contents)


def recall(project: Project, now: Snapshot, part: str = WHOLE) -> tuple[str, ...] | None:
    """Return the generated files when nothing changed since the last snapshot of the same part, or None."""
    try:
        kept = json.loads(_state_file(project, part).read_text(encoding="utf-8"))
        if kept["digest"] != now.digest or any(_content(path) != text for path, text in kept["contents"].items()):
            return None
        files = tuple(kept["files"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # no snapshot, or an unreadable one
        return None
    if kept["contents"]:  # by now they are old enough: the next sync need not read them
        remember(project, now, files, part)
    return files


def remember(project: Project, snapshot: Snapshot, files: Sequence[str], part: str = WHOLE) -> None:
    """Store the snapshot of a sync without changes; when the folder cannot be written, the next sync is only slower."""
    if not all(snapshot.contents.values()):
        return
    path = _state_file(project, part)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    document = {"digest": snapshot.digest, "contents": dict(snapshot.contents), "files": files}
    with contextlib.suppress(OSError):
        project.make_state_dir()
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(path)


def differ_only_in(before: Snapshot, after: Snapshot, paths: Container[str]) -> bool:
    """Tell whether no other file changed between two snapshots."""
    first, second = (
        {path: state for path, state in snapshot.states.items() if path not in paths} for snapshot in (before, after)
    )
    return first == second


def _content(path: str) -> str:
    """Return the hash of an ordinary file's content, or nothing when it cannot be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # O_NONBLOCK: never wait at a pipe
            is_ordinary = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return hashlib.file_digest(file, "sha256").hexdigest() if is_ordinary else ""
    except OSError:
        return ""


def _files(folder: Path, pipelines: Collection[str] | None) -> list[str]:
    """List the files in subfolders of a folder, which is the layout of generated files."""
    found: list[str] = []
    if pipelines is not None:
        for name in sorted(pipelines):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder / name) as files:
                found += sorted(item.path for item in files)
        return found
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as folders:
        for entry in sorted(folders, key=lambda item: item.name):
            if entry.is_dir():
                with os.scandir(entry.path) as files:
                    found += sorted(item.path for item in files)
    return found


def _state_file(project: Project, part: str) -> Path:
    return project.state_dir / f"in-step{part}.json"
