"""The engine on a real warehouse with real dbt: what runs, what is left alone, what happens when something breaks."""

from __future__ import annotations

import copy
import shutil
import signal
from _thread import interrupt_main
from collections.abc import Sequence

import pytest

from flows.engine.engine import execute
from flows.gate.facts import Action, Reason
from flows.run.model import OutcomeStatus, TargetOutcome
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.vocabulary import DeactivatedBy
from tests.support.engine_project import TOTALS_BY_HAND, FirstRun, Recorder, Workshop, control_rows, transformation


def test_first_run_loads_everything_upstream_first(first_run: FirstRun) -> None:
    assert not first_run.summary.has_failed
    assert {outcome.target: outcome.status for outcome in first_run.summary.outcomes} == dict.fromkeys(
        ["dwh.customer", "dwh.dim_region", "dwh.fact_order", "mart.region_total"], "loaded"
    )
    first, second = first_run.recorder.waves
    assert set(first.targets) == {"dwh.customer", "dwh.dim_region", "dwh.fact_order"}
    assert second.targets == ("mart.region_total",)
    assert second.upstreams == {"mart.region_total": ("dwh.fact_order",)}
    assert first_run.recorder.summary == first_run.summary


def test_loads_and_decisions_are_recorded(workshop: Workshop, first_run: FirstRun) -> None:
    store = workshop.context.store
    loads = {entry.target: entry for entry in store.latest_loads().newest}

    assert {target: entry.status for target, entry in loads.items()} == dict.fromkeys(loads, LoadStatus.SUCCESS)
    assert loads["dwh.fact_order"].rows.inserted == 20
    assert [window.end for window in loads["dwh.fact_order"].windows] == ["2013-01-02 12:09:00.000000"]
    logged = dict(workshop.query("select target, load_id from sluice.load_log"))
    assert {target: entry.load_id for target, entry in loads.items()} == logged
    decided = {entry.target: entry for entry in store.latest_decisions()}
    assert {entry.action for entry in decided.values()} == {"run"}
    assert {entry.run_id for entry in decided.values()} == {first_run.summary.run_id}
    assert decided["dwh.fact_order"].evidence["sources"][0]["source"] == "lake.orders"


def test_nothing_runs_when_nothing_is_new(workshop: Workshop) -> None:
    before = workshop.warehouse.stat().st_mtime_ns

    plan = workshop.plan()
    summary, recorder = workshop.run()

    assert not plan.is_due
    assert {decision.reason for decision in plan.decisions} == {Reason.NOTHING_NEW}
    assert set(workshop.statuses(summary).values()) == {"skipped"}
    assert not summary.has_failed
    assert not recorder.waves
    assert workshop.warehouse.stat().st_mtime_ns == before
    assert {entry.action for entry in workshop.context.store.latest_decisions(limit=4)} == {"skip"}


def test_new_rows_run_their_readers_and_nothing_else(workshop: Workshop) -> None:
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    summary, recorder = workshop.run()

    assert workshop.statuses(summary) == {
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        "dwh.fact_order": "loaded",
        "mart.region_total": "loaded",
    }
    assert [sorted(wave.targets) for wave in recorder.waves] == [
        ["dwh.customer", "dwh.fact_order"],
        ["mart.region_total"],
    ]
    assert workshop.totals() == workshop.query(TOTALS_BY_HAND)
    assert not workshop.plan().is_due


def test_late_row_below_the_watermark_is_found(workshop: Workshop) -> None:
    workshop.land_orders("late", range(30, 31), "2013-01-02 11:50:00")

    plan = workshop.plan()
    reasons = {decision.target: decision.reason for decision in plan.decisions}
    summary, _ = workshop.run()

    assert reasons["dwh.fact_order"] is Reason.NEW_FILES
    assert not summary.has_failed
    assert workshop.totals() == workshop.query(TOTALS_BY_HAND)
    assert not workshop.plan().is_due


def test_file_of_a_source_without_a_key_runs_its_reader(workshop: Workshop) -> None:
    workshop.land("regions/all", "select * from (values ('n', 'North'), ('s', 'Southern')) as t (region, label)")

    summary, _ = workshop.run()

    assert workshop.statuses(summary)["dwh.dim_region"] == "loaded"
    assert workshop.statuses(summary)["dwh.fact_order"] == "skipped"
    assert workshop.query("select label from dwh.dim_region where region = 's'") == [("Southern",)]
    assert not workshop.plan().is_due


def test_future_rows_never_run_and_are_counted(workshop: Workshop) -> None:
    workshop.land_orders("future", range(40, 42), "2999-01-01 12:00:00")

    plan = workshop.plan("orders")

    assert not plan.is_due
    (decision,) = [item for item in plan.decisions if item.target == "dwh.fact_order"]
    assert decision.evidence[0].future_count == 2


