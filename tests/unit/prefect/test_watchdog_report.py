"""What stops a schedule, in words: for doctor and monitor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.incidents.alert_text import title_of
from flows.incidents.incident import AlertPolicy, update_incident
from flows.prefect.watchdog.facts import HeldSlot, Holdings, LiveRun, Pool, WaitingRuns
from flows.prefect.watchdog.report import findings_of, troubles
from metadata_sync.incident import AlertEvent
from metadata_sync.rows.model import ControlRows, PipelineRow
from metadata_sync.rows.vocabulary import Template

NOW = datetime(2013, 1, 1, 12, tzinfo=UTC)
POOL = Pool("sluice", "process", is_paused=False, online=("w1",), last_seen_at=NOW)
QUIET = Holdings({}, frozenset(), (), ())
ROWS = ControlRows(pipelines=(PipelineRow(pipeline_id="orders", pipeline_name="O", template=Template.PRESENTATION),))


def minutes(count: float) -> datetime:
    return NOW - timedelta(minutes=count)


def late(count: float) -> WaitingRuns:
    return WaitingRuns("orders@dev", "d1", late_count=3, late_since=minutes(count))


def holding(*, state: str | None = None, since: float = 0, slot: bool = False) -> Holdings:
    runs = () if state is None else (LiveRun("r1", "orders · 1", "d1", state, "s", minutes(since), {}),)
    slots = (HeldSlot("d1", "deployment:d1", 1, minutes(since)),) if slot else ()
    return Holdings({"d1": "orders@dev"}, frozenset({"d1"}), runs, slots)


@pytest.mark.parametrize(
    ("pool", "waiting", "holdings", "said"),
    [
        (POOL, (), QUIET, None),
        (POOL, (late(4),), QUIET, None),
        (POOL, (late(11),), QUIET, "Its workers (w1) are busy; 3 runs are late, the first since 2013-01-01 11:49 UTC"),
        (
            Pool("sluice", "process", False, (), minutes(7)),
            (late(4),),
            QUIET,
            "No worker is online (last seen: 7 min ago)",
        ),
        (Pool("sluice", "process", False, (), None), (late(4),), QUIET, "No worker is online (last seen: never)"),
        (Pool("sluice", "process", True, ("w1",), NOW), (late(4),), QUIET, "It is paused"),
        (Pool("sluice", None, False, (), None), (late(4),), QUIET, "There is no such pool"),
        (POOL, (), holding(slot=True, since=3), "Its slot is held since 2013-01-01 11:57 UTC, and no run is at work."),
        (POOL, (), holding(slot=True, since=1), None),
        (POOL, (), holding(slot=True, since=99, state="RUNNING"), "has sent no heartbeat for 1 h 39 min"),
        (POOL, (), holding(state="PENDING", since=6), "Run orders · 1 has been pending for 6 min."),
        (POOL, (), holding(state="CANCELLING", since=6), "Run orders · 1 has been cancelling for 6 min."),
        (POOL, (), holding(state="PENDING", since=1), None),
        (
            *(POOL, (WaitingRuns("orders@dev", "d1", refused_count=5, refused_at=minutes(1)),), QUIET),
            "The last 5 runs were refused, the newest at 2013-01-01 11:59 UTC, and no run is at work.",
        ),
        (POOL, (WaitingRuns("orders@dev", "d1", refused_count=2, refused_at=minutes(1)),), QUIET, None),
        (
            *(POOL, (WaitingRuns("orders@dev", "d1", refused_count=5, refused_at=minutes(1)),)),
            *(holding(state="RUNNING", since=1), None),
        ),
    ],
)
def test_each_trouble_is_said_and_nothing_else(
    pool: Pool, waiting: tuple[WaitingRuns, ...], holdings: Holdings, said: str | None
) -> None:
    found = troubles(pool, waiting, holdings, NOW)

    assert len(found) == (0 if said is None else 1)
    for trouble in found:
        assert said is not None
        assert said in trouble.sentence
        assert trouble.remedy
        assert trouble.pipelines == ("orders",)


def test_trouble_becomes_an_incident_of_its_pipelines() -> None:
    (pool, slot) = findings_of(
        troubles(Pool("sluice", "process", False, (), None), (late(4),), holding(slot=True, since=9), NOW), ROWS
    )
    policy = AlertPolicy(timedelta(hours=1), 3)
    titles = [
        title_of(
            update_incident(item, None, policy, last_alerted_at=None, run_id=None, now=NOW, new_id=str).incident,
            *(AlertEvent.OPENED, "prod", NOW),
        )
        for item in (pool, slot)
    ]

    assert (pool.pipeline_ids, slot.pipeline_ids) == (("orders",), ("orders",))
    assert titles == ["[prod] work pool sluice starts no runs", "[prod] schedule of orders stands still"]
