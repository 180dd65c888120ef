"""Backfills on a real warehouse with real dbt: what they load, what they leave out, how they go on after a kill."""

from __future__ import annotations

import signal

import pytest

from flows.backfill.backfill import BackfillRequest, ChunkLoaded, plan_backfill, run_backfill
from flows.gate.facts import Reason
from flows.run.leases import LeaseKeeper
from metadata_sync.errors import ConfigurationError
from metadata_sync.settings import Settings
from tests.support.engine_project import Workshop, finish, run_json

LOADED = ("dwh.customer", "dwh.fact_order")
WATERMARKS = "select target, source, window_end, load_id from sluice.watermark_control order by all"


def test_backfill_loads_again_what_is_missing_and_leaves_the_watermark(workshop: Workshop) -> None:
    before = workshop.query("select order_id, amount from dwh.fact_order order by order_id")
    watermarks = workshop.query(WATERMARKS)
    workshop.execute("delete from dwh.fact_order where order_id < 12")
    steps: list[ChunkLoaded] = []

    plan = plan_backfill(workshop.context, BackfillRequest("orders", "2013-01-01", chunk_size="1d"))
    summary = run_backfill(workshop.context, plan, steps.append)

    assert {item.target: len(item.chunks) for item in plan.targets} == {"dwh.customer": 2, "dwh.fact_order": 2}
    (left_out,) = plan.left_out
    assert (left_out.target, "reads its sources in full" in left_out.reason) == ("dwh.dim_region", True)
    assert not summary.has_failed
    assert [(step.target, step.number) for step in steps] == [
        *(("dwh.customer", 1), ("dwh.fact_order", 1)),
        *(("dwh.customer", 2), ("dwh.fact_order", 2)),
    ]
    assert {item.target: item.rows.inserted for item in summary.targets} == {"dwh.customer": 0, "dwh.fact_order": 12}
    assert workshop.query("select order_id, amount from dwh.fact_order order by order_id") == before
    assert workshop.query(WATERMARKS) == watermarks
    logged = f"select distinct moves_watermark from sluice.load_log where run_id = '{plan.backfill_id}'"
    assert workshop.query(logged) == [(False,)]
    assert workshop.context.store.unfinished_backfills() == ()
    loads = workshop.context.store.latest_loads()
    assert {entry.run_id for entry in loads.newest} >= {plan.backfill_id}
    assert not workshop.plan("orders").is_due
    assert workshop.context.store.latest_loads() == loads, "the load of the watermark is an older one, and not unknown"


def test_backfill_of_one_target_stays_within_its_bounds(workshop: Workshop) -> None:
    workshop.execute("delete from dwh.fact_order")

    request = BackfillRequest("dwh.fact_order", "2013-01-01 12:03", "2013-01-02T12:01:00+00:00")
    plan = plan_backfill(workshop.context, request)
    run_backfill(workshop.context, plan)

    assert [(item.target, len(item.chunks)) for item in plan.targets] == [("dwh.fact_order", 1)]
    assert workshop.query("select min(landed_at)::varchar, max(landed_at)::varchar from dwh.fact_order") == [
        ("2013-01-01 12:03:00", "2013-01-02 12:01:00")
    ]


def test_failed_chunk_stops_its_target_and_the_same_request_goes_on(workshop: Workshop) -> None:
    workshop.write_select(
        "fact_order",
        "select o.order_id, o.customer, o.region, o.amount, o.landed_at from lake.orders as o\n"
        "where 1 / (case when o.order_id = 15 then error('broken on purpose') else 1 end) >= 0",
    )
    request = BackfillRequest("orders", "2013-01-01", "2013-01-31", "1d")

    summary = run_backfill(workshop.context, plan_backfill(workshop.context, request))

    fared = {item.target: item for item in summary.targets}
    assert (fared["dwh.customer"].done, fared["dwh.customer"].error) == (2, None)
    assert fared["dwh.fact_order"].done == 1
    assert "broken on purpose" in (fared["dwh.fact_order"].error or "")
    (entry,) = workshop.context.store.unfinished_backfills("orders")
    assert "broken on purpose" in (entry.error_message or "")

    workshop.write_select(
        "fact_order", "select o.order_id, o.customer, o.region, o.amount, o.landed_at from lake.orders as o"
    )
    plan = plan_backfill(workshop.context, request)
    assert (plan.is_resumed, plan.backfill_id, plan.chunk_count) == (True, entry.backfill_id, 1)
    assert not run_backfill(workshop.context, plan).has_failed
    assert not plan_backfill(workshop.context, request).is_resumed, "a finished backfill begins anew"


