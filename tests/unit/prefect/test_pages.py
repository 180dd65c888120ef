"""Pages of a pipeline: pure text and numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flows.gate.facts import Action, Decision, Reason, SourceEvidence, SourceMode
from flows.prefect.pages.gate import gate_page
from flows.prefect.pages.lineage import lineage_page
from flows.prefect.pages.trend import ENOUGH_RUNS, KEPT_RUNS, RunTimes, percentile, regressions, trend_page, trend_rows
from flows.prefect.reporting.phases import PhaseClock
from flows.run.model import Wave
from metadata_sync.rows.model import ControlRows, PipelineRow, TransformationRow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def times(execute: float = 10.0, **others: object) -> RunTimes:
    usual = RunTimes("r", "2026-01-02 03:04:05", "1 loaded", 1.0, 0.5, 2.0, execute, 0.3, 100)
    return replace(usual, **others)


def test_run_that_takes_as_long_as_ever_is_not_flagged() -> None:
    earlier = [times(10 + place % 3) for place in range(20)]

    assert regressions(times(12.0), earlier) == ()


def test_slower_phase_is_flagged_by_name() -> None:
    earlier = [times(10 + place % 3) for place in range(20)]

    assert regressions(times(30.0), earlier) == ("execute", "total")
    assert "slower than usual: execute, total" in trend_page("p", [times(30.0), *earlier])
    assert [row["slower"] for row in trend_rows([times(30.0), *earlier])][:2] == ["slower", ""]


def test_few_runs_and_small_differences_are_not_flagged() -> None:
    assert regressions(times(99.0), [times()] * (ENOUGH_RUNS - 1)) == ()
    assert regressions(times(1.9), [times(0.1)] * 20) == ()


def test_trend_survives_its_own_artifact_and_keeps_the_newest_runs() -> None:
    runs = [times(float(place)) for place in range(KEPT_RUNS + 5)]

    rows = trend_rows(runs)

    assert [RunTimes.parse(row) for row in rows] == runs[:KEPT_RUNS]
    assert RunTimes.parse({"run_id": "of another version"}) is None


def test_gate_decided_before_the_flow_shows_as_a_dash() -> None:
    assert "| gate | – | – | – |" in trend_page("p", [times(gate=None)])


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([50.0, 95.0, 100.0]))
def test_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)

    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)


def test_gate_page_shows_the_evidence_and_escapes_it() -> None:
    evidence = SourceEvidence("lake.a_b", SourceMode.KEYED, True, Reason.NEW_ROWS, "new", "2013-01-01", "2013-01-02")
    token = replace(evidence, mode=SourceMode.TOKEN, watermark=None, newest="0123456789abcdef")
    decision = Decision("dwh.t", "p", Action.RUN, Reason.NEW_ROWS, "a|b has new rows", (evidence, token))

    page = gate_page("my_pipe", [decision])

    assert "## my\\_pipe: 1 run" in page
    assert "a\\|b has new rows | lake.a\\_b<br>lake.a\\_b | yes<br>yes | 2013-01-01<br>– |" in page
    assert "0123456789ab…" in page


def test_lineage_page_draws_what_a_target_is_made_from_and_who_reads_it() -> None:
    def row(name: str, pipeline_id: str, *reads: tuple[str, bool]) -> TransformationRow:
        dependencies = [{"table": table, "driving": driving} for table, driving in reads]
        values = {"target_schema": "dwh", "target_table": name, "pipeline_id": pipeline_id, "sql_path": "x"}
        return TransformationRow.model_validate({**values, "load_type": "append", "dependencies": dependencies})

    transformations = (row("a", "p", ("lake.x", True), ("lake.y", False)), row("b", "q", ("dwh.a", True)))
    rows = ControlRows(
        pipelines=tuple(
            PipelineRow.model_validate({"pipeline_id": name, "pipeline_name": name, "template": "presentation"})
            for name in "pq"
        ),
        transformations=transformations,
    )

    assert "dwh.a  (append, p)\n├── lake.x\n└·· lake.y\n→ dwh.b (q)\n" in lineage_page(rows, "p")
    assert "dwh.b  (append, q)\n└── dwh.a  (append, p)\n    ├── lake.x\n" in lineage_page(rows, "q")


def test_phases_add_up_over_waves() -> None:
    class Event:
        def __init__(self, name: str) -> None:
            self.info = type("Info", (), {"name": name})

    instants = iter([0, 3, 4, 9, 10, 20, 21, 22, 24])
    clock = PhaseClock(lambda: float(next(instants)))
    (hear,) = clock.dbt_callbacks

    for events in (["NodeStart", "Other", "NodeStart", "NodeFinished"], ["NodeStart", "NodeFinished"]):
        clock.wave_started(Wave(1, (), {}))
        for name in events:
            hear(Event(name))
        clock.loaded([])

    assert (clock.compile_seconds, clock.execute_seconds, clock.commit_seconds) == (3 + 1, 6 + 1, 1 + 2)
    assert timedelta(seconds=clock.execute_seconds) == timedelta(seconds=7)
