"""Fault after fault over a small project: in the end every table is what an undisturbed run makes of the data.

A few in CI; `FAULT_COUNT=300 pytest tests/flows/engine/test_faults.py` for many.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from engine_project import SELECTS, TOTALS_BY_HAND, Workshop
from receiver import Receiver

from flows.alerts import deliver
from flows.heal import heal
from metadata_sync.settings import Settings

FAULTS = int(os.environ.get("FAULT_COUNT", "6"))
GOOD = SELECTS["fact_order"]
FAILING = f"{GOOD} where error({{}}) is null"


@pytest.fixture
def told(workshop: Workshop, receiver: Receiver) -> Workshop:
    workshop.settings = Settings(
        lock_wait_seconds=30, tries=2, retry_pause_seconds=0, alert_channel="data-ops", alert_cooldown_minutes=0
    )
    workshop.close()
    return workshop


def soft(workshop: Workshop, receiver: Receiver, chance: random.Random) -> None:
    """A conflict, a lost connection or a full disk: the tries are used up, the next run is well."""
    message = chance.choice(["deadlock detected", "No space left on device", "connection was lost"])
    workshop.write_select("fact_order", FAILING.format(f"'{message}'"))
    workshop.run()
    workshop.write_select("fact_order", GOOD)


def hard(workshop: Workshop, receiver: Receiver, chance: random.Random) -> None:
    """The row goes off, and comes back when its SELECT is mended."""
    message = chance.choice(["permission denied for table orders", 'column "fare" does not exist'])
    workshop.write_select("fact_order", FAILING.format(f"'{message.replace(chr(39), '')}'"))
    workshop.run()
    workshop.write_select("fact_order", GOOD)


def column_dropped(workshop: Workshop, receiver: Receiver, chance: random.Random) -> None:
    """A column leaves the source and returns."""
    saved = {file: file.read_bytes() for file in (workshop.lake / "orders").glob("*.parquet")}
    for file in saved:
        workshop.land(f"orders/{file.stem}", f"select * exclude (amount) from read_parquet('{file}')")
    workshop.run()
    for file, content in saved.items():
        file.write_bytes(content)


def receiver_down(workshop: Workshop, receiver: Receiver, chance: random.Random) -> None:
    """A hard failure while the receiver answers with 500."""
    receiver.refusals = 2
    hard(workshop, receiver, chance)
    receiver.refusals = 0


def killed(workshop: Workshop, receiver: Receiver, chance: random.Random) -> None:
    """SIGKILL at a random moment of a run."""
    workshop.close()
    process = workshop.sluice("run", SLUICE_ALERT_CHANNEL="data-ops", SLUICE_PREFECT_PORT="4279")
    time.sleep(chance.uniform(0.5, 4))
    process.send_signal(signal.SIGKILL)
    process.communicate()


KINDS: tuple[Callable[[Workshop, Receiver, random.Random], None], ...] = (
    *(soft, hard, column_dropped, receiver_down, killed),
)


def test_faults_leave_no_trace_but_their_alerts(told: Workshop, receiver: Receiver) -> None:
    chance = random.Random(20130101)
    for number in range(FAULTS):
        hour = timedelta(hours=number + 1)
        landed_at = datetime(2013, 1, 3, tzinfo=UTC) + hour
        first = 100 + number * 10
        told.land_orders(f"fault_{number}", range(first, first + 5), f"{landed_at:%Y-%m-%d %H:%M:%S}")
        KINDS[number % len(KINDS)](told, receiver, chance)
        heal(told.context, is_forced=True)
        last, _ = told.run()
        assert not last.has_failed, [outcome.error for outcome in last.outcomes]

    store = told.context.store
    deliver(told.context, now=lambda: datetime.now(UTC) + timedelta(hours=1))
    assert told.totals() == told.query(TOTALS_BY_HAND)
    assert told.query("select count(*) from dwh.fact_order") == told.query(
        "select count(*) from read_parquet('{lake}/orders/*.parquet')"
    )
    assert not told.plan().is_due
    assert all(row.is_active and row.comments is None for row in store.read_rows().transformations)
    assert store.incidents() == ()
    alerts = store.alerts()
    assert all(alert.sent_at for alert in alerts)
    by_event = {event: [item.incident_id for item in alerts if item.event == event] for event in ("opened", "resolved")}
    assert sorted(by_event["opened"]) == sorted(by_event["resolved"])
    assert len(set(by_event["opened"])) == len(by_event["opened"])
    assert {body["alert_id"] for body in receiver.bodies} == {alert.alert_id for alert in alerts}
