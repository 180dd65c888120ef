"""A corrected SELECT and the rows that an older one derived: restated by today's, whatever their values."""

from __future__ import annotations

import json

import pytest

from flows.backfill.backfill import (
    BackfillPlan,
    BackfillRequest,
    BackfillSummary,
    ChunkLoaded,
    plan_backfill,
    run_backfill,
)
from flows.gate.definitions import recorded_changes
from metadata_sync.errors import ConfigurationError, HardRunError
from tests.support.engine_project import SELECTS, Workshop, control_rows, finish

AMOUNTS = "select order_id, amount from dwh.fact_order order by order_id"
BY_HAND = "select order_id, amount{change} from read_parquet('{lake}/orders/*.parquet'){where} order by order_id"
FACT, CUSTOMER = SELECTS["fact_order"], SELECTS["customer"]


def restate(workshop: Workshop, target: str, start: str | None = None, end: str | None = None) -> BackfillSummary:
    plan = plan_backfill(workshop.context, BackfillRequest(target, start, end, chunk_size="1d", restates=True))
    assert plan.targets, plan.left_out
    summary = run_backfill(workshop.context, plan)
    assert not summary.has_failed, summary.targets
    return summary


def by_hand(workshop: Workshop, change: str = "", where: str = "") -> list[tuple[object, ...]]:
    return workshop.query(BY_HAND.format(change=change, where=where, lake=workshop.lake))


@pytest.mark.parametrize(
    "change", [" * 0.5", " * 1.5", " - 1000", " * (case when order_id % 2 = 0 then 2 else -1 end)"]
)
def test_corrected_formula_takes_the_place_of_the_older_whatever_the_values(workshop: Workshop, change: str) -> None:
    workshop.write_select("fact_order", FACT.replace("o.amount", f"(o.amount{change})::decimal(18, 2) as amount"))

    summary = restate(workshop, "dwh.fact_order")

    assert workshop.query(AMOUNTS) == by_hand(workshop, f"{change}::decimal(18, 2)".replace(change, f"{change}"))
    assert (summary.pruned, summary.kept_count) == (None, 0)
    (target,) = summary.targets
    assert target.chunk_count > 1
    assert target.rows.read < 2 * len(workshop.query(AMOUNTS)), "each chunk reads its window only"
    assert workshop.query("select count(distinct _sluice_definition) from dwh.fact_order") == [(1,)]


def test_last_event_of_each_key_is_restated_first(workshop: Workshop) -> None:
    workshop.land_orders("again", [1, 2, 3], "2013-01-03 00:00:00")  # later events of keys that came before
    workshop.run("orders")
    workshop.write_select("fact_order", FACT + " where o.landed_at < timestamp '2013-01-03 00:00:00'")

    summary = restate(workshop, "dwh.fact_order")

    assert summary.kept_count == 0
    landed = "select count(*), max(landed_at) < timestamp '2013-01-03' from dwh.fact_order"
    assert workshop.query(landed) == [(20, True)], "the earlier events of the three keys stand"


def test_window_of_a_backfill_is_restated_after_a_change_and_the_rest_is_counted(workshop: Workshop) -> None:
    before = dict(workshop.query(AMOUNTS))
    workshop.write_select("fact_order", FACT.replace("o.amount", "(o.amount * 0.5)::decimal(18, 2) as amount"))

    summary = restate(workshop, "dwh.fact_order", start="2013-01-02")

    window = dict(by_hand(workshop, " * 0.5", " where landed_at >= '2013-01-02'"))
    assert 0 < len(window) < len(before)
    assert dict(workshop.query(AMOUNTS)) == {**before, **window}
    assert (summary.pruned, summary.kept_count) == (None, len(before) - len(window))


def test_rows_that_the_select_does_not_yield_any_more_leave(workshop: Workshop) -> None:
    workshop.write_select("fact_order", FACT + " where o.order_id % 3 > 0")

    summary = restate(workshop, "dwh.fact_order")

    assert workshop.query(AMOUNTS) == by_hand(workshop, where=" where order_id % 3 > 0")
    assert summary.pruned is not None
    assert summary.kept_count == 0
    assert workshop.query("select count(*) from sluice.load_log where epoch > 0 and target = 'dwh.fact_order'") != [
        (0,)
    ]


def test_restated_history_is_that_of_a_fresh_load(workshop: Workshop) -> None:
    history = "select customer, region, landed_at, valid_from, valid_to, is_current from dwh.customer order by all"
    workshop.write_select(
        "customer", CUSTOMER.replace("o.region", "case when o.region = 'north' then 'n' end as region")
    )
    restate(workshop, "dwh.customer")
    restated = workshop.query(history)
    for table in ("dwh.customer", "sluice.dwh__customer__side", "sluice.dwh__customer__head"):
        workshop.execute(f"drop table {table}")
    workshop.execute("delete from sluice.load_log where target = 'dwh.customer'")
    workshop.run("orders")
    assert workshop.query(history) == restated


