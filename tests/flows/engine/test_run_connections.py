"""A run on DuckDB opens the file and databases in memory few times, however many sources and targets it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pytest
from sqlalchemy import event

from flows.context import Context
from flows.engine.engine import execute, hold_warehouse, prepare
from flows.run.model import RunRequest
from tests.support.engine_project import Workshop


@contextmanager
def _asked(context: Context) -> Iterator[list[str]]:
    """Yield the statements that are sent to the control database inside the block."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    engine = context.store._engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def _opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yield the databases that are opened inside the block."""
    opened: list[str] = []
    connect = duckdb.connect

    def noted(database: Any = ":memory:", *arguments: Any, **options: Any) -> Any:
        opened.append(str(database))
        return connect(database, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", noted)
        yield opened


def test_gate_looks_at_all_lake_sources_in_one_database(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.land_orders("later", [90, 91], "2013-02-01 09:00:00")
    workshop.land("regions/second", "select 'n' as region, 'Far north' as label")
    with _opened(monkeypatch) as opened, _asked(workshop.context) as asked:
        plan = prepare(workshop.context, RunRequest((), requested_by="tester"))
    assert plan.is_due
    shapes = [statement for statement in asked if "FROM source_shape" in statement]
    assert len(shapes) == 2, "the gate asks once for all sources, and once before it notes what it saw"
    assert len(plan.lake.seen) == 2
    assert opened.count(":memory:") <= 1, opened
    assert opened.count(str(workshop.warehouse)) == 1, opened


def test_run_opens_the_file_for_the_gate_for_dbt_and_to_read_back(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.land_orders("later", [90, 91], "2013-02-01 09:00:00")
    context = workshop.context
    with _opened(monkeypatch) as opened, hold_warehouse(context, "run"):
        plan = prepare(context, RunRequest(("orders",), requested_by="tester"))
        summary = execute(context, plan, sleep=lambda _: None)
    assert "loaded" in {outcome.status for outcome in summary.outcomes}
    assert opened.count(str(workshop.warehouse)) == 3, opened
