"""Since when a target waits for its other sources: since its first such decision after its last good load."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from metadata_sync.database import ControlStore, DecisionEntry, LoadEntry, LoadStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def decide(store: ControlStore, minute: int, reason: str, target: str = "dwh.t") -> None:
    at = NOON + timedelta(minutes=minute)
    store.record_decisions([DecisionEntry("run", at, "p", target, "skip", reason, "…", {})])


def load(store: ControlStore, minute: int, status: LoadStatus) -> None:
    at = NOON + timedelta(minutes=minute)
    store.record_loads([LoadEntry("run", "p", "dwh.t", "load", status, at, at, 0.0)])


def since(store: ControlStore) -> dict[str, datetime]:
    return store.waiting_since(["dwh.t", "dwh.never"], "trigger_waits")


def test_waiting_begins_with_the_first_decision_and_ends_with_a_load(store: ControlStore) -> None:
    assert since(store) == {}
    decide(store, 1, "nothing_new")
    decide(store, 2, "trigger_waits")
    decide(store, 3, "lease_held")
    decide(store, 4, "trigger_waits")
    decide(store, 0, "trigger_waits", "dwh.other")
    assert since(store) == {"dwh.t": NOON + timedelta(minutes=2)}

    load(store, 5, LoadStatus.ERROR)
    assert since(store) == {"dwh.t": NOON + timedelta(minutes=2)}

    load(store, 6, LoadStatus.SUCCESS)
    assert since(store) == {}
    decide(store, 7, "trigger_waits")
    assert since(store) == {"dwh.t": NOON + timedelta(minutes=7)}
