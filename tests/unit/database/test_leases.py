"""Leases in the control database, on SQLite and PostgreSQL: one holder at a time, whatever the machines' clocks say."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from metadata_sync.database import ControlStore, LeaseHolder

ANNA = LeaseHolder("token-a", "run-a", "anna", "host-1", 7, "boot/1")
BEN = LeaseHolder("token-b", "run-b", "ben", "host-2", 7, "boot/1")
TARGETS = ["dwh.fact_order", "dwh.customer"]


def holders(store: ControlStore) -> dict[str, str]:
    return {lease.target: lease.holder.token for lease in store.leases() if not lease.is_expired}


def test_second_holder_is_told_who_is_in_the_way_and_gets_the_rest(store: ControlStore) -> None:
    assert store.take_leases(["dwh.fact_order"], ANNA, 60) == ()

    (lease,) = store.take_leases(TARGETS, BEN, 60)

    assert lease.target == "dwh.fact_order"
    assert "anna (run run-a, process 7 on host-1, since 2" in str(lease)
    assert holders(store) == {"dwh.fact_order": "token-a", "dwh.customer": "token-b"}


def test_lease_ends_when_its_holder_gives_it_back_and_nobody_else_can(store: ControlStore) -> None:
    store.take_leases(TARGETS, ANNA, 60)

    store.give_back_leases(BEN.token, TARGETS)
    assert len(store.take_leases(TARGETS, BEN, 60)) == 2
    store.give_back_leases(ANNA.token, ["dwh.customer"])

    assert [lease.target for lease in store.take_leases(TARGETS, BEN, 60)] == ["dwh.fact_order"]


def test_expired_lease_is_anybodys_and_its_former_holder_learns_of_it(store: ControlStore) -> None:
    store.take_leases(TARGETS, ANNA, 0.01)
    time.sleep(0.02)

    assert all(lease.is_expired for lease in store.leases())
    assert store.take_leases(["dwh.fact_order"], BEN, 60) == ()
    assert store.renew_leases(ANNA.token, 60) == {"dwh.customer"}
    assert holders(store) == {"dwh.fact_order": "token-b", "dwh.customer": "token-a"}


def test_renewed_lease_outlives_its_first_time(store: ControlStore) -> None:
    store.take_leases(TARGETS, ANNA, 0.01)
    assert store.renew_leases(ANNA.token, 60) == set(TARGETS)
    time.sleep(0.02)

    assert len(store.take_leases(TARGETS, BEN, 60)) == 2


def test_lease_of_the_dead_is_taken_over_before_its_time(store: ControlStore) -> None:
    store.take_leases(TARGETS, ANNA, 60)

    assert store.take_leases(TARGETS, BEN, 60, abandoned={ANNA.token}) == ()


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_of_a_machine_neither_shortens_nor_lengthens_a_lease(store_url: str, hours: int) -> None:
    def skewed() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    with ControlStore.open(store_url, "dev") as right, ControlStore.open(store_url, "dev", clock=skewed) as wrong:
        right.take_leases(["dwh.fact_order"], ANNA, 60)
        wrong.take_leases(["dwh.customer"], BEN, 0.01)
        time.sleep(0.02)

        assert [lease.target for lease in wrong.take_leases(TARGETS, BEN, 60)] == ["dwh.fact_order"]
        wrong.give_back_leases(BEN.token, TARGETS)
        assert right.take_leases(["dwh.customer"], ANNA, 60) == ()


def test_environments_do_not_share_leases(store_url: str) -> None:
    with ControlStore.open(store_url, "dev") as dev, ControlStore.open(store_url, "prod") as prod:
        dev.take_leases(TARGETS, ANNA, 60)

        assert prod.take_leases(TARGETS, BEN, 60) == ()


def test_many_who_ask_at_once_share_nothing(store: ControlStore) -> None:
    targets = [f"dwh.t{number}" for number in range(20)]

    def take(number: int) -> set[str]:
        holder = replace(ANNA, token=f"token-{number}", run_id=f"run-{number}")
        return set(targets) - {lease.target for lease in store.take_leases(targets[number:], holder, 60)}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, range(8)))

    held = holders(store)
    assert sorted(held) == sorted(targets)
    assert len(store.leases()) == len(targets)