def test_interrupted_run_has_not_failed(workshop: Workshop, request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores the signal
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    recorder = Recorder(dbt_callbacks=[lambda event: interrupt_main() if event.info.name == "NodeStart" else None])

    with pytest.raises(KeyboardInterrupt):
        execute(workshop.context, workshop.plan(), recorder)
    again, _ = workshop.run()

    assert recorder.outcomes == []
    assert not again.has_failed
    assert workshop.query("select count(*) from dwh.fact_order") == [(25,)]


def test_child_policy_stale_runs_on_what_is_there(workshop: Workshop) -> None:
    rows = control_rows()
    rows["pipelines"][1]["child_policy"] = "stale"
    workshop.apply(rows)
    select = "select o.order_id, o.customer, o.region, o.amount, o.landed_at from lake.orders as o"
    workshop.write_select("fact_order", f"{select} where error('broken on purpose') is null")
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    summary, recorder = workshop.run()

    assert workshop.statuses(summary)["dwh.fact_order"] == "failed"
    (decision,) = [item for item in recorder.decisions if item.target == "mart.region_total" and item.action != "wait"]
    assert decision.reason is Reason.NOTHING_NEW


def test_failing_data_test_is_reported_and_its_load_stays_logged(workshop: Workshop) -> None:
    rows = control_rows()
    rows["transformations"][0]["column_list"] = [
        {"name": "order_id", "type": "bigint", "tests": [{"accepted_values": {"values": [1], "quote": False}}]},
        {"name": "customer", "type": "varchar"},
        {"name": "region", "type": "varchar"},
        {"name": "amount", "type": "decimal(8,2)"},
        {"name": "landed_at", "type": "timestamp"},
    ]
    workshop.apply(rows)
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    summary, _ = workshop.run()

    outcomes = {outcome.target: outcome for outcome in summary.outcomes}
    assert outcomes["dwh.fact_order"].status == "failed"
    assert "data test" in (outcomes["dwh.fact_order"].error or "")
    assert outcomes["dwh.fact_order"].rows.inserted == 5
    assert outcomes["mart.region_total"].decision.reason is Reason.UPSTREAM_FAILED
    assert workshop.query("select count(*) from dwh.fact_order") == [(25,)]


def test_failing_check_of_a_history_is_named_with_its_keys(workshop: Workshop) -> None:
    workshop.run()
    workshop.execute("""
        insert into dwh.customer (customer, region, landed_at, valid_from, valid_to, is_current)
        values ('c0', 'n', '2012-01-01', '2012-01-01', '2012-01-01', false)
    """)
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    outcomes = {outcome.target: outcome for outcome in workshop.run()[0].outcomes}

    error = outcomes["dwh.customer"].error or ""
    assert "no_zero_length failed for 1 row(s), for example customer=c0." in error
    assert "key_not_null" not in error


def test_test_across_waves_runs_with_the_later_of_its_targets(workshop: Workshop) -> None:
    """In the first run it waited until both tables stood; now an order of an unknown region breaks it."""
    workshop.land(
        "orders/unknown",
        "select 99::bigint as order_id, 'c1' as customer, 'w' as region, 1::decimal(8, 2) as amount, "
        "timestamp '2013-01-04' as landed_at",
    )

    summary, recorder = workshop.run()

    assert workshop.statuses(summary)["dwh.fact_order"] == "loaded"
    (failed,) = [outcome for outcome in recorder.outcomes if outcome.status == "failed"]
    assert failed.target == "mart.region_total"
    assert "relationships" in (failed.error or "")


def test_missing_folder_is_held_and_the_others_run(workshop: Workshop) -> None:
    shutil.rmtree(workshop.lake / "regions")
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    summary, _ = workshop.run()

    held = next(outcome for outcome in summary.outcomes if outcome.target == "dwh.dim_region")
    assert held.status == "held"
    assert held.decision.reason is Reason.PROBE_FAILED
    assert "lake/regions does not exist" in held.decision.message
    assert summary.has_failed
    assert workshop.statuses(summary)["mart.region_total"] == "loaded"


def test_emptied_folder_is_held(workshop: Workshop) -> None:
    for path in (workshop.lake / "regions").iterdir():
        path.unlink()

    plan = workshop.plan("orders")

    (decision,) = [item for item in plan.decisions if item.target == "dwh.dim_region"]
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.SOURCE_EMPTIED)
    assert "Land the files again" in decision.message


def test_file_of_another_schema_is_left_out_before_anything_is_read(workshop: Workshop) -> None:
    workshop.land("orders/odd", "select 'x' as order_id, timestamp '2013-01-05' as landed_at")

    plan = workshop.plan("orders")

    decisions = {decision.target: decision for decision in plan.decisions}
    assert decisions["dwh.fact_order"].reason is Reason.FILES_LEFT_OUT
    assert "odd.parquet" in decisions["dwh.fact_order"].message
    assert decisions["dwh.customer"].action is Action.RUN  # it reads no column in which the file differs


