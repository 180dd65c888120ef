"""Forms: what they do to the rows equals what the command line does, with the same rules and the same history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import Flow, State
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from pydantic import ValidationError

from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.prefect.deployments.forms import form_deployments
from flows.prefect.forms.changes import edit_pipeline, onboard, switch_row
from flows.prefect.forms.models import (
    CLEARABLE,
    EDITABLE,
    BackfillForm,
    DecideForm,
    EditForm,
    Form,
    OnboardForm,
    SwitchForm,
)
from flows.run.model import RunRequest
from metadata_sync.control.apply import Assignment, ChangeContext, set_values, switch
from metadata_sync.errors import MetadataError, StoreError
from metadata_sync.rows.merge import RowId
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.vocabulary import Engine
from tests.support.live_server import Server
from tests.support.order_project import open_orders, write_project

ONBOARDED = {
    "requested_by": "ann",
    "pipeline": "payments",
    "sql_path": "transformations/big_order.sql",
    "target_schema": "mart",
    "target_table": "big_order",
    "load_type": "append",
    "increment": "full",
    "driving": ["dwh.fact_order"],
    "business_key": ["order_id"],
    "reason": "asked for by sales",
}


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    root = write_project(tmp_path_factory.mktemp("forms") / "orders")
    select = "select o.order_id, o.amount, o.landed_at from dwh.fact_order as o\n"
    (root / "dbt_project" / "transformations" / "big_order.sql").write_text(select)
    context = open_orders(root)
    yield context
    context.store.close()


def change_context(context: Context) -> ChangeContext:
    return ChangeContext(context.project, context.store, context.columns, context.who)


def said(context: Context, key: str) -> list[tuple[str, str, str | None, Any, Any]]:
    newest = context.store.history(key, 50)
    change = [entry for entry in newest if entry.change_id == newest[0].change_id]
    return [(entry.who, entry.column, entry.reason, entry.old, entry.new) for entry in change]


def test_switch_leaves_the_history_that_the_command_leaves(orders: Context) -> None:
    form = SwitchForm(requested_by="ann", row="dwh.dim_return", switch="deactivate", reason="wrong data")

    switch_row(change_context(orders), form)
    by_form = said(orders, "dwh.dim_return")
    switch_row(change_context(orders), form.model_copy(update={"switch": "activate"}))
    switch(change_context(orders), "dwh.dim_return", "wrong data", is_active=False)
    by_command = said(orders, "dwh.dim_return")
    switch(change_context(orders), "dwh.dim_return", None, is_active=True)

    assert [entry[1:] for entry in by_form] == [entry[1:] for entry in by_command]
    assert {entry[0] for entry in by_form} == {"ann"}
    assert ("ann", "is_active", "wrong data", True, False) in by_form


def test_edit_changes_only_what_was_said(orders: Context) -> None:
    before = orders.store.read_rows().pipeline("payments")
    form = EditForm(
        requested_by="ann", pipeline="payments", sla_minutes=45, alert_channel="123", owner="data", reason="busy"
    )

    edit_pipeline(change_context(orders), form)
    edit_pipeline(
        change_context(orders), EditForm(requested_by="ann", pipeline="payments", clear=("owner",), reason="left")
    )

    after = orders.store.read_rows().pipeline("payments")
    assert before is not None
    assert after == before.model_copy(update={"sla_minutes": 45, "alert_channel": "123"})


@pytest.mark.parametrize(
    "values",
    [{"schedule": "61 * * * *"}, {"timezone": "Mars/Olympus"}, {"emr_core_min": 9, "emr_core_max": 2}],
    ids=["cron", "zone", "cluster"],
)
def test_edit_is_refused_by_the_rules_of_the_command(orders: Context, values: dict[str, Any]) -> None:
    before = orders.store.read_rows()
    form = EditForm(requested_by="ann", pipeline="payments", reason="x", **values)
    texts = [Assignment(column, str(value)) for column, value in values.items()]

    with pytest.raises(MetadataError) as by_form:
        edit_pipeline(change_context(orders), form)
    with pytest.raises(MetadataError) as by_command:
        set_values(change_context(orders), RowId("pipeline_control", "payments"), texts, "x")

    assert by_form.value.faults == by_command.value.faults
    assert orders.store.read_rows() == before


def test_onboarding_adds_a_row_that_syncs_and_refuses_it_twice(orders: Context) -> None:
    onboard(change_context(orders), OnboardForm.model_validate(ONBOARDED))

    (row,) = [row for row in orders.store.read_rows().transformations if row.key == "mart.big_order"]
    assert row.business_key == ("order_id",)
    assert [(item.table, item.driving) for item in row.dependencies] == [("dwh.fact_order", True)]
    assert {entry[0] for entry in said(orders, "mart.big_order")} == {"ann"}
    with pytest.raises(MetadataError, match="1 fault"):
        onboard(change_context(orders), OnboardForm.model_validate(ONBOARDED))


def test_onboarding_tells_every_fault_and_changes_nothing(orders: Context) -> None:
    before = orders.store.read_rows()
    values = {"target_table": "Worse", "business_key": ["no_such"], "driving": ["lake.returns"], "scd_columns": ["a"]}

    with pytest.raises(MetadataError) as caught:
        onboard(change_context(orders), OnboardForm.model_validate(ONBOARDED | values))

    assert len(caught.value.faults) > 1
    assert orders.store.read_rows() == before


def test_form_offers_what_the_rows_hold(orders: Context) -> None:
    rows = orders.store.read_rows()
    forms = {item.name: item.schema for item in form_deployments(rows, "dev", ["transformations/x.sql"])}

    switch_fields = forms["switch@dev"]["definitions"]["SwitchForm"]["properties"]
    assert {"orders_daily", "payments", "dwh.fact_order"} <= set(switch_fields["row"]["enum"])
    onboarding = forms["onboard@dev"]["definitions"]["OnboardForm"]["properties"]
    assert onboarding["sql_path"]["enum"] == ["transformations/x.sql"]
    assert "lake.orders" in onboarding["driving"]["items"]["enum"]
    now = forms["run now@dev"]["properties"]
    assert now["pipelines"]["items"]["enum"] == ["orders_daily", "payments"]
    assert now["engine"]["anyOf"][0]["enum"] == ["auto", "warehouse", "spark"]
    backfilling = forms["backfill@dev"]["definitions"]
    assert backfilling["Engine"]["enum"] == ["auto", "warehouse", "spark"]
    assert {"engine", "cluster"} <= set(backfilling["BackfillForm"]["properties"])
    assert list(form_deployments(ControlRows(), "dev", [])) == []


def test_edit_form_shows_what_the_rows_hold_and_follows_them(orders: Context) -> None:
    """Below each field for some pipelines, and for all of them on the form's page."""

    def shown(rows: ControlRows) -> tuple[dict[str, Any], str, str]:
        (form,) = [item for item in form_deployments(rows, "dev", []) if item.name == "edit@dev"]
        return form.schema["definitions"]["EditForm"]["properties"], form.description, form.content_hash

    rows = orders.store.read_rows()
    fields, page, before = shown(rows)
    assert "payments 0 6 * * *" in fields["schedule"]["description"]
    assert "orders_daily –" in fields["sla_minutes"]["description"]
    assert fields["clear"]["items"]["enum"] == list(CLEARABLE)
    assert {name for name, field in fields.items() if "Now: " in field.get("description", "")} == set(EDITABLE)
    assert "| payments | 0 6 * * * | " in page

    payments = rows.pipeline("payments")
    assert payments is not None
    later = payments.model_copy(update={"schedule": "7 7 * * *", "owner": "a | b"})
    many = [later.model_copy(update={"pipeline_id": f"p{number:02}"}) for number in range(20)]
    fields, page, after = shown(rows.model_copy(update={"pipelines": (later, *many)}))
    assert "8 more on the form's page" not in fields["schedule"]["description"]
    assert "9 more on the form's page" in fields["schedule"]["description"]
    assert page.count("| 7 7 * * * |") == 21
    assert "a \\| b" in page
    assert before != after, "the reconciler writes it again"