def test_killed_backfill_goes_on_with_the_chunks_that_are_left(workshop: Workshop) -> None:
    workshop.execute("delete from dwh.fact_order")
    words = (
        "backfill",
        "dwh.fact_order",
        "--from",
        "2013-01-01",
        "--chunk",
        "3min",
        "--to",
        "2013-01-01 13:00",
        "--yes",
    )
    process = workshop.sluice(*words)
    assert process.stderr is not None
    for line in process.stderr:
        if "✓ dwh.fact_order 1/" in line:
            process.send_signal(signal.SIGKILL)
            break
    finish(process)

    code, document = run_json(workshop, *words)

    assert code == 0
    assert document["is_resumed"] is True
    (target,) = document["targets"]
    assert target["done"] == len(target["chunks"]) == 3
    assert target["rows"]["inserted"] <= 10 - 4, "the first chunk was not loaded again"
    assert workshop.query("select count(*), count(distinct order_id) from dwh.fact_order") == [(10, 10)]


def test_backfill_and_run_of_one_target_meet_at_its_lease_and_say_who_has_it(workshop: Workshop) -> None:
    met = []

    def meet(step: ChunkLoaded) -> None:
        met.append({decision.target: decision for decision in workshop.plan("orders", is_forced=True).decisions})

    workshop.settings = Settings(lock_wait_seconds=0.1)
    workshop.close()
    request = BackfillRequest("orders", "2013-01-01", "2013-01-31", requested_by="ada")
    plan = plan_backfill(workshop.context, request)
    with LeaseKeeper(workshop.context.store, run_id="run-9", held_by="ben") as keeper:
        keeper.take(["dwh.customer"])
        assert [item.target for item in plan_backfill(workshop.context, request).targets] == [
            "dwh.customer",
            "dwh.fact_order",
        ]
        summary = run_backfill(workshop.context, plan, meet)

    fared = {item.target: (item.done, item.error) for item in summary.targets}
    assert fared["dwh.fact_order"] == (1, None)
    assert fared["dwh.customer"][0] == 0
    assert "being loaded by ben (run run-9" in (fared["dwh.customer"][1] or "")
    by_backfill = met[-1]["dwh.fact_order"]
    assert by_backfill.reason is Reason.LEASE_HELD
    assert f"being loaded by ada, for a backfill (run {plan.backfill_id}" in by_backfill.message
    assert workshop.context.store.leases() == ()
    assert not run_backfill(workshop.context, plan_backfill(workshop.context, request)).has_failed


def test_backfill_that_makes_no_sense_is_refused_with_reasons(workshop: Workshop) -> None:
    code, document = run_json(workshop, "backfill", "totals", "--from", "2013-01-01", "--yes")
    assert (code, document["targets"]) == (2, [])
    assert "reads dwh.fact_order: its next run loads" in document["left_out"][0]["reason"]

    code, out, err = finish(workshop.sluice("backfill", "orders", "--from", "2013-01-01"))
    assert (code, "dwh.fact_order" in out, "Pass --yes" in err) == (2, True, True)

    code, document = run_json(workshop, "backfill", "dwh.fact_order", "--from", "7", "--yes")
    assert (code, "cannot be read by landed_at" in document["left_out"][0]["reason"]) == (2, True)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (BackfillRequest("nothing", "2013-01-01"), "no pipeline or target 'nothing'"),
        (BackfillRequest("orders", "yesterday"), "Nothing was loaded"),
        (BackfillRequest("orders", "2013-02-01", "2013-01-01"), "is later than"),
        (BackfillRequest("orders", "2013-01-01", chunk_size="1 fortnight"), "is not a chunk size"),
    ],
)
def test_request_that_cannot_be_read_is_a_usage_error(
    workshop: Workshop, request_: BackfillRequest, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plan_backfill(workshop.context, request_)
