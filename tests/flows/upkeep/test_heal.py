"""Healing: rows come back when their cause is gone, not before, and never against a person's will."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from flows.upkeep.heal import HealState, heal
from metadata_sync.control.apply import ChangeContext, switch
from metadata_sync.errors import ConfigurationError
from tests.support.engine_project import SELECTS, TOTALS_BY_HAND, Workshop, control_rows
from tests.support.instants import at
from tests.support.receiver import Receiver

GOOD = SELECTS["fact_order"]


def later(**delta: float) -> datetime:
    return datetime.now(UTC) + timedelta(**delta)


def test_mended_select_brings_the_row_back_and_tells_of_it(told: Workshop, receiver: Receiver) -> None:
    told.write_select("fact_order", f"{GOOD} where cast(o.customer as integer) > 0")
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    told.run()
    assert not told.row_of().is_active

    too_early = heal(at(told.context, later(days=3)))
    told.write_select("fact_order", GOOD)
    (healed,) = heal(told.context)
    summary, _ = told.run()

    assert [(item.state, item.reason) for item in too_early] == [
        (HealState.WAITING, "waits until its SELECT, its row, its sources or their data change")
    ]
    assert (healed.target, healed.state, healed.reason) == ("dwh.fact_order", HealState.HEALED, "changed since: sql")
    row = told.row_of()
    assert (row.is_active, row.deactivated_by, row.comments, row.fingerprint) == (True, None, None, None)
    newest = told.context.store.history("dwh.fact_order")[0]
    assert (newest.via, newest.reason) == ("framework", "healed (changed since: sql)")
    assert [body["event"] for body in receiver.bodies] == ["opened", "resolved"]
    assert receiver.bodies[1]["title"].startswith("[dev] dwh.fact_order recovered after ")
    assert told.context.store.incidents() == ()
    assert told.statuses(summary) == {
        "dwh.customer": "skipped",
        "dwh.dim_region": "skipped",
        "dwh.fact_order": "loaded",
        "mart.region_total": "loaded",
    }
    assert told.totals() == told.query(TOTALS_BY_HAND)


def test_mended_file_brings_a_value_error_back(told: Workshop, receiver: Receiver) -> None:
    odd = (
        "select {} as order_id, 'c1' as customer, 'n' as region, 5::decimal(8, 2) as amount, "
        "timestamp '2013-01-03' as landed_at"
    )
    told.write_select("fact_order", f"{GOOD} where o.order_id <> 77 or cast(o.customer as integer) = 0")
    told.run()
    assert told.row_of().is_active
    told.land("orders/odd", odd.format("77::bigint"))
    told.run()
    assert not told.row_of().is_active

    told.land("orders/odd", odd.format("78::bigint"))
    (healed,) = heal(told.context)

    assert (healed.state, healed.reason) == (HealState.HEALED, "changed since: data")
    assert receiver.told("resolved")


def test_dropped_column_keeps_the_row_off_until_it_is_restored(told: Workshop, receiver: Receiver) -> None:
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    files = sorted((told.lake / "orders").glob("*.parquet"))
    saved = {file: file.read_bytes() for file in files}
    for file in files:
        told.land(f"orders/{file.stem}", f"select * exclude (amount) from read_parquet('{file}')")
    told.run()
    loads = told.query("select count(*) from sluice.load_log")
    assert (told.row_of().comments or "").startswith("missing_column in run ")

    (first,) = heal(at(told.context, later(minutes=31)))
    (second,) = heal(at(told.context, later(minutes=32)))
    for file, content in saved.items():
        file.write_bytes(content)
    (third,) = heal(at(told.context, later(minutes=33)))

    assert first.state is HealState.BROKEN
    assert "amount" in first.reason
    assert second.state is HealState.WAITING
    assert second.reason.startswith("nothing has changed: next check at ")
    assert (third.state, third.reason.split(", ")[0]) == (HealState.HEALED, "changed since: source")
    assert told.query("select count(*) from sluice.load_log") == loads
    assert len(receiver.told("resolved")) == 1


def test_failed_data_test_is_asked_by_that_test(told: Workshop, receiver: Receiver) -> None:
    rows = control_rows()
    rows["transformations"][0]["column_list"] = [
        {"name": "order_id", "type": "bigint", "tests": ["unique"]},
        {"name": "customer", "type": "varchar"},
        {"name": "region", "type": "varchar"},
        {"name": "amount", "type": "decimal(8,2)", "tests": [{"accepted_values": {"values": [-1], "quote": False}}]},
        {"name": "landed_at", "type": "timestamp"},
    ]
    told.apply(rows)
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    told.run()
    assert (told.row_of().comments or "").startswith("data_test in run ")

    (still,) = heal(told.context, is_forced=True)
    with duckdb.connect(str(told.warehouse)) as connection:
        connection.execute("update dwh.fact_order set amount = -1")
    (healed,) = heal(told.context, is_forced=True)

    assert still.state is HealState.BROKEN
    assert "accepted_values" in still.reason
    assert healed.state is HealState.HEALED


def test_row_that_a_person_switched_off_is_never_touched(told: Workshop, receiver: Receiver) -> None:
    change_context = ChangeContext(told.project, told.context.store, told.context.columns, "tester")
    switch(change_context, "dwh.fact_order", "not today", is_active=False)

    assert heal(told.context, is_forced=True) == ()
    with pytest.raises(ConfigurationError, match="Not switched off by the framework"):
        heal(told.context, ["dwh.fact_order"])
    assert not told.row_of().is_active