def test_layout_and_comments_are_no_change(workshop: Workshop) -> None:
    before = workshop.query("select * from dwh.fact_order order by order_id")
    workshop.write_select(
        "fact_order", "-- the same\n" + FACT.replace("select ", "SELECT\n    ").replace(", ", ",\n    ")
    )
    summary = restate(workshop, "dwh.fact_order")
    assert summary.targets[0].rows.updated == 0
    assert workshop.query("select * from dwh.fact_order order by order_id") == before


def test_select_that_changes_while_it_is_restated_is_told_and_nothing_is_pruned(workshop: Workshop) -> None:
    workshop.write_select("fact_order", FACT + " where o.order_id % 3 > 0")
    plan = plan_backfill(workshop.context, BackfillRequest("dwh.fact_order", None, restates=True))
    workshop.write_select("fact_order", FACT + " where o.order_id % 5 > 0")
    workshop.land_orders("later", [900], "2013-01-05 00:00:00")
    workshop.run("orders")
    with pytest.raises(HardRunError, match="changed while it was restated"):
        run_backfill(workshop.context, plan)
    restate(workshop, "dwh.fact_order")
    assert workshop.query(AMOUNTS) == by_hand(workshop, where=" where order_id % 5 > 0")


def test_target_that_reads_only_other_targets_is_restated_from_all_their_rows(workshop: Workshop) -> None:
    total = SELECTS["region_total"]
    workshop.run("totals")
    workshop.write_select("region_total", total.replace("sum(f.amount)", "sum(f.amount * 0.5)::decimal(18, 2)"))
    summary = restate(workshop, "mart.region_total")
    halves = "select region, count(*), (sum(amount) * 0.5)::decimal(18, 2) from dwh.fact_order{where} group by region"
    kept = "select region, order_count, amount from mart.region_total order by region"
    assert summary.kept_count == 0
    assert workshop.query(kept) == workshop.query(f"{halves.format(where='')} order by region")

    where = " where f.region <> 'n'"
    workshop.write_select("region_total", total.replace(" group by", f"{where} group by"))
    summary = restate(workshop, "mart.region_total")
    assert (summary.targets[0].rows.deleted, summary.kept_count) == (1, 0)
    assert workshop.query("select count(*) from mart.region_total where region = 'n'") == [(0,)]
    assert workshop.query("select count(*) from mart.region_total") != [(0,)]