def test_form_needs_a_name_and_a_reason() -> None:
    with pytest.raises(ValidationError) as caught:
        SwitchForm.model_validate({"requested_by": " ", "row": "payments", "switch": "activate", "reason": ""})

    assert {error["loc"][0] for error in caught.value.errors()} == {"requested_by", "reason"}


def test_flow_of_a_form_tells_its_faults_and_deploys_what_it_changed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    context = open_orders(write_project(tmp_path / "orders"), "forms")
    monkeypatch.setenv("SLUICE_PROJECT_ROOT", str(context.project.root))
    monkeypatch.setenv("SLUICE_ENVIRONMENT", "forms")
    monkeypatch.setenv("SLUICE_DBT_TARGET", "dev")
    monkeypatch.setenv("SLUICE_WORK_POOL", "forms")
    from flows.prefect.form_flows import edit

    form = EditForm(requested_by="ann", pipeline="payments", schedule="7 7 * * *", reason="later, password=hunter2")
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        good = edit(form, return_state=True)
        again = edit(form, return_state=True)
        bad = edit(form.model_copy(update={"schedule": "nonsense", "timezone": "Mars/Olympus"}), return_state=True)

    assert good.message == "pipeline_control[payments]: schedule 0 6 * * * → 7 7 * * *"
    assert again.message == "pipeline_control[payments] already holds these values."
    assert server.deployment("payments@forms")["schedules"][0]["schedule"]["cron"] == "7 7 * * *"
    no_choice = {"requested_by": "ann", "row": "no_such_row", "switch": "deactivate", "reason": "x"}
    form_id = server.deployment("switch@forms")["id"]
    asked = server.status(f"/deployments/{form_id}/create_flow_run", {"parameters": {"form": no_choice}})
    assert asked == 409, "the server refuses a choice that is none"
    assert bad.is_failed()
    assert "2 faults found; nothing was changed" in str(bad.message)
    only = {"artifacts": {"flow_run_id": {"any_": [str(bad.state_details.flow_run_id)]}}}
    (page,) = server.ask("/artifacts/filter", only)
    assert "| payments | schedule |" in page["data"]
    assert "| payments | timezone |" in page["data"]
    assert {entry.reason for entry in context.store.history("payments")} - {None} == {"later, password=***"}
    context.store.close()


