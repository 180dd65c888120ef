"""Late pipelines: since the first tick without a decision, in every zone and year, whatever the interval."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.context import Context
from flows.doctor.checks import _schedules
from flows.doctor.finding import Level
from flows.upkeep.monitor import MonitorReport, monitor
from flows.upkeep.ticks import _schedule, due_after, last_due, ticks_between
from metadata_sync.database import DecisionEntry, LeaseHolder, LoadEntry, LoadStatus
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import LoadType, Template
from metadata_sync.settings import Settings
from tests.support.instants import at

NOON = datetime(2013, 1, 1, 12, 1, tzinfo=UTC)
PIPELINE = PipelineRow(
    pipeline_id="orders", pipeline_name="Orders", template=Template.PRESENTATION, schedule="*/10 * * * *"
)
ROW = TransformationRow(
    target_schema="dwh", target_table="fact", pipeline_id="orders", sql_path="x.sql", load_type=LoadType.APPEND
)
ZONES = (
    "UTC", "America/New_York", "Europe/Berlin", "Europe/Lisbon", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Asia/Jakarta", "Asia/Kathmandu", "Pacific/Apia", "Africa/Casablanca", "America/St_Johns", "Asia/Tehran",
)  # fmt: skip
CRONS = (
    "30 * * * *",
    "*/15 * * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "0 6 * * 1-5",
    "5 3 * * 0",
    "0 12 1 * *",
)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = Context(Project(tmp_path), Settings(), "tester")
    yield context
    context.store.close()


def write(context: Context, sla_minutes: int | None, schedule: str = "*/10 * * * *", zone: str = "UTC") -> None:
    pipeline = PIPELINE.model_copy(update={"sla_minutes": sla_minutes, "schedule": schedule, "timezone": zone})
    context.store.write([RowChange(None, pipeline), RowChange(None, ROW)], "tester", "apply", None)


def decide(context: Context, when: datetime, action: str = "skip", reason: str = "nothing_new", run: str = "r") -> None:
    context.store.record_decisions([DecisionEntry(run, when, "orders", "dwh.fact", action, reason, "x", {})])


def look(context: Context, minutes: float) -> MonitorReport:
    return monitor(at(context, NOON + timedelta(minutes=minutes)))


@pytest.mark.parametrize("sla_minutes", [5, 25])
def test_pipeline_without_runs_stays_late_until_a_run_has_decided(context: Context, sla_minutes: int) -> None:
    """The interval is 10 minutes: once the SLA is shorter, once longer. Due at 12:10, and no run comes until 13:20."""
    write(context, sla_minutes)
    decide(context, NOON)

    late = [minutes for minutes in range(0, 80, 8) if look(context, minutes).late]
    decide(context, NOON + timedelta(minutes=80))
    after = look(context, 81)

    assert late == [minutes for minutes in range(0, 80, 8) if minutes > 9 + sla_minutes]
    assert (after.late, after.open) == ((), ())
    assert [alert.event for alert in context.store.alerts()] in ([], ["opened", "resolved"])
    (incident,) = context.store.incidents(NOON - timedelta(days=1))
    assert "Due at 2013-01-01 12:10 UTC" in incident.message


def test_refused_run_has_decided_nothing(context: Context) -> None:
    write(context, 15)
    decide(context, NOON)
    decide(context, NOON + timedelta(minutes=12), "skip", "lease_held")

    assert look(context, 30).late == ("orders",)


def test_run_that_is_at_work_is_late_and_does_not_stand_still(context: Context) -> None:
    write(context, 15)
    decide(context, NOON)
    decide(context, NOON + timedelta(minutes=10), "run", "new_rows", "long")
    context.store.take_leases(["dwh.fact"], LeaseHolder("t", "long", "x", "elsewhere", 1, "1"), 6_000_000_000, set())

    working = look(context, 40)
    context.store.give_back_leases("t", {"dwh.fact"})
    ended = NOON + timedelta(minutes=41)
    context.store.record_loads([LoadEntry("long", "orders", "dwh.fact", "l", LoadStatus.SUCCESS, ended, ended, 1.0)])
    decide(context, ended, "skip", "lease_held", "refused")

    assert (working.late, working.without_runs) == (("orders",), ())
    assert "its run has not ended" in working.open[0].message
    # The load ended at 12:42, but it had been decided at 12:11: what came since 12:20 was not looked at.
    assert look(context, 42).late == ("orders",)


def test_two_ticks_without_a_run_are_reported_without_an_sla(context: Context) -> None:
    write(context, None)
    decide(context, NOON)

    reports = {minutes: look(context, minutes).without_runs for minutes in (18, 20)}
    (incident,) = look(context, 21).open
    doctor = {minutes: [*_schedules(at(context, NOON + timedelta(minutes=minutes)))] for minutes in (18, 21)}
    decide(context, NOON + timedelta(minutes=22))

    assert reports == {18: (), 20: ("orders",)}
    assert [[item.level for item in found] for found in doctor.values()] == [[Level.OK], [Level.WARN]]
    assert doctor[21][0].message == "orders: no run since 2013-01-01 12:10 UTC, 2 ticks"
    assert incident.subject == "schedule of orders"
    assert "for 2 ticks" in incident.message
    assert look(context, 23).without_runs == ()


def test_pipeline_that_was_switched_on_is_due_from_then_on(context: Context) -> None:
    write(context, 5)
    decide(context, NOON - timedelta(days=7))
    context.store._clock = lambda: NOON
    stored = context.store.read_rows().pipelines[0]
    off = stored.model_copy(update={"is_active": False})
    context.store.write([RowChange(stored, off)], "tester", "set", None)
    context.store.write([RowChange(off, stored)], "tester", "set", None)

    assert look(context, 1).late == ()
    assert look(context, 20).late == ("orders",)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(CRONS),
    st.integers(0, 37 * 365 * 24 * 60).map(
        lambda minutes: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
)
def test_ticks_are_the_same_wherever_one_starts_to_count(zone: str, cron: str, start: datetime) -> None:
    """What Prefect schedules does not depend on when it is asked; neither may what counts as late."""
    ticks = ticks_between(cron, zone, start, start + timedelta(days=40))[:6]
    for earlier, later in pairwise(ticks):
        between = earlier + (later - earlier) / 2
        assert due_after(cron, zone, earlier) == later
        assert due_after(cron, zone, between) == later
        assert last_due(cron, zone, between) == earlier
        assert last_due(cron, zone, later) == later
    own = _schedule(cron, zone)._get_dates_generator(n=1_000, start=start - timedelta(hours=3))
    dates = [date for own_date in own if (date := datetime.fromtimestamp(own_date.timestamp(), UTC)) > start]
    assert dates[: len(ticks)] == list(ticks)


@pytest.mark.parametrize(
    ("zone", "cron", "month"),
    [
        ("America/New_York", "30 1 * * *", 11),
        ("America/New_York", "30 2 * * *", 3),
        ("Europe/Berlin", "30 * * * *", 3),
        ("Australia/Lord_Howe", "0 2 * * *", 4),
    ],
)
def test_pipeline_that_runs_as_prefect_schedules_it_is_never_late(
    context: Context, zone: str, cron: str, month: int
) -> None:
    """Over the days in which clocks are set, with an SLA of one minute."""
    write(context, 1, cron, zone)
    start = datetime(2024, month, 1, tzinfo=UTC)
    ticks = ticks_between(cron, zone, start, start + timedelta(days=33))
    near = [tick for tick in ticks if tick.weekday() in {5, 6, 0}]
    for tick in (*ticks[:1], *near[:: max(1, len(near) // 8)]):
        decide(context, tick + timedelta(seconds=20))
        following = due_after(cron, zone, tick)
        for seconds in (90, (following - tick).total_seconds() + 30):
            assert monitor(at(context, tick + timedelta(seconds=seconds))).late == ()
