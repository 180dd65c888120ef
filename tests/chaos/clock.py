"""The wall clock of all processes of a project, which the harness sets (`clock.c`)."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
COMPILERS = ("cc", "gcc", "clang")


@dataclass
class Clock:
    """How far the processes' clock is from the machine's.

    Attributes:
        file: Holds the offset in seconds; processes read it through shared memory.
        library: What the processes load first.
        offset_seconds: What the file holds.
    """

    file: Path
    library: Path
    offset_seconds: int = 0
    _latest: float = 0.0
    """The latest time that the clock has shown, by the monotonic clock with an offset."""

    def step(self, seconds: int) -> None:
        """Set the clock of all processes, those that run already as well, forward or back."""
        self._latest = max(self._latest, time.monotonic() + self.offset_seconds)
        self.offset_seconds += seconds
        with self.file.open("r+b") as file:
            file.write(struct.pack("=q", self.offset_seconds))

    def repeated_seconds(self) -> float:
        """Return for how long the clock will still show times that it has shown before."""
        return max(0.0, self._latest - time.monotonic() - self.offset_seconds)

    @property
    def environ(self) -> Mapping[str, str]:
        """Environment variables of a process that has this clock."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.file)}


def make_clock(folder: Path) -> Clock:
    """Compile the library and write the file.

    Args:
        folder: Where both go.

    Raises:
        RuntimeError: The machine has no C compiler, or it refuses the library.
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if compiler is None or os.name != "posix":
        raise RuntimeError(f"--clocks needs a C compiler on Linux (looked for: {', '.join(COMPILERS)})")
    clock = Clock(folder / "clock", folder / "clock.so")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(clock.library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{compiler} could not compile {SOURCE.name}:\n{done.stderr}")
    clock.file.write_bytes(struct.pack("=q", 0))
    return clock
