"""A SELECT or row at fault stops itself alone; what ends a run before it begins is one incident."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from flows.gate.facts import Reason
from flows.upkeep.heal import HealState, heal
from flows.upkeep.monitor import monitor
from metadata_sync.control.apply import ChangeContext, switch
from metadata_sync.incident import IncidentKind
from tests.support.engine_project import SELECTS, TOTALS_BY_HAND, Workshop
from tests.support.receiver import Receiver

GOOD = SELECTS["fact_order"]


def test_select_at_fault_switches_off_its_row_and_nothing_else(told: Workshop, receiver: Receiver) -> None:
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    told.write_select("fact_order", GOOD.replace("o.amount", "o.amonut"))

    first, _ = told.run()
    second, _ = told.run()

    row = told.row_of()
    assert (row.is_active, row.deactivated_by) == (False, "framework")
    assert (row.comments or "").startswith(f"missing_column in run {first.run_id} at ")
    assert "amonut" in (row.comments or "")
    assert told.statuses(first) == {
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        "dwh.fact_order": "failed",
        "mart.region_total": "skipped",
    }
    reasons = {outcome.target: outcome.decision.reason for outcome in second.outcomes}
    assert reasons["dwh.fact_order"] is Reason.INACTIVE
    assert reasons["mart.region_total"] is Reason.UPSTREAM_OFF
    (incident,) = told.context.store.incidents()
    assert (incident.kind, incident.failure_class, incident.ticks) == (IncidentKind.LOAD, "missing_column", 1)
    assert receiver.told() == ["[dev] dwh.fact_order failed and is switched off: missing_column"]
    refused = told.sluice("sync")
    assert (refused.wait(60), refused.communicate()[0]) == (3, "")

    (still,) = heal(told.context, is_forced=True)
    told.write_select("fact_order", GOOD)
    (healed,) = heal(told.context)
    last, _ = told.run()

    assert (still.state, "amonut" in still.reason) == (HealState.BROKEN, True)
    assert (healed.state, healed.reason) == (HealState.HEALED, "changed since: sql")
    assert not last.has_failed
    assert told.totals() == told.query(TOTALS_BY_HAND)
    assert [body["event"] for body in receiver.bodies] == ["opened", "resolved"]


def test_rows_edited_to_none_stop_only_themselves(told: Workshop, receiver: Receiver) -> None:
    """A transformation and a pipeline that SQL has made unreadable; SQL mends them."""
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    good = edit(told, "transformation_control", "dependencies", '[{"table": 5}]', target_table="fact_order")
    edit(told, "pipeline_control", "emr_instance_types", "[1]", pipeline_id="totals")

    broken, _ = told.run()
    watch = monitor(told.context)
    status = told.sluice("status")
    shown, _ = status.communicate(timeout=60)
    (still,) = heal(told.context, is_forced=True)
    row = next(item for item in told.context.store.usable_rows().transformations if item.key == "dwh.fact_order")

    assert told.statuses(broken) == {
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        "dwh.fact_order": "failed",
        "mart.region_total": "held",
    }
    assert (row.is_active, row.deactivated_by) == (False, "framework")
    assert (row.comments or "").startswith(f"settings in run {broken.run_id} at ")
    assert "dependencies[0].table" in (row.comments or "")
    assert {(item.kind, item.subject) for item in watch.open} == {
        (IncidentKind.LOAD, "dwh.fact_order"),
        (IncidentKind.HOLD, "totals"),
    }
    assert (status.returncode, "dependencies[0].table" in shown) == (0, True)
    assert (still.state, "edited by hand" in still.reason) == (HealState.BROKEN, True)
    refused = told.sluice("sync")
    assert (refused.wait(60), refused.communicate()[0]) == (3, "")

    edit(told, "transformation_control", "dependencies", good, target_table="fact_order")
    edit(told, "pipeline_control", "emr_instance_types", "[]", pipeline_id="totals")
    (healed,) = heal(told.context)
    last, _ = told.run()

    assert (healed.state, "row" in healed.reason) == (HealState.HEALED, True)
    assert not last.has_failed
    assert told.context.store.incidents() == ()
    assert told.totals() == told.query(TOTALS_BY_HAND)
    assert sorted(body["event"] for body in receiver.bodies) == ["opened", "opened", "resolved", "resolved"]


def edit(workshop: Workshop, table: str, column: str, value: str, **key: str) -> str:
    """Set a column by SQL, and return what stood there."""
    ((name, wanted),) = key.items()
    with closing(sqlite3.connect(workshop.control)) as connection, connection:
        (before,) = connection.execute(f"select {column} from {table} where {name} = ?", [wanted]).fetchone()
        connection.execute(f"update {table} set {column} = ? where {name} = ?", [value, wanted])
    return str(before)


def test_readers_of_a_row_that_is_off_follow_their_policy(told: Workshop) -> None:
    told.land("regions/all", "select * from (values ('n', 'North'), ('s', 'Deep South')) as t (region, label)")
    change_context = ChangeContext(told.project, told.context.store, told.context.columns, "tester")
    switch(change_context, "dwh.fact_order", "not today", is_active=False)

    (decision,) = told.plan("totals").decisions

    assert (decision.action, decision.reason) == ("skip", Reason.UPSTREAM_OFF)
    assert "dwh.fact_order is switched off (child_policy skip)" in decision.message


def test_run_that_cannot_begin_is_one_incident_until_one_begins(told: Workshop, receiver: Receiver) -> None:
    told.close()
    profile = told.root / "profiles.yml"
    text = profile.read_text()
    profile.write_text(text.replace("path:", "path: \"{{ env_var('NO_SUCH_VARIABLE') }}\"\n      was:", 1))

    broken = [told.sluice("run", "--json", SLUICE_ALERT_CHANNEL="data-ops") for _ in range(2)]
    codes = [process.wait(120) for process in broken]
    asked_wrongly = told.sluice("run", "no_such_pipeline", SLUICE_ALERT_CHANNEL="data-ops")
    profile.write_text(text)
    (incident,) = told.context.store.incidents()
    told.run()

    for process in (*broken, asked_wrongly):
        process.communicate()
    assert codes == [2, 2]
    assert (incident.kind, incident.subject, incident.failure_class) == (IncidentKind.SHARED, "warehouse", "settings")
    assert (incident.ticks, incident.targets, incident.pipeline_ids) == (2, (), ("orders", "totals"))
    assert "NO_SUCH_VARIABLE" in incident.message
    assert told.context.store.incidents() == ()
    assert [body["event"] for body in receiver.bodies] == ["opened", "resolved"]
    assert all(row.is_active for row in told.context.store.read_rows().transformations)
