"""Sends reports to Prefect in the background: the caller never waits and never gets an error.

One thread, one client, bulk requests. While the API does not answer, reports wait in memory and are sent again. If it
still does not answer after the run has ended, they are dropped and counted in one warning.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

log = logging.getLogger(__name__)

FLUSH_SECONDS: Final = 0.5
"""How often reports are sent."""
BATCH_SIZE: Final = 200
QUEUE_LIMIT: Final = 50_000
"""Maximum number of waiting reports; the oldest are dropped first."""
PATIENCE_SECONDS: Final = 10.0
"""How long the API may be silent before the reports that are left at the end are dropped."""
LAST_CHANCE_SECONDS: Final = 2.0
"""Minimum time of delivery after the run has ended."""
REQUEST_SECONDS: Final = 3.0
"""Timeout of one request."""
_LONGEST_PAUSE: Final = 2.0

_Report = TypeVar("_Report")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the log of a flow run or of one of its task runs.

    Attributes:
        flow_run_id: The flow run.
        task_run_id: The task run; None: the line belongs to the flow run.
        when: UTC.
        level: As in `logging`.
        message: Its text.
        logger: Name of the logger.
    """

    flow_run_id: UUID
    task_run_id: UUID | None
    when: datetime
    level: int
    message: str
    logger: str = "sluice"


class RejectedReportsError(Exception):
    """The API refused these reports for good."""


class ReportedEvent(Protocol):
    """An event that may be delivered more than once: its body holds an id."""

    def body(self) -> Mapping[str, Any]:
        """Return the event in the API's format."""
        ...


class ReportApi(Protocol):
    """Receives reports. Raises RejectedReportsError to refuse them; after any other exception they are sent again."""

    def send_events(self, events: Sequence[ReportedEvent]) -> None:
        """Deliver events; the server ignores a second delivery."""

    def send_lines(self, lines: Sequence[LogLine]) -> None:
        """Deliver log lines."""


class ReportPump:
    """The queue of reports, and the thread that sends them.

    Args:
        open_api: Opens the API, in the pump's own thread.
        patience_seconds: See `PATIENCE_SECONDS`.
        queue_limit: See `QUEUE_LIMIT`.
    """

    def __init__(
        self,
        open_api: Callable[[], AbstractContextManager[ReportApi]],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        self._open_api = open_api
        self._patience = patience_seconds
        self._limit = queue_limit
        self._events: deque[ReportedEvent] = deque()
        self._lines: deque[LogLine] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._closed_at = 0.0
        self._silent_since: float | None = None
        self._lost = 0
        self._thread = threading.Thread(target=self._work, name="sluice-reports", daemon=True)
        self._thread.start()

    def put_event(self, event: ReportedEvent) -> None:
        """Queue an event."""
        with self._lock:
            self._events.append(event)
            self._make_room()

    def put_line(self, line: LogLine) -> None:
        """Queue a log line."""
        with self._lock:
            self._lines.append(line)
            self._make_room()

    def close(self) -> int:
        """Send the remaining reports and stop, within seconds even if the API does not answer.

        Returns:
            Number of lost reports; one warning logs it.
        """
        self._closed_at = time.monotonic()
        self._closing.set()
        self._thread.join(self._patience + LAST_CHANCE_SECONDS + 2 * REQUEST_SECONDS)
        with self._lock:
            lost = self._lost + len(self._events) + len(self._lines)
        if lost:
            log.warning("prefect_reports lost=%d (the run's page lacks them; the loads are not affected)", lost)
        return lost

    def _make_room(self) -> None:
        while len(self._events) + len(self._lines) > self._limit:
            (self._lines or self._events).popleft()
            self._lost += 1

    def _work(self) -> None:
        pause = FLUSH_SECONDS
        with ExitStack() as stack:
            api: ReportApi | None = None
            while True:
                is_closing = self._closing.wait(pause)
                try:
                    if self._events or self._lines:
                        api = api or stack.enter_context(self._open_api())
                        self._deliver(api)
                except Exception as error:  # noqa: BLE001 (no error of a report may fail the run)
                    log.debug("prefect_reports delivered=false error=%r", error)
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    self._silent_since = self._silent_since or time.monotonic()
                    if is_closing:
                        if self._is_hopeless():
                            return
                        time.sleep(FLUSH_SECONDS)
                else:
                    pause = FLUSH_SECONDS
                    if is_closing:
                        return

    def _deliver(self, api: ReportApi) -> None:
        while self._events or self._lines:
            self._send_batch(self._events, api.send_events)
            self._send_batch(self._lines, api.send_lines)

    def _send_batch(self, queue: deque[_Report], send: Callable[[Sequence[_Report]], None]) -> None:
        with self._lock:
            batch = [queue.popleft() for _ in range(min(len(queue), BATCH_SIZE))]
        if not batch:
            return
        try:
            send(batch)
        except RejectedReportsError as error:
            log.warning("prefect_reports rejected=%d reason=%s", len(batch), error)
            with self._lock:  # refused events do not count as lost: fallback.py writes the task runs
                self._lost += len(batch) if queue is self._lines else 0
        except Exception:
            with self._lock:
                queue.extendleft(reversed(batch))
            raise
        self._silent_since = None

    def _is_hopeless(self) -> bool:
        now = time.monotonic()
        silent_for = now - (self._silent_since or now)
        return silent_for > self._patience and now - self._closed_at > LAST_CHANCE_SECONDS
