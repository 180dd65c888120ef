"""Snapshot of the inputs and files of a sync without changes, so that the next sync can skip the comparison.

As in git's index, a file with the same inode, size and times is taken as unchanged. A snapshot is not used when a file
changed within seconds before it, because a later change could have the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metadata_sync.project import Project

_SETTLED_SECONDS: Final = 2.0
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of everything that generated files depend on, and of the files themselves.

    Attributes:
        digest: Hash of the stored rows, of the code's version and of the files' state.
        newest_at: When the last of the files changed, in nanoseconds since 1970.
        taken_at: When the snapshot was taken.
    """

    digest: str
    newest_at: int
    taken_at: int

    @property
    def is_settled(self) -> bool:
        """Whether all files are old enough that a later change has a different time."""
        return self.newest_at < self.taken_at - _SETTLED_SECONDS * _NANOSECONDS


def take_snapshot(project: Project, inputs: Iterable[str], sql_paths: Iterable[str]) -> Snapshot:
    """Take a snapshot of the generated files and the SELECTs, without reading them.

    Args:
        project: The project with the files.
        inputs: Other inputs of the generated files.
        sql_paths: The SELECTs of the rows, relative to the dbt project.
    """
    total = hashlib.sha256()
    for text in (str(project.root), *inputs):
        total.update(f"{len(text)}:{text}".encode())
    taken_at, newest_at = time.time_ns(), 0
    dbt_dir = str(project.dbt_dir)
    for path in (*_files(project.generated_dir), *(f"{dbt_dir}/{path}" for path in sorted(set(sql_paths)))):
        try:
            found = os.stat(path)  # noqa: PTH116 - for thousands of files, creating a Path costs more than the stat
        except OSError:
            total.update(f"{path} none\n".encode())
            continue
        state = f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n"
        total.update(state.encode(errors="surrogateescape"))
        newest_at = max(newest_at, found.st_mtime_ns, found.st_ctime_ns)
    return Snapshot(total.hexdigest(), newest_at, taken_at)


def recall(project: Project, now: Snapshot) -> tuple[str, ...] | None:
    """Return the generated files when the last snapshot equals this one, or None when something changed."""
    try:
        kept = json.loads(_state_file(project).read_text(encoding="utf-8"))
        return tuple(kept["files"]) if kept["digest"] == now.digest else None
    except (OSError, ValueError, TypeError, KeyError):  # no snapshot, or an unreadable one
        return None


def remember(project: Project, snapshot: Snapshot, files: Sequence[str]) -> None:
    """Store the snapshot of a sync without changes; when the folder cannot be written, the next sync is only slower."""
    if snapshot.is_settled:
        path = _state_file(project)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            project.make_state_dir()
            temporary.write_text(json.dumps({"digest": snapshot.digest, "files": files}), encoding="utf-8")
            temporary.replace(path)


def _files(folder: Path) -> list[str]:
    """List the files in subfolders of a folder, which is the layout of generated files."""
    found: list[str] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as folders:
        for entry in sorted(folders, key=lambda item: item.name):
            if entry.is_dir():
                with os.scandir(entry.path) as files:
                    found += sorted(item.path for item in files)
    return found


def _state_file(project: Project) -> Path:
    return project.state_dir / "in-step.json"
