"""`sluice deploy` on a real server: what stands there afterwards, asked over plain HTTP."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prefect.flows import load_flow_from_entrypoint

from flows.context import Context
from flows.prefect.deployments.deploy import deploy
from flows.prefect.deployments.diff import DeployAction, DeployStep
from flows.prefect.deployments.forms import form_deployments
from flows.prefect.deployments.pipelines import pipeline_deployments
from flows.prefect.deployments.reads import PrefectReads
from flows.prefect.deployments.upkeep import upkeep_deployments
from metadata_sync.errors import ConfigurationError, MetadataError, RunError
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRows, PipelineRow, SourceRow, TransformationRow
from tests.support.live_server import Server

COUNT = 12
SOURCE = SourceRow.model_validate({"schema": "lake", "table": "orders", "kind": "warehouse"})
TARGET = TransformationRow.model_validate(
    {
        "target_schema": "dwh",
        "target_table": "fact_order",
        "pipeline_id": "p001",
        "sql_path": "transformations/x.sql",
        "load_type": "append",
    }
)


@pytest.fixture
def team(context: Context, request: pytest.FixtureRequest) -> Iterator[Context]:
    """A project with an environment and a work pool of its own: the server is shared."""
    name = request.node.name.split("[")[0][-40:].strip("_")
    settings = context.settings.model_copy(update={"environment": f"e{name}", "work_pool": f"pool-{name}"})
    team = replace(context, settings=settings)
    yield team
    team.store.close()


def pipeline(number: int, **columns: Any) -> PipelineRow:
    values = {"pipeline_name": f"Pipeline {number}", "template": "presentation", "schedule": "0 6 * * *"} | columns
    return PipelineRow.model_validate({"pipeline_id": f"p{number:03}", "timezone": "Asia/Jakarta", **values})


def change(context: Context, before: PipelineRow | None, after: PipelineRow | None) -> None:
    context.store.write([RowChange(before, after)], "tester", "set", None)


def held(server: Server, context: Context) -> dict[str, dict[str, Any]]:
    only = {"deployments": {"tags": {"all_": [f"environment:{context.settings.environment}"]}}, "limit": 200}
    return {item["name"].partition("@")[0]: item for item in server.ask("/deployments/filter", only)}


def counts(context: Context, server: Server, *, is_dry: bool = False) -> tuple[int, ...]:
    """Return how many pipelines' deployments were created, updated, removed and left; forms follow the rows, too."""
    plan = deploy(context, server.api_url, is_dry=is_dry)
    steps = {step.name.partition("@")[0]: step.action for step in plan.steps}
    names = held(server, context).keys()
    assert is_dry or plan.unchanged == len(names - steps.keys())
    of_pipelines = [action for name, action in steps.items() if _is_pipeline(name)]
    left = [name for name in names - steps.keys() if _is_pipeline(name)]
    return (*(of_pipelines.count(action) for action in DeployAction), len(left))


def _is_pipeline(name: str) -> bool:
    return re.fullmatch(r"p\d{3}", name) is not None


def test_deployments_follow_the_rows_through_their_lives(team: Context, server: Server) -> None:
    for number in range(COUNT):
        change(team, None, pipeline(number))

    assert counts(team, server, is_dry=True) == (COUNT, 0, 0, 0)
    assert held(server, team) == {}
    assert counts(team, server) == (COUNT, 0, 0, 0)
    assert counts(team, server) == (0, 0, 0, COUNT)
    first = held(server, team)

    change(team, pipeline(1), pipeline(1, schedule="30 7 * * *"))
    change(team, pipeline(2), pipeline(2, is_active=False))
    change(team, pipeline(3), None)
    assert counts(team, server) == (0, 2, 1, COUNT - 3)

    second = held(server, team)
    assert "p003" not in second
    assert {name: item["id"] for name, item in second.items()} == {
        name: item["id"] for name, item in first.items() if name != "p003"
    }
    assert [item["schedule"]["cron"] for item in second["p001"]["schedules"]] == ["30 7 * * *"]
    assert [name for name, item in second.items() if item["paused"]] == ["p002"]
    change(team, pipeline(2, is_active=False), pipeline(2))
    assert counts(team, server) == (0, 1, 0, COUNT - 2)
    assert not held(server, team)["p002"]["paused"]


