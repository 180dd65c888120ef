"""One writer at a time on the embedded warehouse: a file lock that the operating system releases with its process."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flows.warehouse.profile import Profile
from metadata_sync.errors import SoftRunError
from metadata_sync.project import Project

logger = logging.getLogger(__name__)

_FIRST_LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock.

    Attributes:
        pid: Its process id.
        since: When it took the lock, UTC.
        command: The command that it runs.
    """

    pid: int
    since: datetime
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}), since {self.since:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def warehouse_lock(
    project: Project,
    profile: Profile,
    *,
    command: str,
    wait_seconds: float,
    on_wait: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Hold the lock of the embedded warehouse; a database server handles concurrency itself and needs no lock.

    The lock is re-entrant within a process, for all its threads.

    Args:
        project: The project; the lock file is in its `.sluice/`.
        profile: The target.
        command: The holder's command, shown to processes that wait.
        wait_seconds: How long to wait for another holder.
        on_wait: Called once with a sentence when another process holds the lock.

    Raises:
        SoftRunError: When another process still holds the lock after that time; the message names it.
    """
    if not profile.is_embedded:
        yield
        return
    from filelock import FileLock, Timeout

    path = project.state_dir / f"warehouse-{profile.environment}.lock"
    _make_folder(project)
    lock = FileLock(path, thread_local=False, is_singleton=True)
    try:
        try:
            lock.acquire(timeout=min(_FIRST_LOOK_SECONDS, wait_seconds))
        except Timeout:
            on_wait(f"The warehouse is in use by {_describe(path)}; waiting up to {wait_seconds:g} s.")
            lock.acquire(timeout=wait_seconds)
    except Timeout as error:
        raise SoftRunError(
            f"The warehouse is still in use by {_describe(path)}; gave up after {wait_seconds:g} s.",
            "Nothing was changed. Try again when that process has ended, or set a larger SLUICE_LOCK_WAIT_SECONDS.",
        ) from error
    try:
        if lock.lock_counter == 1:
            _write_holder(path, Holder(os.getpid(), datetime.now(UTC), command))
        yield
    finally:
        lock.release()


def _make_folder(project: Project) -> None:
    try:
        project.make_state_dir()
    except OSError as error:
        raise SoftRunError(
            f"{project.state_dir} cannot be created: {error.strerror}.", "Make the project's folder writable."
        ) from error


def read_holder(path: Path) -> Holder | None:
    """Return the last holder of the lock, or None when the holder file cannot be read.

    Args:
        path: The lock file.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        written = json.loads(_holder_path(path).read_text(encoding="utf-8"))
        return Holder(int(written["pid"]), datetime.fromisoformat(written["since"]), str(written["command"]))
    return None


def _describe(path: Path) -> str:
    return str(read_holder(path) or "another process")


def _holder_path(path: Path) -> Path:
    return path.with_suffix(".holder.json")


def _write_holder(path: Path, holder: Holder) -> None:
    body = {"pid": holder.pid, "since": holder.since.isoformat(), "command": holder.command}
    temporary = path.with_suffix(f".holder.{holder.pid}")
    try:
        temporary.write_text(json.dumps(body), encoding="utf-8")
        temporary.replace(_holder_path(path))
    except OSError as error:  # the lock is held; only the holder's name is missing
        logger.warning("lock.holder_not_written path=%s error=%s", path, error)
