"""One `sluice run` under a profile hook that writes down which files and macros it passes.

python benchmarks/walked_run.py REPOSITORY RECORD
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

_PACKAGES = ("flows", "metadata_sync")
_MACROS = "../macros/"


class Walk:
    """What was entered.

    Importing a module is counted apart: a file is entered when one of its functions runs while none of our modules is
    being imported. Modules of the command line register their commands in a function, so each that is imported counts.
    A macro is called when dbt's macro generator runs it; dbt's own macros and a team's are not counted.
    """

    def __init__(self, repository: Path) -> None:
        self._folders = tuple(f"{repository / package}/" for package in _PACKAGES)
        self._root = f"{repository}/"
        self.imported: set[str] = set()
        self.entered: set[str] = set()
        self.arrows: set[tuple[str, str]] = set()
        self.calls: Counter[tuple[str, str]] = Counter()

    def on_event(self, frame: FrameType, event: str, _argument: object) -> None:
        """Take note of a call; see `sys.setprofile`."""
        if event != "call":
            return
        if frame.f_code.co_name == "call_macro":
            self._take_macro(frame)
        elif self._is_ours(frame):
            if frame.f_code.co_name == "<module>":
                self.imported.add(frame.f_code.co_filename)
            else:
                self._take_function(frame)

    def _take_macro(self, frame: FrameType) -> None:
        macro: Any = getattr(frame.f_locals.get("self"), "macro", None)
        if macro is not None and macro.original_file_path.startswith(_MACROS):
            self.calls[macro.original_file_path.removeprefix(_MACROS), macro.name] += 1

    def _take_function(self, frame: FrameType) -> None:
        path = frame.f_code.co_filename
        callers = [caller for caller in _callers(frame) if self._is_ours(caller)]
        if any(caller.f_code.co_name == "<module>" for caller in callers):
            return
        self.entered.add(path)
        if callers and callers[0].f_code.co_filename != path:
            self.arrows.add((callers[0].f_code.co_filename, path))

    def _is_ours(self, frame: FrameType) -> bool:
        return frame.f_code.co_filename.startswith(self._folders)

    def document(self) -> dict[str, object]:
        """Return what was entered, ready for JSON."""
        return {
            "python_files": len(self.entered),
            "python_imports": len(self.imported),
            "python_arrows": len(self.arrows),
            "macro_files": len({file for file, _ in self.calls}),
            "macros": len(self.calls),
            "macro_calls": self.calls.total(),
            "files": sorted(path.removeprefix(self._root) for path in self.entered),
            "calls_by_macro": {f"{file}: {name}": count for (file, name), count in self.calls.most_common()},
        }


def _callers(frame: FrameType) -> Iterator[FrameType]:
    caller = frame.f_back
    while caller is not None:
        yield caller
        caller = caller.f_back


def main() -> None:
    """Run `sluice run` in this process and write the record, whatever it exits with."""
    walk, record = Walk(Path(sys.argv[1])), Path(sys.argv[2])
    sys.argv = ["sluice", "run"]
    threading.setprofile(walk.on_event)
    sys.setprofile(walk.on_event)
    try:
        from flows.cli import main as sluice

        sluice()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        record.write_text(json.dumps(walk.document()))


if __name__ == "__main__":
    main()