@pytest.mark.parametrize("subject", ["dwh.nothing", "orders"])
def test_what_is_no_target_is_refused(workshop: Workshop, subject: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no (pipeline or )?target '{subject}'"):
        plan_backfill(workshop.context, BackfillRequest(subject, None, restates=True))


def test_target_that_every_run_reads_in_full_is_left_out_with_the_reason(workshop: Workshop) -> None:
    plan = plan_backfill(workshop.context, BackfillRequest("dwh.dim_region", None, restates=True))
    assert not plan.targets
    assert "reads its sources in full" in plan.left_out[0].reason


def test_readers_are_shown_in_order_and_taken_along(workshop: Workshop) -> None:
    workshop.write_select("fact_order", FACT.replace("o.amount", "(o.amount * 0.5)::decimal(18, 2) as amount"))
    code, output, errors = finish(
        workshop.sluice("restate", "dwh.fact_order", "--with-readers", "--yes", "--json"), timeout=240
    )
    assert code == 0, errors
    document = json.loads(output)
    assert document["readers"] == ["mart.region_total"]
    assert [item["status"] for item in document["follow_up"]["targets"] if item["target"] == "mart.region_total"] == [
        "loaded"
    ]
    assert workshop.query("select sum(amount) from mart.region_total") == workshop.query(
        "select sum(amount) from dwh.fact_order"
    )


def test_history_of_a_source_that_is_updated_in_place_stays(workshop: Workshop) -> None:
    """The source holds the last state of each row; the earlier states are in the target only."""
    moved = "case when order_id % 3 = 1 then 'west' else region end as region, amount"
    at = "case when order_id % 3 = 1 then timestamp '2013-01-03 00:00:00' else landed_at end as landed_at"
    orders = f"read_parquet('{workshop.lake}/orders/*.parquet')"
    workshop.land("state", f"select order_id, customer, {moved}, {at} from {orders}")
    for path in (workshop.lake / "orders").iterdir():
        path.unlink()
    (workshop.lake / "state.parquet").rename(workshop.lake / "orders" / "state.parquet")
    workshop.run("orders")
    history = "select customer, region, valid_from, valid_to, is_current from dwh.customer where {where} order by all"
    moved_on, others = history.format(where="customer = 'c1'"), history.format(where="customer = 'c2'")
    before = workshop.query(moved_on)
    assert len(before) > 2
    assert len(workshop.query(others)) > 2

    workshop.write_select("customer", CUSTOMER + " where o.customer <> 'c2'")
    summary = restate(workshop, "dwh.customer")

    assert workshop.query(others) == [], "the source holds these rows, and the SELECT does not yield them"
    assert workshop.query(moved_on) == before
    assert summary.pruned is not None
    assert summary.kept_count > 0

    workshop.write_select("customer", CUSTOMER + " where o.customer = 'c0'")
    restate(workshop, "dwh.customer")

    after = workshop.query(moved_on)
    assert after == before[:-1], "the history that the source cannot give again stays, and its last state is over"
    restate(workshop, "dwh.customer")
    assert workshop.query(moved_on) == after


def test_window_of_a_history_loses_what_the_select_does_not_yield_any_more(workshop: Workshop) -> None:
    rows = "select customer, landed_at from dwh.customer where {where} order by all"
    first_day, later = "landed_at < '2013-01-02'", "landed_at >= '2013-01-02'"
    before = workshop.query(rows.format(where=first_day))
    workshop.write_select("customer", CUSTOMER + " where o.customer <> 'c2'")

    summary = restate(workshop, "dwh.customer", start="2013-01-02")

    assert workshop.query(rows.format(where=first_day)) == before
    assert {customer for customer, _ in workshop.query(rows.format(where=later))} == {"c0", "c1"}
    assert summary.pruned is not None
    assert summary.kept_count > 0


class _Killed(Exception):  # noqa: N818 - it stands for a signal
    """The process ends between two chunks."""


HALVED = FACT.replace("o.amount", "(o.amount * 0.5)::decimal(18, 2) as amount")
ALL_HALVED = " * 0.5"


def planned(workshop: Workshop) -> BackfillPlan:
    return plan_backfill(
        workshop.context, BackfillRequest("dwh.fact_order", None, chunk_size="1d", restates=True, requested_by="tester")
    )


def test_inactive_target_is_left_out_with_the_reason(workshop: Workshop) -> None:
    rows = control_rows()
    next(row for row in rows["transformations"] if row["target_table"] == "fact_order")["is_active"] = False
    workshop.apply(rows)
    workshop.write_select("fact_order", HALVED)
    plan = planned(workshop)
    assert plan.targets == ()
    assert "off" in plan.left_out[0].reason or "inactive" in plan.left_out[0].reason


def test_restatement_goes_on_after_a_kill_and_beside_runs(workshop: Workshop) -> None:
    workshop.write_select("fact_order", HALVED + " where o.order_id <> 3")

    def die(_: float) -> bool:
        raise _Killed

    with pytest.raises(_Killed):
        run_backfill(workshop.context, planned(workshop), may_begin=die)
    workshop.land_orders("later", [900], "2013-01-05 00:00:00")
    resumed = planned(workshop)
    assert (resumed.is_resumed, resumed.targets[0].done) == (True, 1)

    def meanwhile(step: ChunkLoaded) -> None:
        assert workshop.statuses(workshop.run("orders")[0])["dwh.fact_order"] == "skipped", "the chunk has its lease"

    summary = run_backfill(workshop.context, resumed, meanwhile)
    workshop.run("orders")

    assert not summary.has_failed, summary.targets
    assert workshop.query(AMOUNTS) == by_hand(workshop, ALL_HALVED, " where order_id <> 3")
    assert not workshop.plan("orders").is_due


def test_rows_that_the_source_lost_stay_and_the_plan_says_how_many(workshop: Workshop) -> None:
    before = dict(workshop.query(AMOUNTS))
    lost = [key for (key,) in workshop.query("select order_id from read_parquet('{lake}/orders/day_0.parquet')")]
    (workshop.lake / "orders" / "day_0.parquet").unlink()
    workshop.write_select("fact_order", HALVED)

    plan = planned(workshop)
    assert any(f"{len(lost)} of {len(before)} events keep their values" in note for note in plan.notes), plan.notes
    summary = run_backfill(workshop.context, plan)

    assert dict(workshop.query(AMOUNTS)) == {
        **dict(by_hand(workshop, ALL_HALVED)),
        **{key: before[key] for key in lost},
    }
    assert summary.kept_count == len(lost)
    assert told_change(workshop) is None, "nothing can derive these rows again, so nobody is reminded of them"


def told_change(workshop: Workshop) -> object:
    store = workshop.context.store
    return recorded_changes(workshop.context, store.usable_rows(), store.latest_loads()).get("dwh.fact_order")
