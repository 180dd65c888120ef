"""What the footers of a folder's files said: remembered between runs, so that a large lake is not opened again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.warehouse.lake.folder import LakeFile, LakeFolder

logger = logging.getLogger(__name__)

_WORTH_REMEMBERING: Final = 1_000
"""Number of files from which on a folder is remembered: fewer footers are read faster than noticed."""


@dataclass(frozen=True, slots=True)
class FooterMemory:
    """A file per folder of the lake, in `.sluice/footers/`. Losing it costs time and nothing else.

    Attributes:
        place: The folder of these files.
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
        path = self.place / f"{hashlib.sha256(folder.read_pattern.encode()).hexdigest()[:32]}.json"
        before = _load(path)
        unseen = [file for file in files if before.get(file.path, ("", ""))[0] != file.identity]
        found = read(unseen) if unseen else {}
        now = {
            file.path: (file.identity, found[file.path] if file.path in found else before[file.path][1])
            for file in files
        }
        if unseen or len(now) != len(before):
            _save(path, now)
        return {name: layout for name, (_, layout) in now.items()}


def _load(path: Path) -> dict[str, tuple[str, str]]:
    try:
        document = json.loads(path.read_text())
        layouts = document["layouts"]
        return {name: (identity, layouts[number]) for name, (identity, number) in document["files"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        logger.warning("footers.not_remembered path=%s error=%s", path, error)
        return {}


def _save(path: Path, files: Mapping[str, tuple[str, str]]) -> None:
    numbers = {layout: number for number, layout in enumerate(sorted({layout for _, layout in files.values()}))}
    noted = {name: (identity, numbers[layout]) for name, (identity, layout) in files.items()}
    written = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(json.dumps({"layouts": list(numbers), "files": noted}))
        written.replace(path)
    except OSError as error:  # a read-only project: the footers are read again
        logger.warning("footers.not_remembered path=%s error=%s", path, error)
