"""A target in another pipeline: its row says so, and everything that belongs to the target stays."""

from __future__ import annotations

from flows.gate.facts import Reason
from flows.ledger.verify import verify
from tests.support.engine_project import Workshop, control_rows

HELD = (
    "select * from dwh.{0} order by all",
    "select * from sluice.dwh__{0}__side order by all",
    "select * from sluice.dwh__{0}__head",
    "select * from sluice.load_log where target = 'dwh.{0}' order by all",
)


def test_targets_keep_ledger_watermark_and_log_when_their_pipeline_changes(workshop: Workshop) -> None:
    targets = ("customer", "fact_order", "dim_region")
    before = [workshop.query(query.format(name)) for name in targets for query in HELD]
    rows = control_rows()
    rows["pipelines"][0] |= {"pipeline_id": "sales", "pipeline_name": "Sales"}
    for row in rows["transformations"][:3]:
        row["pipeline_id"] = "sales"

    workshop.apply(rows, prune=True)

    decisions = workshop.plan().decisions
    assert {item.reason for item in decisions} == {Reason.NOTHING_NEW}
    assert {item.pipeline_id for item in decisions} == {"sales", "totals"}
    assert [workshop.query(query.format(name)) for name in targets for query in HELD] == before
    generated = workshop.root / "dbt_project" / "models" / "generated"
    assert not (generated / "orders").exists()

    workshop.land_orders("more", range(30, 40), "2013-01-03 12:00:00")
    summary, _ = workshop.run("sales")

    loads = {item.target: item for item in summary.outcomes}
    assert (loads["dwh.customer"].rows.inserted, loads["dwh.fact_order"].rows.inserted) == (8, 10)
    assert verify(workshop.context, "dwh.customer").is_sound
    latest = {entry.target: entry.pipeline_id for entry in workshop.context.store.latest_loads().successful}
    assert latest["dwh.customer"] == "sales"
