"""A changed SELECT is a state: told by runs, plan, status and verify until somebody restates or accepts."""

from __future__ import annotations

import json

import pytest

from flows.backfill.automatic import restate_changed
from flows.engine.definitions import accept
from flows.gate.definitions import definition_notes, recorded_changes
from flows.gate.facts import Action, Decision, DefinitionChange, Reason
from flows.ledger.verify import verify
from flows.run.model import RunSummary
from metadata_sync.errors import ConfigurationError
from metadata_sync.incident import Incident, IncidentKind, Severity
from tests.support.engine_project import SELECTS, Workshop, control_rows, finish

FACT = SELECTS["fact_order"]
HALVED = FACT.replace("o.amount", "(o.amount * 0.5)::decimal(18, 2) as amount")
DOUBLED = FACT.replace("o.amount", "(o.amount * 2)::decimal(18, 2) as amount")
TARGET = "dwh.fact_order"


def told(workshop: Workshop) -> DefinitionChange | None:
    store = workshop.context.store
    return recorded_changes(workshop.context, store.usable_rows(), store.latest_loads()).get(TARGET)


def of_run(summary: RunSummary) -> DefinitionChange | None:
    return next(item for item in summary.outcomes if item.target == TARGET).definition_change


def of_plan(workshop: Workshop, pipeline: str = "orders", target: str = TARGET) -> Decision:
    return next(item for item in workshop.plan(pipeline).decisions if item.target == target)


def incidents(workshop: Workshop) -> list[Incident]:
    return [item for item in workshop.context.store.incidents() if item.kind is IncidentKind.DEFINITION]


def set_policy(workshop: Workshop, policy: str) -> None:
    rows = control_rows()
    row = next(item for item in rows["transformations"] if item["target_table"] == "fact_order")
    row["on_definition_change"] = policy
    workshop.apply(rows)


def test_change_is_told_until_it_is_accepted_and_the_next_change_is_told_again(workshop: Workshop) -> None:
    assert told(workshop) is None
    (count,) = workshop.query("select count(*) from dwh.fact_order")[0]
    workshop.write_select("fact_order", HALVED)

    planned = of_plan(workshop)
    assert planned.action is Action.SKIP
    assert planned.definition_change is not None
    summary, _ = workshop.run("orders")
    for change in (planned.definition_change, of_run(summary), told(workshop)):
        assert change is not None
        assert not change.is_loaded
        assert "its SELECT has changed since its last load" in change.sentence
        assert f"sluice restate {TARGET}" in change.sentence
    assert not summary.has_failed

    workshop.land_orders("later", [900], "2013-01-05 00:00:00")
    summary, _ = workshop.run("orders")
    # the rows at the watermark are read again
    ((older,),) = workshop.query(
        "select count(*) from dwh.fact_order where landed_at < timestamp '2013-01-02 12:00:00'"
    )
    for change in (of_run(summary), told(workshop), of_plan(workshop).definition_change):
        assert change is not None
        assert (change.event_count, change.older_count) == (count + 1, older)
        assert f"{older} of {count + 1} events were derived by an older SELECT" in change.sentence
    assert not summary.has_failed
    assert [(item.subject, item.severity, item.is_open) for item in incidents(workshop)] == [
        (TARGET, Severity.INFO, True)
    ]
    assert workshop.query("select definition from sluice.load_log where target = 'dwh.fact_order' order by load_id")[
        -1
    ][0].startswith("2:")

    found = verify(workshop.context, TARGET)
    assert (found.is_sound, found.older_count) == (True, older)
    assert found.definition_change is not None

    accept(workshop.context, TARGET, "from January on")
    assert told(workshop) is None
    assert incidents(workshop) == []
    assert verify(workshop.context, TARGET).definition_change is None
    assert "from January on" in definition_notes(workshop.context, [TARGET])[TARGET][0]
    code, output, errors = finish(workshop.sluice("lineage", "mart.region_total", "--json"))
    assert code == 0, errors
    assert "from January on" in json.loads(output)["definitions"][TARGET][0]
    with pytest.raises(ConfigurationError, match="nothing to accept"):
        accept(workshop.context, TARGET, "again")

    workshop.write_select("fact_order", DOUBLED)
    assert told(workshop) is not None
    accept(workshop.context, TARGET, "before its first load")
    workshop.land_orders("later still", [901], "2013-01-06 00:00:00")
    summary, _ = workshop.run("orders")
    assert of_run(summary) is None
    assert told(workshop) is None


