"""Automations on a real server: an event starts what reads the table; a run that fell silent counts as crashed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from flows.context import Context
from flows.gate.facts import Action, Decision, Reason
from flows.prefect.deployments import diff as difference
from flows.prefect.deployments.automations import dependants
from flows.prefect.deployments.deploy import deploy
from flows.prefect.reporting.load_events import loaded_events
from flows.run.model import OutcomeStatus, RunPlan, RunRequest, TargetOutcome
from metadata_sync.control.apply import ChangeContext, switch
from metadata_sync.loads import RowCounts
from tests.support.live_server import Server
from tests.support.order_project import open_orders, write_project
from tests.support.receiver import receiving


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    context = open_orders(write_project(tmp_path_factory.mktemp("automations") / "orders"), "auto")
    yield context
    context.store.close()


def automations(server: Server, environment: str) -> dict[str, dict[str, Any]]:
    only = {"automations": {"tags": {"all_": ["sluice", f"environment:{environment}"]}}}
    return {item["name"]: item for item in server.ask("/automations/filter", only)}


def emit(server: Server, event: str, resource: str, related: list[tuple[str, str]], payload: dict[str, Any]) -> None:
    labels = [{"prefect.resource.id": key, "prefect.resource.role": role} for key, role in related]
    body = {
        "event": event,
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": resource},
        "related": labels,
        "payload": payload,
    }
    assert server.status("/events", [body]) == 204


def loaded(target: str) -> TargetOutcome:
    decision = Decision(target, "orders_daily", Action.RUN, Reason.NEW_ROWS, "new rows")
    return TargetOutcome(target, "orders_daily", decision, OutcomeStatus.LOADED, load_id="l1", rows=RowCounts(1))


def test_event_of_a_load_starts_the_pipeline_that_reads_the_table(orders: Context, server: Server) -> None:
    assert dependants(orders.store.read_rows()) == {"payments"}
    deploy(orders, server.api_url)
    deployment = server.deployment("payments@auto")

    rows = orders.store.read_rows()
    selected = tuple(row for row in rows.transformations if row.pipeline_id == "orders_daily")
    plan = RunPlan("r1", datetime.now(UTC), RunRequest(), rows, selected, ())
    events = loaded_events(
        plan,
        [loaded("dwh.fact_payment"), loaded("dwh.fact_order")],
        environment="auto",
        flow_run_id=uuid4(),
        when=datetime.now(UTC),
    )
    assert server.status("/events", [event.body() for event in events]) == 204

    made = {"tags": {"all_": ["pipeline:payments", "environment:auto"]}, "state": {"name": {"any_": ["Scheduled"]}}}
    by_event = {**made, "expected_start_time": {"before_": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}}

    def started() -> list[dict[str, Any]]:
        """Not the one of its schedule, which is within the hour from 5 to 6."""
        return [item for item in server.runs_of(deployment["id"], **by_event) if not item["auto_scheduled"]]

    server.until(lambda: bool(started()), 30)
    (run,) = started()
    assert run["parameters"] == {"pipelines": ["payments"], "requested_by": "load of dwh.fact_payment"}
    assert run["created_by"]["type"] == "AUTOMATION"


def test_run_without_a_sign_of_life_is_marked_as_crashed(
    orders: Context, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SILENT_SECONDS", "PENDING_SECONDS", "CANCELLING_SECONDS"):
        monkeypatch.setattr(f"flows.prefect.deployments.automations.{name}", 10)
    deploy(orders, server.api_url)
    deployment = server.deployment("orders_daily@auto")
    pending, cancelling, waiting = (server.start_run(deployment["id"]) for _ in range(3))
    server.set_state(pending, "PENDING")
    server.set_state(cancelling, "RUNNING")
    server.set_state(cancelling, "CANCELLING")
    silent, ended = (server.start_run(deployment["id"]) for _ in range(2))
    late = {state: server.start_run(deployment["id"]) for state in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")}
    tags = [("prefect.tag.sluice", "tag"), ("prefect.tag.environment:auto", "tag")]
    server.set_state(silent, "RUNNING")
    for state, run_id in late.items():
        server.set_state(run_id, state)
    messages = {run_id: server.ask(f"/flow_runs/{run_id}")["state"]["message"] for run_id in late.values()}
    for run_id in (*late.values(), silent, ended):  # the first ones arrive after the end of their runs
        emit(server, "prefect.flow-run.heartbeat", f"prefect.flow-run.{run_id}", tags, {})
    server.set_state(ended, "COMPLETED")

    server.until(lambda: server.ask(f"/flow_runs/{silent}")["state_type"] == "CRASHED", 60)
    assert "No heartbeat" in server.ask(f"/flow_runs/{silent}")["state"]["message"]
    assert server.ask(f"/flow_runs/{ended}")["state_type"] == "COMPLETED"
    found = {run_id: server.ask(f"/flow_runs/{run_id}") for run_id in late.values()}
    assert {run["state_type"]: run_id for run_id, run in found.items()} == late, "an ended run stays as it is"
    assert {run_id: run["state"]["message"] for run_id, run in found.items()} == messages
    server.until(lambda: server.ask(f"/flow_runs/{pending}")["state_type"] == "CRASHED", 60)
    server.until(lambda: server.ask(f"/flow_runs/{cancelling}")["state_type"] == "CANCELLED", 60)
    assert server.ask(f"/flow_runs/{waiting}")["state_type"] == "SCHEDULED"


def test_server_tells_what_no_run_can_where_the_channel_is_a_block(
    orders: Context, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.prefect.deployments.automations.LATE_SECONDS", 10)
    settings = orders.settings.model_copy(update={"alert_channel": "night-watch"})
    alerting = Context(orders.project, settings, "tester")
    without = deploy(alerting, server.api_url, is_dry=True)

    with receiving() as receiver:
        save_webhook_block("night-watch", receiver.url, server.api_url)
        plan = deploy(alerting, server.api_url)
        upkeep = server.start_run(server.deployment("monitor@auto")["id"])
        pipeline = server.start_run(server.deployment("orders_daily@auto")["id"])
        for run_id in (upkeep, pipeline):
            server.set_state(run_id, "CRASHED")
        tags = [("prefect.tag.sluice", "tag"), ("prefect.tag.environment:auto", "tag")]
        emit(server, "prefect.flow-run.Late", f"prefect.flow-run.{uuid4()}", tags, {})
        server.until(lambda: len(receiver.bodies) >= 2, 60)
    deploy(orders, server.api_url)
    alerting.store.close()

    assert "no Prefect block named 'night-watch'" in without.notes[0]
    assert plan.notes == ()
    name = server.ask(f"/flow_runs/{upkeep}")["name"]
    assert sorted(receiver.told()) == ["[auto] Runs are late: no worker starts them", f"[auto] {name} crashed"]
    assert "sluice auto: alert on late runs" not in automations(server, "auto")


def save_webhook_block(name: str, url: str, api_url: str) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.settings import PREFECT_API_URL, temporary_settings

    body = {"title": "{{subject}}", "body": "{{body}}", "event": "server"}
    with temporary_settings({PREFECT_API_URL: api_url}):
        CustomWebhookNotificationBlock(name=name, url=url, json_data=body).save(name, overwrite=True)


def test_automation_goes_with_the_row(orders: Context, server: Server) -> None:
    deploy(orders, server.api_url)
    change_context = ChangeContext(orders.project, orders.store, orders.columns, "tester")
    assert "sluice auto: upstream loads start payments" in automations(server, "auto")
    switch(change_context, "payments", "for a test", is_active=False)

    plan = deploy(orders, server.api_url)
    switch(change_context, "payments", None, is_active=True)

    assert [step.action for step in plan.automations] == [difference.DeployAction.REMOVE]
    assert "sluice auto: upstream loads start payments" not in automations(server, "auto")
    assert [step.action for step in deploy(orders, server.api_url).automations] == [difference.DeployAction.CREATE]
    assert deploy(orders, server.api_url).is_empty
