"""The pump: nothing is lost while the API comes back, and nobody ever waits long for one that does not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from flows.prefect.reporting.api import open_report_api
from flows.prefect.reporting.events import COMPLETED, TaskRun, TaskRunEvent
from flows.prefect.reporting.pump import LogLine, RejectedReportsError, ReportApi, ReportPump

WHEN = datetime(2013, 1, 2, tzinfo=UTC)


def an_event() -> TaskRunEvent:
    return TaskRun(uuid4(), "stg", "dwh.stg").finish(COMPLETED, WHEN)[1]


def a_line(message: str = "hello") -> LogLine:
    return LogLine(uuid4(), None, WHEN, 20, message)


@dataclass
class FlakyApi:
    """Fails the first calls, rejects some lines, remembers what it took."""

    failures: int = 0
    rejects: str = ""
    refuses_events: bool = False
    calls: int = 0
    events: list[TaskRunEvent] = field(default_factory=list)
    lines: list[LogLine] = field(default_factory=list)

    def send_events(self, events: Sequence[TaskRunEvent]) -> None:
        self._maybe_fail()
        if self.refuses_events:
            raise RejectedReportsError("no such event")
        self.events += events

    def send_lines(self, lines: Sequence[LogLine]) -> None:
        self._maybe_fail()
        if self.rejects and any(line.message == self.rejects for line in lines):
            raise RejectedReportsError("too long")
        self.lines += lines

    def _maybe_fail(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError("nobody there")

    @contextmanager
    def open(self) -> Iterator[ReportApi]:
        yield self


def test_pump_delivers_in_order_when_the_api_fails_at_first() -> None:
    api = FlakyApi(failures=2)
    pump = ReportPump(api.open)
    events = [an_event() for _ in range(450)]
    for event in events:
        pump.put_event(event)
    pump.put_line(a_line())

    assert pump.close() == 0
    assert api.events == events
    assert [line.message for line in api.lines] == ["hello"]


def test_pump_drops_what_the_api_will_never_take_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    api = FlakyApi(rejects="poison")
    pump = ReportPump(api.open)
    pump.put_line(a_line("poison"))
    pump.put_event(an_event())

    assert pump.close() == 1
    assert len(api.events) == 1
    assert "too long" in caplog.text


def test_events_that_the_api_refuses_are_not_lost_for_they_are_written_otherwise() -> None:
    api = FlakyApi(refuses_events=True)
    pump = ReportPump(api.open)
    pump.put_event(an_event())
    pump.put_line(a_line())

    assert pump.close() == 0
    assert len(api.lines) == 1


def test_pump_gives_up_lines_before_events_when_its_queue_is_full() -> None:
    api = FlakyApi(failures=1)
    pump = ReportPump(api.open, queue_limit=3)
    pump.put_line(a_line("old"))
    for _ in range(3):
        pump.put_event(an_event())
    pump.put_line(a_line("new"))

    assert pump.close() == 2
    assert len(api.events) == 3


@pytest.mark.parametrize("reason", ["unreachable", "cannot_open"])
def test_pump_gives_up_within_seconds_with_one_warning_when_the_api_is_gone(
    reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    @contextmanager
    def nothing_opens() -> Iterator[ReportApi]:
        raise OSError("no route")
        yield FlakyApi()

    pump = ReportPump(FlakyApi(failures=10**6).open if reason == "unreachable" else nothing_opens, patience_seconds=1)
    pump.put_event(an_event())
    pump.put_line(a_line())

    began = time.monotonic()
    lost = pump.close()

    assert lost == 2
    assert time.monotonic() - began < 6
    assert caplog.text.count("lost=2") == 1


def test_put_takes_no_time_when_nobody_listens() -> None:
    pump = ReportPump(lambda: open_report_api("http://127.0.0.1:9/api"), patience_seconds=0)
    began = time.monotonic()
    for _ in range(1_000):
        pump.put_event(an_event())
    assert time.monotonic() - began < 1

    assert pump.close() == 1_000