def test_row_can_hold_restate_or_accept_by_itself(workshop: Workshop) -> None:
    set_policy(workshop, "hold")
    workshop.write_select("fact_order", HALVED)
    workshop.land_orders("later", [900], "2013-01-05 00:00:00")
    held = of_plan(workshop)
    assert (held.action, held.reason) == (Action.HOLD, Reason.DEFINITION_CHANGED)

    set_policy(workshop, "restate")
    summary, _ = workshop.run("orders")
    said: list[str] = []
    assert restate_changed(workshop.context, summary, said.append) == ()
    assert workshop.query("select count(distinct _sluice_definition) from dwh.fact_order") == [(1,)]
    assert any("is restated" in sentence for sentence in said)
    assert told(workshop) is None
    assert incidents(workshop) == []

    workshop.write_select("fact_order", DOUBLED)
    summary, _ = workshop.run("orders")
    restate_changed(workshop.context, summary, said.append)
    (amounts,) = workshop.query("select min(amount) from dwh.fact_order where order_id = 900")
    assert (
        amounts
        == workshop.query(
            f"select amount * 2 from read_parquet('{workshop.lake}/orders/*.parquet') where order_id = 900"
        )[0]
    )

    set_policy(workshop, "accept")
    workshop.write_select("fact_order", HALVED)
    assert told(workshop) is None
    workshop.land_orders("later still", [901], "2013-01-06 00:00:00")
    summary, _ = workshop.run("orders")
    assert of_run(summary) is None
    assert "on_definition_change: accept" in definition_notes(workshop.context, [TARGET])[TARGET][0]


def test_changed_select_of_a_full_read_makes_its_target_due(workshop: Workshop) -> None:
    workshop.write_select("dim_region", "select r.region, upper(r.label) as label from lake.regions as r")
    (pipeline,) = {
        row.pipeline_id
        for row in workshop.context.store.usable_rows().transformations
        if row.target_table == "dim_region"
    }
    planned = of_plan(workshop, pipeline, "dwh.dim_region")
    assert (planned.action, planned.reason) == (Action.RUN, Reason.DEFINITION_CHANGED)

    summary, _ = workshop.run(pipeline)

    assert workshop.query("select label from dwh.dim_region order by label") == [("NORTH",), ("SOUTH",)]
    assert not summary.has_failed
    assert of_plan(workshop, pipeline, "dwh.dim_region").action is Action.SKIP


@pytest.mark.parametrize("increment", ["groups", "full"])
def test_changed_increment_holds_the_target_with_the_remedy(workshop: Workshop, increment: str) -> None:
    """Groups and full reads are ordered by the time of their load, which no stored event of `increment: rows` has."""
    rows = control_rows()
    row = next(item for item in rows["transformations"] if item["target_table"] == "customer")
    row["increment"] = increment
    if increment == "groups":
        row["dependencies"] = [{"table": "lake.orders", "driving": True, "recompute_by": ["customer"]}]
    workshop.apply(rows)
    before = workshop.query("select * from dwh.customer order by all")
    workshop.land_orders("later", [900], "2013-01-05 00:00:00")

    planned = of_plan(workshop, target="dwh.customer")
    summary, _ = workshop.run("orders")

    assert (planned.action, planned.reason) == (Action.HOLD, Reason.CONFIG_CHANGED)
    assert "sluice dbt build --full-refresh --select dwh__customer" in planned.message
    assert workshop.statuses(summary)["dwh.customer"] == "held"
    assert workshop.row_of("dwh.customer").is_active
    assert workshop.query("select * from dwh.customer order by all") == before
    code, out, err = finish(workshop.sluice("dbt", "build", "--full-refresh", "--select", "dwh__customer"))
    assert code == 0, out + err
    assert of_plan(workshop, target="dwh.customer").action is not Action.HOLD
