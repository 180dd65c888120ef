"""dbt's log file, `logs/dbt.log`: each event of dbt as a line, secrets masked.

dbt can write it itself, but looks through all environment variables for each line, and formats and filters each one by
itself: that took a quarter of a small run's time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from metadata_sync.redact import redact_text

log = logging.getLogger(__name__)

MOST_BYTES: Final = 10_000_000
"""Length at which the file is put aside as `dbt.log.1`, as dbt does."""
_FLUSH_SECONDS: Final = 1.0


class LogFile:
    """Writes dbt's events to a file, a second of them at a time; a process that is killed loses the last second.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "dbt.log"
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._written_at = time.monotonic()

    def hear(self, event: Any) -> None:
        """Take up one of dbt's events, on dbt's threads."""
        now = datetime.now(UTC)
        with self._lock:
            self._lines.append(f"{now:%H:%M:%S.%f} [{event.info.level:5}] [{event.info.thread}]: {event.info.msg}")
            if time.monotonic() - self._written_at >= _FLUSH_SECONDS:
                self._write()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Write what was heard when the block ends."""
        try:
            yield
        finally:
            with self._lock:
                self._write()

    def _write(self) -> None:
        """Append the lines; the caller holds the lock."""
        text = redact_text("\n".join([*self._lines, ""]))
        self._lines.clear()
        self._written_at = time.monotonic()
        if not text:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size > MOST_BYTES:
                self._path.replace(self._path.with_suffix(".log.1"))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:  # a full disk must not stop a load
            log.warning("dbt_log written=false path=%s error=%s", self._path, error.strerror)