def test_form_in_a_protected_environment_proposes_as_the_worker(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name in the form is kept as a claim; whoever runs the worker has proposed, and cannot approve."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    context = open_orders(write_project(tmp_path / "orders"), "guarded")
    monkeypatch.setenv("SLUICE_PROJECT_ROOT", str(context.project.root))
    monkeypatch.setenv("SLUICE_ENVIRONMENT", "guarded")
    monkeypatch.setenv("SLUICE_DBT_TARGET", "dev")
    from flows.prefect.form_flows import edit

    approvals = context.store.approvals
    approvals.protect("it is production")
    form = EditForm(requested_by="ann", pipeline="payments", schedule="7 7 * * *", reason="later, password=hunter2")
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        done = edit(form, return_state=True)

    assert done.is_completed()
    assert "waits as proposal 1" in str(done.message)
    found = approvals.find(1)
    assert (found.proposer, found.on_behalf_of, found.via) == (approvals.caller(), "ann", "form")
    assert found.reason == "later, password=***"
    (page,) = server.ask("/artifacts/filter", {"artifacts": {"key": {"any_": ["proposal-guarded-1"]}}})
    assert "said to be for ann" in page["data"]
    assert "| schedule | 0 6 \\* \\* \\* | 7 7 \\* \\* \\* |" in page["data"]
    with pytest.raises(StoreError, match="same identity"):
        approvals.approve(1, found.digest)
    context.store.close()


def _started_by(server: Server, flow: Flow[..., Any], form: Form, creator: dict[str, str] | None) -> State[Any]:
    """Run a form as Prefect Cloud would record it: its open server records no creator, so the test writes one."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(flow, parameters={"form": form.model_dump()})
        if creator is not None:
            with closing(sqlite3.connect(server.local.folder / "prefect.db", timeout=30)) as database, database:
                found = database.execute(
                    "update flow_run set created_by = ? where id = ?", (json.dumps(creator), str(run.id))
                )
                assert found.rowcount == 1
        state: State[Any] = run_flow(flow, client.read_flow_run(run.id), {"form": form}, return_type="state")
        return state


def test_proposal_is_decided_by_form_where_the_server_knows_its_users(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never by a typed name: an open server, an automation and the proposer itself are refused."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    context = open_orders(write_project(tmp_path / "orders"), "decided")
    for name, value in (("PROJECT_ROOT", str(context.project.root)), ("ENVIRONMENT", "decided"), ("DBT_TARGET", "dev")):
        monkeypatch.setenv(f"SLUICE_{name}", value)
    from flows.prefect.form_flows import decide, edit

    approvals = context.store.approvals
    approvals.protect("it is production")
    ada, bob = ({"type": "USER", "id": str(uuid4()), "display_value": "ada"} for _ in range(2))  # of one name
    asked = EditForm(requested_by="bob", pipeline="payments", schedule="7 7 * * *", reason="later")
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        proposed = _started_by(server, edit, asked, ada)
        found = approvals.find(1)
        form = DecideForm(proposal=1, digest=found.digest[:12], decision="approve")
        other = form.model_copy(update={"digest": "0" * 12})
        without = form.model_copy(update={"decision": "reject"})
        refused = [
            _started_by(server, decide, form, None),
            _started_by(server, decide, form, {**bob, "type": "AUTOMATION"}),
            _started_by(server, decide, form, ada),
            _started_by(server, decide, other, bob),
            _started_by(server, decide, without, bob),
        ]
        assert approvals.find(1) == found
        done = _started_by(server, decide, form, bob)

    assert "waits as proposal 1" in str(proposed.message)
    assert found.proposer.name == f"prefect:{ada['id']}"
    reasons = ("does not say who", "does not say who", "same identity", "another digest", "needs a reason")
    assert all(state.is_failed() for state in refused)
    assert [reason for reason, state in zip(reasons, refused, strict=True) if reason not in str(state.message)] == []
    assert str(done.message).startswith(f"Proposal 1 is approved by prefect:{bob['id']}, change ")
    (row,) = (row for row in context.store.read_rows().pipelines if row.key == "payments")
    assert row.schedule == "7 7 * * *"
    pages = server.ask("/artifacts/filter", {"artifacts": {"key": {"any_": ["proposal-decided-1"]}}})
    assert len(pages) == 2, "one while it waits, one once it is decided"
    assert any("### What it does" in page["data"] for page in pages)
    context.store.close()


def test_decide_form_is_there_in_a_protected_environment(orders: Context) -> None:
    rows = orders.store.read_rows()
    names = {item.name for item in form_deployments(rows, "dev", [], is_protected=True)}
    assert names - {item.name for item in form_deployments(rows, "dev", [])} == {"decide@dev"}


def test_backfill_form_loads_and_records_what_the_command_would(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    context = open_orders(write_project(tmp_path / "orders", amount="12"))
    execute(context, prepare(context, RunRequest(("orders_daily",))))
    monkeypatch.setenv("SLUICE_PROJECT_ROOT", str(context.project.root))
    from flows.prefect.backfill_flow import backfill

    form = BackfillForm(
        requested_by="ann", subject="dwh.fact_order", start="2013-01-01", end="2013-01-02", engine=Engine.WAREHOUSE
    )
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        good = backfill(form, return_state=True)
        bad = backfill(form.model_copy(update={"start": "soon"}), return_state=True)
        no_cluster = backfill(form.model_copy(update={"cluster": "eight"}), return_state=True)
        nothing = backfill(form.model_copy(update={"subject": "dwh.dim_return"}), return_state=True)

    assert good.is_completed()
    assert good.message == "dwh.fact_order: 1 of 1 chunks"
    assert [log.message for log in (bad, nothing) if not str(log.message).startswith(("Nothing", "No target"))] == []
    assert bad.is_failed()
    assert no_cluster.is_failed()
    assert str(no_cluster.message).startswith("cluster 'eight' is not TYPE:N.")
    assert nothing.is_failed()
    with closing(sqlite3.connect(context.project.state_dir / "control.db")) as control:
        assert control.execute("select requested_by, engine from backfill_log").fetchall() == [("ann", "warehouse")]
    (page,) = server.ask("/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["backfill-dwh-fact-order"]}}})
    assert "asked by ann" in page["data"]
    assert "| dwh.fact\\_order | 1/1 |" in page["data"]
    run_id = str(good.state_details.flow_run_id)
    server.until(lambda: any("dwh.fact_order 1/1" in line["message"] for line in server.logs(flow_run_id=run_id)), 20)
    context.store.close()
