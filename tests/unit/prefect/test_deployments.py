"""What `sluice deploy` would change: pure, on rows and on what Prefect holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.prefect.deployments.diff import DeployAction, Existing, compare
from flows.prefect.deployments.pipelines import Deployment, pipeline_deployments
from flows.prefect.deployments.upkeep import upkeep_deployments
from flows.prefect.run_guards import next_due, why_not_to_run
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.model import ControlRows, PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import LoadType, Template


def pipeline(pipeline_id: str = "flights", **columns: object) -> PipelineRow:
    values = {"pipeline_name": "Flights", "template": Template.PRESENTATION, "schedule": "5 * * * *"} | columns
    return PipelineRow(pipeline_id=pipeline_id, **values)


def desired(*rows: PipelineRow) -> list[Deployment]:
    return list(pipeline_deployments(ControlRows(pipelines=rows), "dev"))


def held(wanted: Deployment, **changes: object) -> Existing:
    found = Existing(
        id=uuid4(),
        flow_name=wanted.flow_name,
        name=wanted.name,
        content_hash=wanted.content_hash,
        tags=frozenset(wanted.tags),
        is_paused=wanted.is_paused,
        work_pool="sluice",
    )
    return replace(found, **changes)


def steps(
    wanted: list[Deployment], existing: list[Existing], environment: str = "dev"
) -> list[tuple[DeployAction, str]]:
    plan = compare(wanted, existing, environment=environment, work_pool="sluice")
    return [(step.action, step.name) for step in plan.steps]


@pytest.mark.parametrize(
    "change",
    [
        {"schedule": "6 * * * *"},
        {"schedule": None},
        {"timezone": "Asia/Jakarta"},
        {"pipeline_name": "Other"},
        {"job_group": "night"},
        {"owner": "ann"},
        {"sla_minutes": 5},
        {"alert_channel": "ops"},
        {"is_active": False},
    ],
)
def test_deployment_is_updated_when_its_row_changed(change: dict[str, object]) -> None:
    (before,) = desired(pipeline())
    after = desired(pipeline(**change))

    assert steps(after, [held(before)]) == [(DeployAction.UPDATE, "flights@dev")]


def test_unchanged_new_and_orphaned_are_told_apart() -> None:
    kept, new = desired(pipeline("kept"), pipeline("new"))
    (gone,) = desired(pipeline("gone"))

    assert steps([kept, new], [held(kept), held(gone)]) == [
        (DeployAction.CREATE, "new@dev"),
        (DeployAction.REMOVE, "gone@dev"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"tags": frozenset({"environment:dev"})},
        {"tags": frozenset({"sluice", "environment:prod"})},
        {"work_pool": "another-team"},
        {"work_pool": None},
    ],
    ids=["no tag", "other environment", "other pool", "no pool"],
)
def test_deployment_without_a_row_stays_when_it_is_not_ours(change: dict[str, object]) -> None:
    (gone,) = desired(pipeline("gone"))

    assert steps([], [held(gone, **change)]) == []


def test_foreign_deployment_of_a_wanted_name_is_not_overwritten() -> None:
    (wanted,) = desired(pipeline())

    with pytest.raises(ConfigurationError, match="run/flights@dev, which Sluice did not create"):
        steps([wanted], [held(wanted, tags=frozenset())])


def test_pause_by_hand_stays_also_when_the_row_changes() -> None:
    (before,) = desired(pipeline())
    paused = held(before, is_paused=True)

    unchanged = compare([before], [paused], environment="dev", work_pool="sluice")
    changed = compare(desired(pipeline(schedule="1 1 * * *")), [paused], environment="dev", work_pool="sluice")

    assert (unchanged.steps, unchanged.paused_by_hand) == ((), ("flights@dev",))
    assert [step.stays_paused for step in changed.steps] == [True]


def test_pause_by_the_row_ends_with_the_row_and_cannot_be_lifted_by_hand() -> None:
    (inactive,) = desired(pipeline(is_active=False))
    (active,) = desired(pipeline())

    activated = compare([active], [held(inactive)], environment="dev", work_pool="sluice")
    resumed_by_hand = compare([inactive], [held(inactive, is_paused=False)], environment="dev", work_pool="sluice")

    assert [(step.action, step.stays_paused) for step in activated.steps] == [(DeployAction.UPDATE, False)]
    assert [step.action for step in resumed_by_hand.steps] == [DeployAction.UPDATE]


def test_upkeep_runs_by_the_clock_once_there_is_something_to_look_after() -> None:
    target = TransformationRow(
        target_schema="dwh",
        target_table="dim_plane",
        pipeline_id="flights",
        sql_path="transformations/dim_plane.sql",
        load_type=LoadType.APPEND,
    )
    rows = ControlRows(pipelines=(pipeline(),), transformations=(target,))

    upkeep = {item.name: item for item in upkeep_deployments(rows, "dev")}

    assert {name: str(item.schedule) for name, item in upkeep.items()} == {
        "monitor@dev": "*/5 * * * * UTC",
        "heal@dev": "3-59/10 * * * * UTC",
    }
    # No limit in Prefect: one that is lost with a killed server would silence the watchers.
    found = {(item.is_exclusive, item.environment, item.work_queue) for item in upkeep.values()}
    assert found == {(False, "dev", "upkeep")}
    assert upkeep["heal@dev"].schema["properties"]["targets"]["items"]["enum"] == ["dwh.dim_plane"]
    assert list(upkeep_deployments(ControlRows(pipelines=(pipeline(),)), "dev")) == []


_IDS = st.sets(st.sampled_from("abcdef"), max_size=6)


@given(rows=_IDS, there=_IDS, inactive=_IDS)
def test_plan_of_its_own_result_is_empty(rows: set[str], there: set[str], inactive: set[str]) -> None:
    wanted = desired(*(pipeline(name, is_active=name not in inactive) for name in sorted(rows)))
    before = [held(item) for item in desired(*(pipeline(name, schedule="1 1 1 1 1") for name in sorted(there)))]
    plan = compare(wanted, before, environment="dev", work_pool="sluice")

    after = {item.name: item for item in before}
    for step in plan.steps:
        if step.desired is None:
            del after[step.name]
        else:
            after[step.name] = held(step.desired)

    assert compare(wanted, after.values(), environment="dev", work_pool="sluice").steps == ()


def test_next_run_is_due_when_the_first_schedule_of_the_targets_pipelines_is() -> None:
    rows = ControlRows(
        pipelines=(
            pipeline("a"),
            pipeline("b", schedule="0 5 * * *", timezone="Asia/Jakarta"),
            pipeline("c", schedule=None),
        )
    )
    targets = {
        name: TransformationRow(
            target_schema="dwh", target_table=name, pipeline_id=name, sql_path="t.sql", load_type=LoadType.APPEND
        )
        for name in "abc"
    }
    now = datetime(2024, 1, 1, 21, 30, tzinfo=UTC)
    assert next_due(rows, targets.values(), now) == datetime(2024, 1, 1, 22, 0, tzinfo=UTC)
    assert next_due(rows, [targets["a"]], now) == datetime(2024, 1, 1, 22, 5, tzinfo=UTC)
    assert next_due(rows, [targets["c"]], now) is None


@pytest.mark.parametrize(
    ("row", "scheduled_by", "expected"),
    [
        (pipeline(), "5 * * * * UTC", None),
        (pipeline(schedule="6 * * * *"), "5 * * * * UTC", "the row's schedule is now 6 * * * * UTC"),
        (pipeline(timezone="Asia/Jakarta"), "5 * * * * UTC", "the row's schedule is now 5 * * * * Asia/Jakarta"),
        (pipeline(schedule=None), "5 * * * * UTC", "the row's schedule is now no schedule"),
        (pipeline(is_active=False), "5 * * * * UTC", "flights is switched off"),
        (pipeline("other"), "5 * * * * UTC", "flights is no longer in pipeline_control"),
    ],
)
def test_scheduled_run_needs_its_row(row: PipelineRow, scheduled_by: str, expected: str | None) -> None:
    reason = why_not_to_run(ControlRows(pipelines=(row,)), ["flights"], scheduled_by)

    assert reason is None if expected is None else expected in str(reason)