def test_table_dropped_by_hand_is_held(workshop: Workshop) -> None:
    import duckdb

    with duckdb.connect(str(workshop.warehouse)) as connection:
        connection.execute("drop table dwh.fact_order")
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    decisions = {decision.target: decision for decision in workshop.plan().decisions}

    assert decisions["dwh.fact_order"].reason is Reason.TARGET_DROPPED
    assert decisions["mart.region_total"].reason is Reason.UPSTREAM_HELD


def test_lake_of_partition_folders_is_windowed_by_them(workshop: Workshop) -> None:
    def land_visits(day: str, *ids: int) -> None:
        values = ", ".join(f"({number})" for number in ids)
        workshop.land(f"visits/day={day}/{ids[0]}", f"select * from (values {values}) as t (visit_id)")

    land_visits("2013-01-01", 1, 2)
    land_visits("2013-01-02", 3)
    rows = copy.deepcopy(control_rows())
    rows["sources"].append(
        {
            "schema": "lake",
            "table": "visits",
            "kind": "lake",
            "format": "parquet",
            "location": "lake/visits/day=*",
            "incremental_key": "day",
        }
    )
    rows["transformations"].append(
        transformation("dwh", "fact_visit", "orders", "lake.visits", load_type="append", business_key=["visit_id"])
    )
    workshop.write_select("fact_visit", "select v.visit_id, v.day from lake.visits as v")
    workshop.apply(rows)
    first, _ = workshop.run()
    land_visits("2013-01-02", 4)
    land_visits("2013-01-03", 5)
    second, _ = workshop.run()

    read = [next(o.rows.read for o in run.outcomes if o.target == "dwh.fact_visit") for run in (first, second)]
    assert read == [3, 2], "the second run reads the file that came, and no other"
    assert workshop.query("select visit_id, cast(day as varchar) from dwh.fact_visit order by 1") == [
        *((1, "2013-01-01"), (2, "2013-01-01"), (3, "2013-01-02")),
        *((4, "2013-01-02"), (5, "2013-01-03")),
    ]


def test_renamed_row_is_held_and_its_old_table_is_named(workshop: Workshop) -> None:
    rows = copy.deepcopy(control_rows())
    rows["transformations"][2]["target_table"] = "dim_area"
    rows["transformations"][3]["column_list"][0]["tests"] = []
    workshop.apply(rows, prune=True)

    plan = workshop.plan()
    decisions = {decision.target: decision for decision in plan.decisions}

    assert decisions["dwh.dim_area"].reason is Reason.ROW_RENAMED
    assert "dwh.dim_region" in decisions["dwh.dim_area"].message
    assert [orphan.target for orphan in plan.orphans] == ["dwh.dim_region"]


def test_changed_key_is_held_and_changed_tracking_runs(workshop: Workshop) -> None:
    rows = copy.deepcopy(control_rows())
    rows["transformations"][1]["scd_columns"] = []
    rows["transformations"][2]["business_key"] = ["label"]
    workshop.apply(rows)

    decisions = {decision.target: decision for decision in workshop.plan().decisions}

    assert (decisions["dwh.customer"].action, decisions["dwh.customer"].reason) == (Action.RUN, Reason.TRACKING_CHANGED)
    assert (decisions["dwh.dim_region"].action, decisions["dwh.dim_region"].reason) == (
        Action.HOLD,
        Reason.CONFIG_CHANGED,
    )


def test_force_runs_what_is_not_due_and_changes_no_row(workshop: Workshop) -> None:
    before = workshop.query("select * from dwh.fact_order order by order_id")

    summary, _ = workshop.run("orders", is_forced=True)

    assert not summary.has_failed
    assert {outcome.decision.reason for outcome in summary.outcomes} == {Reason.FORCED}
    assert workshop.query("select * from dwh.fact_order order by order_id") == before


class SwitchesOff(Recorder):
    """Switches a pipeline's last target off while the run is at work."""

    def __init__(self, workshop: Workshop) -> None:
        super().__init__()
        self.workshop = workshop

    def loaded(self, outcomes: Sequence[TargetOutcome]) -> None:
        super().loaded(outcomes)
        row = self.workshop.row_of("mart.region_total")
        if row.is_active:
            off = row.model_copy(update={"is_active": False, "deactivated_by": DeactivatedBy.OPERATOR})
            self.workshop.context.store.write([RowChange(row, off)], "ann", "set", "month's end")


def test_target_that_is_switched_off_while_a_run_is_at_work_is_left_alone(workshop: Workshop) -> None:
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    before = workshop.totals()

    summary = execute(workshop.context, workshop.plan(), SwitchesOff(workshop))

    by_target = {outcome.target: outcome for outcome in summary.outcomes}
    assert by_target["dwh.fact_order"].status is OutcomeStatus.LOADED
    left = by_target["mart.region_total"]
    assert (left.status, left.decision.reason) == (OutcomeStatus.SKIPPED, Reason.INACTIVE)
    assert "while this run was at work" in left.decision.message
    assert workshop.totals() == before
