"""A column list that Sluice took follows its SELECT; what a load would refuse is refused before the first load."""

from __future__ import annotations

from flows.gate.facts import Action, Reason
from metadata_sync.control.apply import ChangeContext, plan_files
from metadata_sync.rows.model import TransformationRow
from metadata_sync.sync.store import sync_store
from tests.support.engine_project import SELECTS, Workshop, control_rows, finish

FACT = SELECTS["fact_order"]
ROWS = "select order_id, {columns} from dwh.fact_order order by order_id"


def names(workshop: Workshop) -> list[str]:
    return [column.name for column in workshop.row_of().column_list]


def test_columns_that_come_go_widen_and_move_follow_the_select(workshop: Workshop) -> None:
    before = names(workshop)
    workshop.write_select("fact_order", FACT.replace("o.amount", "o.amount, upper(o.region) as area, 1::smallint as n"))
    workshop.land_orders("later", [900], "2013-01-05 00:00:00")
    context = ChangeContext(workshop.project, workshop.context.store, workshop.context.columns, "tester")
    assert plan_files(context).is_empty  # the files are in order: the list is not theirs

    summary, _ = workshop.run("orders")

    assert not summary.has_failed, summary.outcomes
    assert names(workshop) == [*before[: before.index("amount") + 1], "area", "n", "landed_at"]
    assert workshop.query(ROWS.format(columns="area, n"))[-1] == (
        900,
        workshop.query(ROWS.format(columns="upper(region)"))[-1][1],
        1,
    )
    assert workshop.query(ROWS.format(columns="area"))[0][1] is None
    entry = workshop.context.store.history("dwh.fact_order")[0]
    assert "The SELECT yields area (" in (entry.reason or "")

    # widened, one gone, one in its place, another order
    workshop.write_select(
        "fact_order",
        FACT.replace("o.amount", "1000000::integer as n, o.amount, lower(o.region) as zone").replace("o.customer, ", "")
        + "",
    )
    workshop.land_orders("later still", [901], "2013-01-06 00:00:00")
    summary, _ = workshop.run("orders")
    reason = workshop.context.store.history("dwh.fact_order")[0].reason or ""

    fact = next(item for item in summary.outcomes if item.target == "dwh.fact_order")
    assert fact.error is None
    assert names(workshop) == ["order_id", "region", "n", "amount", "zone", "landed_at"]
    assert workshop.query(ROWS.format(columns="n, zone is not null, customer"))[-1] == (901, 1_000_000, True, None)
    assert "zone is likely the new name of area" in reason
    assert "n is integer now, it was smallint" in reason
    assert "no longer yields customer" in reason


def test_type_that_no_load_would_write_is_held_and_told_before_a_load(workshop: Workshop) -> None:
    workshop.write_select("fact_order", FACT.replace("o.amount", "o.amount::varchar as amount"))
    workshop.land_orders("later", [900], "2013-01-05 00:00:00")

    store = workshop.context.store
    report = sync_store(
        store, store.read_stored(), workshop.project, workshop.context.columns, check=True, keep_going=True
    )
    assert [(fault.key, fault.rule) for fault in report.faults] == [("dwh.fact_order", "column_type")]
    code, _, errors = finish(workshop.sluice("validate", "--database"))
    assert code != 0
    assert "amount is decimal" in errors
    summary, _ = workshop.run("orders")
    fact = next(item for item in summary.outcomes if item.target == "dwh.fact_order")
    assert (fact.decision.action, fact.decision.reason) == (Action.HOLD, Reason.ROW_AT_FAULT)
    assert workshop.query("select typeof(amount) from dwh.fact_order limit 1") != [("VARCHAR",)]
    assert "varchar" not in {column.type for column in workshop.row_of().column_list if column.name == "amount"}


def test_list_that_the_team_wrote_is_compared_and_stays(workshop: Workshop) -> None:
    rows = control_rows()
    row = next(item for item in rows["transformations"] if item["target_table"] == "fact_order")
    listed = [{"name": column.name, "type": column.type} for column in workshop.row_of().column_list]
    row["column_list"] = listed
    workshop.apply(rows)
    workshop.write_select("fact_order", FACT.replace("o.amount", "o.amount, 1 as extra"))

    summary, _ = workshop.run("orders")

    fact = next(item for item in summary.outcomes if item.target == "dwh.fact_order")
    assert fact.decision.reason is Reason.ROW_AT_FAULT
    assert "which the column list does not hold" in fact.decision.message
    assert isinstance(workshop.row_of(), TransformationRow)
    assert [column.name for column in workshop.row_of().column_list] == [item["name"] for item in listed]
