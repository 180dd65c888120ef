"""Carries reports to Prefect in the background, so that whoever reports never waits and never sees an error.

One thread, one client, bulk requests. While the API is silent the reports wait in memory and are sent again; when it
stays silent after the work has ended they are given up, counted, and told in one warning.
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
"""Reports that wait at most; the oldest are given up first."""
PATIENCE_SECONDS: Final = 10.0
"""For how long the API may be silent before the reports that are left at the end are given up."""
LAST_CHANCE_SECONDS: Final = 2.0
"""How long the end is tried in any case."""
REQUEST_SECONDS: Final = 3.0
"""How long one request may take."""
_LONGEST_PAUSE: Final = 2.0

_Report = TypeVar("_Report")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line for the log of a flow run or of one of its task runs.

    Attributes:
        flow_run_id: The flow run.
        task_run_id: The task run; None: the line is the flow run's own.
        when: UTC.
        level: As in `logging`.
        message: Its text.
        logger: Who says it.
    """

    flow_run_id: UUID
    task_run_id: UUID | None
    when: datetime
    level: int
    message: str
    logger: str = "sluice"


class RejectedReportsError(Exception):
    """The API answered that it will never take these reports."""


class ReportedEvent(Protocol):
    """An event that may be delivered more than once: its body holds an id."""

    def body(self) -> Mapping[str, Any]:
        """Return the event as the API takes it."""
        ...


class ReportApi(Protocol):
    """Where reports go. Any other exception means: not delivered, send it again."""

    def send_events(self, events: Sequence[ReportedEvent]) -> None:
        """Deliver events; delivering one twice does no harm."""

    def send_lines(self, lines: Sequence[LogLine]) -> None:
        """Deliver log lines."""


class ReportPump:
    """The queue and the thread that empties it.

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
        """Send what is left and end, within seconds whatever the API does.

        Returns:
            How many reports were lost; one warning has told of them.
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
                except Exception as error:  # noqa: BLE001 (whatever it is, the run must not see it)
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
            with self._lock:  # events that a version refuses are made up for: flows/prefect/reporting/fallback.py
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
