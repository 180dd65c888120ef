"""Who is told of a load: pipelines outside the run that the target drives, each started once a wave."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from flows.gate.facts import Action, Decision, Reason
from flows.prefect.reporting.load_events import LoadedEvent, loaded_events
from flows.run.model import OutcomeStatus, RunPlan, RunRequest, TargetOutcome
from metadata_sync.loads import RowCounts
from metadata_sync.rows.model import ControlRows, Dependency, PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import LoadType, Template

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


def pipeline(pipeline_id: str, **columns: object) -> PipelineRow:
    return PipelineRow(pipeline_id=pipeline_id, pipeline_name=pipeline_id, template=Template.PRESENTATION, **columns)


def target(table: str, pipeline_id: str, *reads: str, driving: bool = True, **columns: object) -> TransformationRow:
    return TransformationRow(
        target_schema="dwh",
        target_table=table,
        pipeline_id=pipeline_id,
        sql_path=f"transformations/{table}.sql",
        load_type=LoadType.APPEND,
        dependencies=[Dependency(table=name, driving=driving) for name in reads],
        **columns,
    )


A, B = target("a", "first", "raw.a"), target("b", "first", "raw.b")
ROWS = ControlRows(
    pipelines=(pipeline("first"), pipeline("second"), pipeline("third"), pipeline("off", is_active=False)),
    transformations=(
        A,
        B,
        target("c", "second", "dwh.a", "dwh.b"),
        target("d", "third", "dwh.b"),
        target("looks_up", "third", "dwh.a", driving=False),
        target("asleep", "third", "dwh.a", is_active=False),
        target("e", "off", "dwh.a"),
    ),
)


def ended(table: str, status: OutcomeStatus = OutcomeStatus.LOADED) -> TargetOutcome:
    decision = Decision(f"dwh.{table}", "first", Action.RUN, Reason.NEW_ROWS, "new rows")
    return TargetOutcome(f"dwh.{table}", "first", decision, status, load_id="l1", rows=RowCounts(2), loaded_at=NOON)


def told(*outcomes: TargetOutcome, selected: tuple[TransformationRow, ...] = (A, B)) -> list[LoadedEvent]:
    plan = RunPlan("r1", NOON, RunRequest(), ROWS, selected, ())
    return list(loaded_events(plan, outcomes, environment="dev", flow_run_id=uuid4(), when=NOON))


def test_every_dependant_is_named_and_started_once() -> None:
    first, second = told(ended("a"), ended("b"))

    assert (first.dependants, first.starts) == (("second",), ("second",))
    assert (second.dependants, second.starts) == (("second", "third"), ("third",))


def test_nobody_is_told_when_nothing_was_loaded() -> None:
    assert told(ended("a", OutcomeStatus.UNCHANGED), ended("b", OutcomeStatus.FAILED)) == []


def test_pipeline_of_the_same_run_is_not_started() -> None:
    (event,) = told(ended("a"), selected=(A, B, ROWS.transformations[2]))

    assert event.dependants == ()


def test_body_says_what_was_loaded() -> None:
    (event,) = told(ended("a"))
    body = event.body()

    assert body["event"] == "sluice.table.loaded"
    assert body["resource"]["prefect.resource.id"] == "sluice.table.dev.dwh.a"
    assert body["related"][1] == {
        "prefect.resource.id": "sluice.pipeline.dev.second",
        "prefect.resource.role": "dependant",
    }
    assert body["payload"]["rows"]["read"] == 2
    assert body["payload"]["loaded_at"] == "2013-01-01T12:00:00+00:00"
