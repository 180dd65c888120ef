"""Background programs of `sluice up`: start them detached, find them by pid file, stop them with their children."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from flows.process import ProcessIdentity
from metadata_sync.errors import RunError

STOP_SECONDS: Final = 15.0
"""How long a program may take to exit after TERM before it is killed."""
LOG_BYTES: Final = 20_000_000
"""Greatest length of a log; one older part of this length is kept."""
_POLL_SECONDS: Final = 0.2
_LOG_TAIL_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Background:
    """One background program of one project.

    Attributes:
        folder: The folder of its log and pid file; also its working directory.
        name: Its name, for example `worker`.
    """

    folder: Path
    name: str

    @property
    def log_file(self) -> Path:
        """Its output since it was started."""
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.json"

    def running(self) -> ProcessIdentity | None:
        """Return the process that this project started and that is still alive, or None."""
        try:
            process = ProcessIdentity(**json.loads(self._pid_file.read_text()))
        except (OSError, ValueError, TypeError):  # never started, or a crash left a partial file
            return None
        return process if process.is_alive() else None

    def start(self, command: Sequence[str], environ: Mapping[str, str]) -> ProcessIdentity:
        """Start the program unless it is running; return its process."""
        found = self.running()
        if found is not None:
            return found
        child = spawn(command, environ, self.folder, self.log_file)
        process = ProcessIdentity.of(child.pid)
        write_atomically(self._pid_file, json.dumps(asdict(process), indent=2) + "\n")
        detach(child)
        return process

    def stop(self) -> bool:
        """Stop the program and its children; return whether it was running.

        Raises:
            RunError: When it does not exit, even after KILL.
        """
        process = self.running()
        if process is not None:
            end(process, f"The {self.name}")
        self._pid_file.unlink(missing_ok=True)
        return process is not None


def spawn(command: Sequence[str], environ: Mapping[str, str], folder: Path, log_file: Path) -> subprocess.Popen[bytes]:
    """Start a program detached from this terminal; its output goes to log_file."""
    log_file.write_bytes(b"")
    with log_file.open("ab") as output:  # appending, so that `shorten_log` can cut the file under the program
        return subprocess.Popen(  # noqa: S603 (our own interpreter and arguments)
            list(command),
            cwd=folder,  # so that it does not read a .env or prefect.toml of the current folder
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # outlives the terminal, and leads its own process group
        )


def end(process: ProcessIdentity, what: str) -> None:
    """Stop a process and its children: TERM, then KILL after the wait.

    Args:
        process: The leader of a process group.
        what: Its name, for the message.

    Raises:
        RunError: When it does not exit.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal_group(process, number)
        deadline = time.monotonic() + STOP_SECONDS
        while process.is_alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    if process.is_alive():
        raise RunError(
            f"{what} (pid {process.pid}) did not exit, even after KILL.",
            "The process waits in the operating system, usually for a disk or a network folder that does not respond.",
        )


def write_atomically(path: Path, text: str) -> None:
    """Write a small file atomically."""
    draft = path.with_suffix(".tmp")
    draft.write_text(text)
    draft.replace(path)


def log_tail(log_file: Path) -> str:
    """Return the last lines of a log, indented for a message."""
    lines = log_file.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])


def shorten_log(log_file: Path, limit: int = LOG_BYTES) -> bool:
    """Keep a running program's log short: move what it holds to `….log.1`, once it is longer than the limit.

    Returns:
        Whether it was too long.
    """
    try:
        if log_file.stat().st_size <= limit:
            return False
        shutil.copyfile(log_file, log_file.with_name(log_file.name + ".1"))
        os.truncate(log_file, 0)
    except FileNotFoundError:
        return False
    return True


def detach(process: subprocess.Popen[bytes]) -> None:
    """Mark a child as meant to outlive this process, so that Python does not warn about it."""
    process.returncode = 0


def _signal_group(process: ProcessIdentity, number: signal.Signals) -> None:
    # The process leads its group from the start, so no other group can have its number while a member lives.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
