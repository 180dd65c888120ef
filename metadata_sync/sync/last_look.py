"""What a sync that found nothing to do looked at, so that the next one can tell at once that nothing moved since.

As git does with its index: a file whose inode, size and times are those of the last look holds what it held then. Files
that changed within seconds of the look are not trusted, because a later change might bear the same time.
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
class Look:
    """Everything that decides whether the generated files are right, at one moment.

    Attributes:
        digest: Of the rows as they are stored, of the code's and the files' state.
        newest_at: When the youngest of the files last changed, in nanoseconds since 1970.
        looked_at: When this was.
    """

    digest: str
    newest_at: int
    looked_at: int

    @property
    def is_settled(self) -> bool:
        """Whether every file is old enough that a change after this look would show."""
        return self.newest_at < self.looked_at - _SETTLED_SECONDS * _NANOSECONDS


def look(project: Project, made_of: Iterable[str], sql_paths: Iterable[str]) -> Look:
    """Look at the generated files and at the SELECTs, without reading any.

    Args:
        project: Where they are.
        made_of: What else decides over the generated files.
        sql_paths: The SELECTs that rows name, relative to the dbt project.
    """
    total = hashlib.sha256()
    for text in (str(project.root), *made_of):
        total.update(f"{len(text)}:{text}".encode())
    looked_at, newest_at = time.time_ns(), 0
    dbt_dir = str(project.dbt_dir)
    for path in (*_files(project.generated_dir), *(f"{dbt_dir}/{path}" for path in sorted(set(sql_paths)))):
        try:
            found = os.stat(path)  # noqa: PTH116 - thousands of them: a Path for each would cost more than the look
        except OSError:
            total.update(f"{path} none\n".encode())
            continue
        state = f"{path} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n"
        total.update(state.encode(errors="surrogateescape"))
        newest_at = max(newest_at, found.st_mtime_ns, found.st_ctime_ns)
    return Look(total.hexdigest(), newest_at, looked_at)


def recall(project: Project, now: Look) -> tuple[str, ...] | None:
    """Return the files that were right at the last look, or None when anything moved since."""
    try:
        kept = json.loads(_state_file(project).read_text(encoding="utf-8"))
        return tuple(kept["files"]) if kept["digest"] == now.digest else None
    except (OSError, ValueError, TypeError, KeyError):  # none, or not ours: then everything is compared
        return None


def remember(project: Project, seen: Look, files: Sequence[str]) -> None:
    """Keep a look whose comparison found nothing to do; a folder that cannot be written to costs speed only."""
    if seen.is_settled:
        path = _state_file(project)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"digest": seen.digest, "files": files}), encoding="utf-8")
            temporary.replace(path)


def _files(folder: Path) -> list[str]:
    """List what stands two levels deep, as the generated files do."""
    found: list[str] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as folders:
        for entry in sorted(folders, key=lambda item: item.name):
            if entry.is_dir():
                with os.scandir(entry.path) as files:
                    found += sorted(item.path for item in files)
    return found


def _state_file(project: Project) -> Path:
    return project.state_dir / "in-step.json"