def test_deploy_of_unchanged_rows_reads_no_deployment_and_still_sees_what_people_did(
    team: Context, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(team, None, pipeline(1))
    change(team, None, pipeline(2, is_active=False))
    deploy(team, server.api_url)

    with monkeypatch.context() as patch:
        patch.setattr(PrefectReads, "existing", None)
        patch.setattr("flows.prefect.deployments.client.open_deployments", None)
        assert deploy(team, server.api_url).is_empty
    server.status(f"/deployments/{held(server, team)['p002']['id']}/resume_deployment", {})
    assert counts(team, server) == (0, 1, 0, 1)
    assert held(server, team)["p002"]["paused"]
    server.delete(f"/deployments/{held(server, team)['p001']['id']}")
    assert counts(team, server) == (1, 0, 0, 1)


def test_deploy_that_ended_early_is_followed_by_one_that_looks_at_everything(team: Context, server: Server) -> None:
    for number in (1, 2):
        change(team, None, pipeline(number))
    deploy(team, server.api_url)

    def die(number: int, _total: int, _step: DeployStep) -> None:
        if number == 2:
            raise KeyboardInterrupt

    for number in (1, 2):
        change(team, pipeline(number), pipeline(number, owner="ann"))
    with pytest.raises(KeyboardInterrupt):
        deploy(team, server.api_url, on_step=die)
    for number in (1, 2):
        change(team, pipeline(number, owner="ann"), pipeline(number))

    assert counts(team, server) == (0, 1, 0, 1)  # the rows are those that were deployed before


def test_deploys_that_meet_are_followed_by_one_that_looks_at_everything(team: Context, server: Server) -> None:
    for number in (1, 2):
        change(team, None, pipeline(number))
    deploy(team, server.api_url)
    has_read, may_write = threading.Event(), threading.Event()

    def linger(_number: int, _total: int, _step: DeployStep) -> None:
        has_read.set()
        may_write.wait(60)

    def let_it_write(number: int, _total: int, _step: DeployStep) -> None:
        if number == 2:
            may_write.set()
            slow.join()

    change(team, pipeline(1), pipeline(1, owner="ann"))
    slow = threading.Thread(target=deploy, args=(team, server.api_url), kwargs={"on_step": linger})
    slow.start()
    assert has_read.wait(60)
    change(team, pipeline(1, owner="ann"), pipeline(1, owner="bob"))
    change(team, pipeline(2), pipeline(2, owner="bob"))
    deploy(team, server.api_url, on_step=let_it_write)

    assert "owner:ann" in held(server, team)["p001"]["tags"]  # the slower of the two had older rows
    assert counts(team, server) == (0, 1, 0, 1)
    assert "owner:bob" in held(server, team)["p001"]["tags"]


def test_deployment_says_what_its_row_says(team: Context, server: Server) -> None:
    change(team, None, pipeline(1, job_group="night", owner="data|ops", sla_minutes=30))

    deploy(team, server.api_url)

    found = held(server, team)["p001"]
    (schedule,) = found["schedules"]
    assert schedule["schedule"] == {"cron": "0 6 * * *", "timezone": "Asia/Jakarta", "day_or": True}
    assert schedule["slug"] == "row"
    assert {"sluice", "pipeline:p001", "job_group:night", "owner:data|ops"} <= set(found["tags"])
    assert found["parameters"] == {"pipelines": ["p001"]}
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert found["work_pool_name"] == team.settings.work_pool
    assert "SLA: 30 minutes" in found["description"]
    assert "data\\|ops" in found["description"]


def test_every_deployment_starts_a_flow_that_takes_what_its_form_asks() -> None:
    rows = ControlRows(sources=(SOURCE,), pipelines=(pipeline(1),), transformations=(TARGET,))
    made = [
        *pipeline_deployments(rows, "dev"),
        *upkeep_deployments(rows, "dev"),
        *form_deployments(rows, "dev", ["transformations/x.sql"]),
    ]

    assert {item.name for item in made} == {
        f"{name}@dev" for name in ("p001", "monitor", "heal", "run now", "backfill", "switch", "edit", "onboard")
    }
    for item in made:
        flow = load_flow_from_entrypoint(item.entrypoint)
        asked = {*item.schema["properties"], *item.parameters, *item.schedule_parameters}
        assert flow.name == item.flow_name
        assert asked <= set(flow.parameters.properties), item.name


def test_server_refuses_to_run_another_pipeline_under_this_ones_name(team: Context, server: Server) -> None:
    change(team, None, pipeline(1))
    deploy(team, server.api_url)
    found = held(server, team)["p001"]

    assert server.status(f"/deployments/{found['id']}/create_flow_run", {"parameters": {"pipelines": ["p002"]}}) == 409
    assert server.status(f"/deployments/{found['id']}/create_flow_run", {"parameters": {"force": "maybe"}}) == 409


def test_pause_by_hand_is_kept_and_told(team: Context, server: Server) -> None:
    change(team, None, pipeline(1))
    deploy(team, server.api_url)
    server.status(f"/deployments/{held(server, team)['p001']['id']}/pause_deployment", {})

    plan = deploy(team, server.api_url)
    change(team, pipeline(1), pipeline(1, schedule="1 1 * * *"))
    deploy(team, server.api_url)

    assert plan.paused_by_hand == (f"p001@{team.settings.environment}",)
    assert held(server, team)["p001"]["paused"]
    assert held(server, team)["p001"]["schedules"][0]["schedule"]["cron"] == "1 1 * * *"


def test_deployment_that_sluice_did_not_make_is_left_alone(team: Context, server: Server) -> None:
    change(team, None, pipeline(1))
    change(team, None, pipeline(2))
    flow = server.ask("/flows/", {"name": "run"})
    name = f"p001@{team.settings.environment}"
    foreign = server.ask("/deployments/", {"name": name, "flow_id": flow["id"]})

    with pytest.raises(ConfigurationError, match="which Sluice did not create"):
        deploy(team, server.api_url)

    assert held(server, team) == {}
    assert server.ask(f"/deployments/{foreign['id']}")["version"] is None


def test_schedule_that_prefect_does_not_take_changes_nothing(team: Context, server: Server) -> None:
    change(team, None, pipeline(1))
    change(team, None, pipeline(2, schedule="H * * * *"))

    with pytest.raises(MetadataError) as caught:
        deploy(team, server.api_url)

    assert [(fault.key, fault.column) for fault in caught.value.faults] == [("p002", "schedule")]
    assert held(server, team) == {}


def test_silent_server_is_named(team: Context) -> None:
    change(team, None, pipeline(1))

    with pytest.raises(RunError, match="does not answer"):
        deploy(team, "http://127.0.0.1:1/api")
