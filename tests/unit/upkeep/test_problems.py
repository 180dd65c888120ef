"""What is wrong now: all of it, the most urgent first, with cause and next step, within 80 columns and into a pipe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.cli.output import console
from flows.context import Context
from flows.upkeep.problems import Problem, problems
from flows.upkeep.scope import Scope
from metadata_sync.database import DecisionEntry
from metadata_sync.database.journals.settlement import Settlement
from metadata_sync.incident import Incident, IncidentKind, Severity
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowChange
from metadata_sync.rows.model import PipelineRow, TransformationRow
from metadata_sync.rows.vocabulary import DeactivatedBy, LoadType, Template
from metadata_sync.settings import Settings
from tests.support.instants import at

NOON = datetime(2013, 1, 1, 12, 40, tzinfo=UTC)
ERROR = "Runtime Error in model dwh__fact (models/x.sql)\n  Conversion Error: Could not convert string 'x' to INT32"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = Context(Project(tmp_path), Settings(), "tester")
    pipelines = [
        PipelineRow(
            pipeline_id=name, pipeline_name=name, template=Template.PRESENTATION, schedule="0 * * * *", sla_minutes=30
        )
        for name in ("orders", "late")
    ]
    rows = [
        TransformationRow(
            target_schema="dwh", target_table=table, pipeline_id=name, sql_path="x.sql", load_type=LoadType.APPEND
        )
        for table, name in (("fact", "orders"), ("by_hand", "orders"), ("slow", "late"))
    ]
    off = {"is_active": False, "deactivated_by": DeactivatedBy.FRAMEWORK, "comments": f"value in run r1\n{ERROR}"}
    rows[0] = rows[0].model_copy(update=off)
    rows[1] = rows[1].model_copy(update={"is_active": False, "deactivated_by": DeactivatedBy.OPERATOR})
    changes = [RowChange(None, row) for row in (*pipelines, *rows)]
    context.store.write(changes, "tester", "apply", None)
    yield at(context, NOON)
    context.store.close()


def incident(kind: IncidentKind, subject: str, failure_class: str | None, severity: Severity) -> Incident:
    return Incident(
        *("i-" + subject, kind, subject, severity, failure_class, ERROR, (subject,), ("mart.a", "mart.b"), ("orders",)),
        *("r1", 1, 1, NOON - timedelta(hours=1), NOON),
    )


def look(context: Context) -> tuple[Problem, ...]:
    return problems(context, Scope.of(context))


def test_everything_that_is_wrong_is_listed_with_cause_and_next_step(context: Context) -> None:
    context.store.record_decisions(
        [DecisionEntry("r0", NOON - timedelta(hours=2), "late", "dwh.slow", "skip", "nothing_new", "x", {})]
    )
    open_ = [
        incident(IncidentKind.LOAD, "dwh.fact", "value", Severity.ERROR),
        incident(IncidentKind.HOLD, "lake.x", "connection", Severity.WARNING),
    ]
    context.store.settle(Settlement(judge=lambda _: (open_, ())))

    late, off, hold = look(context)

    assert (off.subject, off.state, off.why) == (
        *("dwh.fact", "is off: value"),
        "Conversion Error: Could not convert string 'x' to INT32",
    )
    assert off.held_up == ("mart.a", "mart.b")
    assert "sluice activate dwh.fact" in off.next_step
    assert (late.subject, late.state, late.since) == (
        "late",
        "is late: 30 minutes allowed",
        NOON.replace(hour=11, minute=0),
    )
    assert (hold.subject, hold.state) == ("lake.x", "cannot be read: connection")
    assert hold.next_try == NOON.replace(hour=13, minute=0)
    assert "no row is off" in hold.next_step


def test_row_that_is_off_without_an_incident_is_not_forgotten(context: Context) -> None:
    (off,) = [item for item in look(context) if item.subject == "dwh.fact"]
    assert off.why == "Conversion Error: Could not convert string 'x' to INT32"


def test_problems_fit_a_narrow_terminal_and_tables_are_plain_in_a_pipe(
    context: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(console, "out", console._Terminal(file=terminal, width=80, force_terminal=False))
    with monkeypatch.context() as patched:
        patched.setattr(console.sys, "stdout", terminal)
        console.print_problems(look(context))
        headers = ("Target", "State", "Age", "Rows", "Last window")
        console.print_table(
            "", headers, [("dwh.fact_payment_by_customer", "off, error", "1 h", "12 inserted", "a → b")]
        )
    console.print_table("Title", ("A", "B"), [("x\ny", None), ("\x1b[31m", 1)])

    assert max(terminal.getvalue().splitlines(), key=len)[80:] == ""
    assert "dwh.fact is off" in terminal.getvalue()
    assert capsys.readouterr().out == "Title\nA\tB\nx y\t–\n\\x1b[31m\t1\n"
