"""The end of a target: switched off, kept for a while, exported, dropped; and nothing is half done after a kill."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.context import Context
from flows.gate.facts import Action, Reason
from flows.ledger.verify import verify
from flows.lifecycle.rename import plan_rename, rename_steps
from flows.lifecycle.retire import RetireRequest, plan_retirement, retire_steps, undo_retirement
from metadata_sync.control.apply import ChangeContext, plan_files, switch
from metadata_sync.errors import ConfigurationError, HardRunError, SluiceError
from metadata_sync.rows.merge import Plan
from tests.support.engine_project import Workshop, control_rows, run_json, take_steps

CUSTOMER = "dwh.customer"
EIGHT_DAYS = timedelta(days=8)


def retire(workshop: Workshop, *, until: int | None = None, **request: Any) -> list[str]:
    """Retire the target, and stop after some steps, as a killed process does."""
    plan = plan_retirement(workshop.context, RetireRequest(CUSTOMER, **request))
    steps = retire_steps(workshop.context, plan)
    return take_steps(steps, until)


def days_later(workshop: Workshop) -> None:
    """Let the grace period pass."""
    context = workshop.context
    workshop._context = Context(context.project, context.settings, "tester", lambda: context.store.now() + EIGHT_DAYS)


def without_customer() -> dict[str, list[dict[str, Any]]]:
    rows = control_rows()
    rows["transformations"] = [row for row in rows["transformations"] if row["target_table"] != "customer"]
    return rows


def applied(workshop: Workshop) -> Plan:
    context = workshop.context
    return plan_files(ChangeContext(context.project, context.store, context.columns, "tester"))


def customer_tables(workshop: Workshop) -> set[str]:
    names = workshop.query("select table_name from information_schema.tables where table_name like '%customer%'")
    return {name for (name,) in names}


def decisions(workshop: Workshop) -> dict[str, Reason]:
    return {item.target: item.reason for item in workshop.plan().decisions}


def drop_customer_from_files(workshop: Workshop) -> None:
    """Take the row out of the file without applying it."""
    import yaml

    (workshop.root / "dbt_project" / "control" / "rows.yml").write_text(yaml.safe_dump(without_customer()))


def test_target_is_switched_off_kept_and_dropped_after_its_grace_period(workshop: Workshop) -> None:
    log = workshop.query("select load_id, rows_inserted, window_end from sluice.load_log where target = 'dwh.customer'")

    assert retire(workshop) == ["begin"]

    row = workshop.row_of(CUSTOMER)
    assert (row.is_active, row.deactivated_by) == (False, "operator")
    assert row.comments is not None
    assert "sluice retire dwh.customer --undo" in row.comments
    assert decisions(workshop)[CUSTOMER] is Reason.INACTIVE
    assert applied(workshop).is_empty
    plan = plan_retirement(workshop.context, RetireRequest(CUSTOMER))
    assert (plan.has_work, plan.drops, plan.row_count) == (False, False, 20)
    assert "Take the row out of dbt_project/control/rows.yml:32" in " ".join(plan.remarks)

    days_later(workshop)
    with pytest.raises(ConfigurationError, match=r"rows\.yml:32 declares dwh\.customer"):
        retire(workshop)
    drop_customer_from_files(workshop)
    assert retire(workshop) == ["warehouse", "rows", "models"]

    assert customer_tables(workshop) == set()
    assert (
        workshop.query("select load_id, rows_inserted, window_end from sluice.load_log where target = 'dwh.customer'")
        == log
    )
    assert set(decisions(workshop)) == {"dwh.fact_order", "dwh.dim_region", "mart.region_total"}
    assert workshop.plan().orphans == ()
    assert applied(workshop).is_empty
    (entry,) = workshop.context.store.lifecycle()
    assert entry.outcome == "20 rows were dropped by tester"
    with pytest.raises(ConfigurationError, match=r"no dwh\.customer any more: .*20 rows were dropped by tester"):
        plan_retirement(workshop.context, RetireRequest(CUSTOMER))


def test_a_later_target_of_the_name_begins_anew(workshop: Workshop) -> None:
    """By a new row, or by a renaming: the closed rows of the log count for neither."""
    drop_customer_from_files(workshop)
    retire(workshop, is_now=True)
    for _ in rename_steps(workshop.context, plan_rename(workshop.context, "dwh.fact_order", CUSTOMER)):
        pass
    assert verify(workshop.context, CUSTOMER).is_sound
    for _ in rename_steps(workshop.context, plan_rename(workshop.context, CUSTOMER, "dwh.fact_order")):
        pass

    workshop.apply(control_rows())
    assert decisions(workshop)[CUSTOMER] is Reason.FIRST_LOAD
    workshop.run()

    assert workshop.query("select count(*) from dwh.customer") == [(20,)]
    assert verify(workshop.context, CUSTOMER).is_sound


def test_retirement_is_taken_back_while_the_tables_stand(workshop: Workshop) -> None:
    before = workshop.row_of(CUSTOMER)
    with pytest.raises(ConfigurationError, match="is not being retired"):
        undo_retirement(workshop.context, CUSTOMER)
    retire(workshop)
    with pytest.raises(ConfigurationError, match="Not finished yet: the retirement of"):
        plan_rename(workshop.context, CUSTOMER, "dwh.client")

    undo_retirement(workshop.context, CUSTOMER)

    assert workshop.row_of(CUSTOMER) == before
    assert set(decisions(workshop).values()) == {Reason.NOTHING_NEW}

    change_context = ChangeContext(workshop.project, workshop.context.store, workshop.context.columns, "ann")
    switch(change_context, CUSTOMER, "not now", is_active=False)
    retire(workshop)
    undo_retirement(workshop.context, CUSTOMER)
    assert workshop.row_of(CUSTOMER).comments == "not now"


def test_tables_are_exported_first_and_whole(workshop: Workshop, tmp_path: Path) -> None:
    drop_customer_from_files(workshop)
    rows = workshop.query("select * from dwh.customer order by all")

    assert retire(workshop, is_now=True, export=str(tmp_path)) == ["export", "begin", "warehouse", "rows", "models"]

    folder = tmp_path / CUSTOMER
    assert sorted(path.name for path in folder.iterdir()) == [
        "customer.parquet",
        "dwh__customer__rejects.parquet",
        "dwh__customer__side.parquet",
    ]
    with duckdb.connect() as connection:
        assert connection.execute(f"from '{folder}/customer.parquet' order by all").fetchall() == rows
    assert list(tmp_path.iterdir()) == [folder]


def test_killed_between_two_steps_the_same_command_does_the_rest(workshop: Workshop, tmp_path: Path) -> None:
    drop_customer_from_files(workshop)
    assert retire(workshop, is_now=True, export=str(tmp_path), until=1) == ["export"]
    with pytest.raises(ConfigurationError, match="exists already"):
        retire(workshop, is_now=True, export=str(tmp_path))
    assert retire(workshop, is_now=True, until=1) == ["begin"]
    assert decisions(workshop)[CUSTOMER] is Reason.INACTIVE
    assert retire(workshop, is_now=True, until=1) == ["warehouse"]
    assert customer_tables(workshop) == set()
    assert decisions(workshop)[CUSTOMER] is Reason.INACTIVE
    with pytest.raises(ConfigurationError, match=r"The tables of dwh\.customer were dropped"):
        undo_retirement(workshop.context, CUSTOMER)
    assert retire(workshop, is_now=True, until=2) == ["warehouse", "rows"]
    assert CUSTOMER not in decisions(workshop)
    assert [entry.finished_at is None for entry in workshop.context.store.lifecycle()] == [False]


def test_table_whose_row_was_removed_is_retired_as_well(workshop: Workshop) -> None:
    workshop.apply(without_customer(), prune=True)
    assert [item.target for item in workshop.plan().orphans if item.action is Action.HOLD] == [CUSTOMER]
    assert retire(workshop, is_now=True) == ["begin", "warehouse", "rows", "models"]
    assert (customer_tables(workshop), workshop.plan().orphans) == (set(), ())


def test_warehouse_that_refuses_keeps_the_target_switched_off(workshop: Workshop) -> None:
    drop_customer_from_files(workshop)
    plan = plan_retirement(workshop.context, RetireRequest(CUSTOMER, is_now=True))
    steps = retire_steps(workshop.context, plan)
    assert next(steps) == "begin"
    workshop.execute("drop table sluice.dwh__customer__rejects")
    with pytest.raises(HardRunError, match=r"were not dropped; the target stays switched off: .*rejects"):
        next(steps)
    assert customer_tables(workshop) == {"customer", "dwh__customer__head", "dwh__customer__side"}
    assert not workshop.row_of(CUSTOMER).is_active
    assert retire(workshop, is_now=True) == ["warehouse", "rows", "models"]


def _drop_head(workshop: Workshop) -> None:
    workshop.execute("drop table sluice.dwh__customer__head")


def _switch_on(workshop: Workshop) -> None:
    retire(workshop)
    change_context = ChangeContext(workshop.project, workshop.context.store, workshop.context.columns, "ann")
    switch(change_context, CUSTOMER, None, is_active=True)


@pytest.mark.parametrize(
    ("request_", "spoil", "message"),
    [
        (RetireRequest("dwh.fact_order"), None, r"dwh\.fact_order is read by mart\.region_total"),
        (RetireRequest("dwh.custmer"), None, "no transformation 'dwh.custmer'"),
        (RetireRequest("customer"), None, r"'customer' is not schema\.table"),
        (RetireRequest(CUSTOMER, is_now=True), None, "the next `control apply` would make it again"),
        (RetireRequest(CUSTOMER, export="s3://bucket/x"), None, "is no place for an export of this warehouse"),
        (RetireRequest(CUSTOMER), _drop_head, "was not created by Sluice"),
        (RetireRequest(CUSTOMER), _switch_on, "was switched on again meanwhile"),
    ],
)
def test_refused_with_the_reason(
    workshop: Workshop, request_: RetireRequest, spoil: Callable[[Workshop], None] | None, message: str
) -> None:
    if spoil is not None:
        spoil(workshop)
    with pytest.raises(SluiceError, match=message):
        plan_retirement(workshop.context, request_)


def test_command_asks_for_confirmation_and_prints_one_document(workshop: Workshop) -> None:
    workshop.close()
    code, document = run_json(workshop, "retire", CUSTOMER)
    assert (code, document["is_done"], document["row_count"], document["drops"]) == (2, False, 20, False)
    code, document = run_json(workshop, "retire", CUSTOMER, "--yes", "--grace", "3")
    assert (code, document["is_done"]) == (0, True)
    code, document = run_json(workshop, "retire", CUSTOMER, "--undo")
    assert (code, document) == (0, {"json_format": "retire/1", "target": CUSTOMER, "is_taken_back": True})
