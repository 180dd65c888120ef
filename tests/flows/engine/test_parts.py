"""The answer for one pipeline, read by keys, is the answer from reading everything, on random projects with a past."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.status import status
from flows.context import Context
from flows.engine.engine import execute, prepare
from flows.gate.definitions import definition_notes, recorded_changes
from flows.gate.facts import Action
from flows.gate.gather import open_gate
from flows.reports.lookups import lookup_notes
from flows.reports.status import TargetStatus, target_statuses
from flows.run.leases import lease_texts
from flows.run.model import RunRequest
from flows.run.selection import select_transformations
from flows.upkeep.lateness import delays
from flows.upkeep.problems import problems
from flows.upkeep.scope import Scope
from metadata_sync.errors import RequestError
from metadata_sync.incident import IncidentKind
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.resolve import is_active, is_view, resolve_dependencies, sequence_columns
from tests.support.random_project import NOW, RandomProject

SEEDS = range(10)


@pytest.fixture(params=SEEDS)
def drawn(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RandomProject]:
    project = RandomProject(tmp_path, request.param)
    yield project
    project.context.store.close()


def _decided(context: Context, pipeline: str, rows: ControlRows) -> object:
    selected = select_transformations(rows, RunRequest((pipeline,)))
    with open_gate(context, rows, selected, is_in_step=False) as gate:
        loads = context.store.latest_loads({str(row.name) for row in rows.transformations} if rows.is_part else None)
        answer = gate.decide(loads, NOW, leases=lease_texts(context.store))
    return selected, answer.decisions, answer.tokens


def test_rows_read_by_key_say_what_all_rows_say(drawn: RandomProject) -> None:
    store = drawn.context.store
    whole = store.usable_rows()
    for pipeline in drawn.pipeline_ids:
        part = store.read_part([pipeline]).usable
        assert part.is_part
        assert part.pipeline(pipeline) == whole.pipeline(pipeline)
        own = [row for row in whole.transformations if row.pipeline_id == pipeline]
        assert [row for row in part.transformations if row.pipeline_id == pipeline] == own
        for row in own:
            reads = resolve_dependencies(row, whole)
            assert resolve_dependencies(row, part) == reads
            assert (is_view(row, part), is_active(row, part)) == (is_view(row, whole), is_active(row, whole))
            assert sequence_columns(row, part, ["landed_at"]) == sequence_columns(row, whole, ["landed_at"])
            for item in reads:
                above = whole.transformation(item.name)
                assert (part.source(item.name), part.transformation(item.name)) == (whole.source(item.name), above)
                assert above is None or is_active(above, part) == is_active(above, whole)
        names = {str(row.name) for row in own}
        loads, every = store.latest_loads(names), store.latest_loads()
        assert loads.newest == tuple(item for item in every.newest if item.target in names)
        assert loads.successful == tuple(item for item in every.successful if item.target in names)
        assert store.last_decisions(names) == tuple(item for item in store.last_decisions() if item.target in names)
        timing = store.timing_changes()
        assert store.timing_changes(names) == {key: found for key, found in timing.items() if key in names}
        now = drawn.context.now()
        late = [item for item in delays(drawn.context, whole, every, now) if item.pipeline.pipeline_id == pipeline]
        assert list(delays(drawn.context, part, loads, now, [pipeline])) == late


def test_decisions_on_a_pipeline_read_by_key_are_those_from_all_rows(drawn: RandomProject) -> None:
    context = drawn.context
    for pipeline in drawn.pipeline_ids:
        part, whole = context.store.read_part([pipeline]).usable, context.store.usable_rows()
        assert _decided(context, pipeline, part) == _decided(context, pipeline, whole)


def test_plan_of_a_pipeline_in_step_is_the_plan_from_all_rows(drawn: RandomProject) -> None:
    context = drawn.context
    for pipeline in drawn.pipeline_ids:
        request = RunRequest((pipeline,))
        for _ in range(3):  # the first writes the models, the second finds them in step and remembers it
            by_key = prepare(context, request)
        for memory in context.project.state_dir.glob("in-step-*.json"):
            memory.unlink()
        whole = prepare(context, request)
        assert not whole.rows.is_part
        assert (by_key.selected, by_key.decisions, by_key.tokens) == (whole.selected, whole.decisions, whole.tokens)
        assert by_key.first_loads == whole.first_loads
        are_skipped = all(decision.action is Action.SKIP for decision in whole.decisions)
        assert by_key.rows.is_part == (are_skipped and not whole.blame.by_row)


def test_status_and_why_of_a_pipeline_are_what_all_rows_say(drawn: RandomProject) -> None:
    context, everything = drawn.context, Scope.of(drawn.context)
    for pipeline in drawn.pipeline_ids:
        scope = Scope.of(context, [pipeline])
        own = {str(row.name) for row in everything.rows.transformations if row.pipeline_id == pipeline}
        concerned = {
            item.subject
            for item in everything.incidents
            if not item.pipeline_ids or pipeline in item.pipeline_ids or own & set(item.held_up)
        }
        expected = [found for found in problems(context, everything) if found.subject in own | concerned | {pipeline}]
        assert list(problems(context, scope)) == expected
        assert _statuses(context, scope, pipeline) == _statuses(context, everything, pipeline)
        for target in own:
            part = context.store.read_part(targets=[target]).usable
            assert lookup_notes(part, [target], ()) == lookup_notes(everything.rows, [target], ())
            changes = recorded_changes(context, everything.rows, everything.loads, [target])
            notes = definition_notes(context, [target]).get(target, ())
            assert notes == tuple(change.sentence for change in changes.values())


def test_status_command_shows_the_targets_of_the_named_pipelines(
    drawn: RandomProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(drawn.root)
    monkeypatch.setenv("SLUICE_DBT_TARGET", "duckdb")
    for pipelines in ([drawn.pipeline_ids[0]], drawn.pipeline_ids[:2]):
        status(pipelines, as_json=True)
        found = json.loads(capsys.readouterr().out)
        expected = [str(row.name) for row in drawn.targets if row.pipeline_id in pipelines]
        assert sorted(item["target"] for item in found["targets"]) == sorted(expected)
        for incident in found["incidents"]:
            named = incident["pipeline_ids"]
            assert not named or {*named, *incident["held_up"]} & {*pipelines, *expected}
    status(as_json=True)
    assert len(json.loads(capsys.readouterr().out)["targets"]) == len(drawn.targets)


def _statuses(context: Context, scope: Scope, pipeline: str) -> list[TargetStatus]:
    changes = recorded_changes(context, scope.rows, scope.loads, scope.targets)
    found = target_statuses(scope.rows, scope.loads, NOW, changes)
    return [item for item in found if item.pipeline_id == pipeline]


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[tuple[Context, str, str]]:
    """A project, a pipeline of it in which nothing is due, and another pipeline."""
    for seed in range(200):
        project = RandomProject(tmp_path / str(seed), seed)
        for pipeline in project.pipeline_ids:
            others = [row.pipeline_id for row in project.targets if row.pipeline_id != pipeline]
            if others and any(row.pipeline_id == pipeline for row in project.targets):
                plan = [prepare(project.context, RunRequest((pipeline,))) for _ in range(3)][-1]
                if plan.rows.is_part:
                    yield project.context, pipeline, others[0]
                    project.context.store.close()
                    return
        project.context.store.close()
    pytest.fail("no seed has a pipeline in which nothing is due")


def test_any_change_of_rows_or_of_own_files_is_looked_at_with_all_rows(quiet: tuple[Context, str, str]) -> None:
    context, pipeline, other = quiet
    request = RunRequest((pipeline,))
    row = context.store.usable_rows().pipeline(other)
    assert row is not None
    context.store.write([RowChange(row, row.model_copy(update={"owner": "bi"}))], "tester", "set", None)
    assert [prepare(context, request).rows.is_part for _ in range(2)] == [False, True]

    own = next(row for row in context.store.usable_rows().transformations if row.pipeline_id == pipeline)
    select = context.project.dbt_dir / own.sql_path
    text = select.read_text()
    select.write_text(f"{text}-- looked at\n")
    assert not prepare(context, request).rows.is_part
    model = context.project.generated_dir / pipeline / f"{own.name.model_name}.sql"
    [prepare(context, request) for _ in range(2)]
    model.unlink()
    assert not prepare(context, request).rows.is_part
    assert model.exists()


def test_quiet_run_of_a_part_closes_no_incident_of_another_pipeline(quiet: tuple[Context, str, str]) -> None:
    context, pipeline, other = quiet
    others = {str(row.name) for row in context.store.usable_rows().transformations if row.pipeline_id == other}
    before = {item.subject for item in context.store.incidents() if item.kind is IncidentKind.LOAD}
    plan = prepare(context, RunRequest((pipeline,)))
    assert plan.rows.is_part
    execute(context, plan)
    after = {item.subject for item in context.store.incidents() if item.kind is IncidentKind.LOAD}
    assert others & after == others & before


def test_unknown_pipeline_is_refused_with_those_that_there_are(quiet: tuple[Context, str, str]) -> None:
    context, pipeline, other = quiet
    for ask in (lambda names: prepare(context, RunRequest(names)), lambda names: Scope.of(context, names)):
        with pytest.raises(RequestError, match="There is no pipeline 'nowhere'") as caught:
            ask((pipeline, "nowhere"))
        assert other in (caught.value.hint or "")
