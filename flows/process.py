"""Identity of a process: its pid and its start time, because the operating system reuses pids.

psutil does not replace this: its public start time moves when the system clock is set, and its stable one is private.
The identity is compared with one that another process recorded, perhaps hours ago.
"""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_STAT_STATE: Final = 0
_STAT_START_TIME: Final = 19
"""Positions in `/proc/PID/stat` after the command's closing bracket (proc_pid_stat(5): fields 3 and 22)."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, told apart from a later one with the same pid.

    Attributes:
        pid: Process id.
        started: Its start time as the operating system writes it; used for comparison only.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the identity of a process that runs now.

        Raises:
            ProcessLookupError: When no process has this pid.
        """
        started = _start_time(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started)

    def is_alive(self) -> bool:
        """Tell whether this process still runs; a zombie does not count as running."""
        return _start_time(self.pid) == self.started


def is_process_alive(pid: int) -> bool:
    """Tell whether any process has this pid; a zombie does not count."""
    return _start_time(pid) is not None


def process_space() -> str:
    """Return a name of this process's pid namespace: the machine, or the container on it.

    Only processes in the same namespace can check each other's pids.
    """
    with suppress(OSError):  # only Linux has namespaces of process ids
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _start_time(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return _start_time_by_proc(pid)
    return _start_time_by_ps(pid)


def _start_time_by_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STAT_STATE] in {"Z", "X"} else f"{boot}/{fields[_STAT_START_TIME]}"


def _start_time_by_ps(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603 (a fixed program and a number)
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
