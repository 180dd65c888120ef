"""Which tables are late: pure, from rows, loads and decisions; and what people and scripts see of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.prefect.pages.freshness import freshness_page
from flows.reports.freshness import Freshness, FreshnessState, TableKind, measure_freshness
from metadata_sync.database.journals.entries import DecisionEntry, LatestLoads, LoadEntry, LoadStatus
from metadata_sync.loads import Window
from metadata_sync.rows.model import ControlRows, PipelineRow, SourceRow, TransformationRow

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def control_rows(calendar: str | None = None, **of_target: Any) -> ControlRows:
    source = {"kind": "lake", "format": "parquet", "location": "x", "freshness_minutes": 90, "calendar": calendar}
    target = {"pipeline_id": "p", "sql_path": "x.sql", "load_type": "append", "freshness_minutes": 120, **of_target}
    reads = [{"table": f"lake.{name}", "driving": True} for name in ("keyed", "counted", "files")]
    return ControlRows(
        sources=tuple(
            SourceRow.model_validate({"schema": "lake", "table": name, "incremental_key": key, **source})
            for name, key in (("keyed", "landed_at"), ("counted", "id"), ("files", None))
        ),
        pipelines=(PipelineRow.model_validate({"pipeline_id": "p", "pipeline_name": "P", "template": "presentation"}),),
        transformations=(
            TransformationRow.model_validate(
                {"target_schema": "dwh", "target_table": "t", "dependencies": reads, **target}
            ),
        ),
    )


def loads(age: timedelta, newest_key: datetime) -> LatestLoads:
    windows = (
        Window("lake.keyed", None, f"{newest_key:%Y-%m-%d %H:%M:%S}"),
        Window("lake.counted", None, "17"),
        Window("lake.files", None, "0a" * 32),
    )
    entry = LoadEntry("r", "p", "dwh.t", "l", LoadStatus.SUCCESS, NOW - age, NOW - age, 1.0, windows=windows)
    return LatestLoads((entry,), (entry,))


def decision(newest_key: str | None) -> DecisionEntry:
    sources = [{"source": "lake.keyed", "newest": newest_key}, {"source": "lake.files", "newest": "0b" * 32}]
    return DecisionEntry("r", NOW, "p", "dwh.t", "skip", "trigger_waits", "…", {"sources": sources})


def states(found: tuple[Freshness, ...]) -> Iterator[tuple[str, str, bool]]:
    return ((item.table, item.state, item.is_late) for item in found)


@pytest.mark.parametrize(
    ("age", "allowed", "is_active", "state", "is_late"),
    [
        (60.0, 120.0, True, FreshnessState.FRESH, False),
        (121.0, 120.0, True, FreshnessState.STALE, True),
        (121.0, None, True, FreshnessState.FRESH, False),
        (121.0, 120.0, False, FreshnessState.OFF, False),
        (None, 120.0, True, FreshnessState.NEVER, True),
        (None, None, True, FreshnessState.NEVER, False),
    ],
)
def test_table_is_late_when_it_is_older_than_its_row_allows(
    age: float | None, allowed: float | None, is_active: bool, state: FreshnessState, is_late: bool
) -> None:
    item = Freshness("dwh.a|b", TableKind.TARGET, ("p",), is_active, None, age, age, allowed)
    page = freshness_page("p", [item], NOW)

    assert (item.state, item.is_late) == (state, is_late)
    assert ("1 late (dwh.a\\|b)" in page) is is_late


def test_age_counts_from_the_last_load_and_from_the_newest_row_that_anybody_saw() -> None:
    old = loads(3 * HOUR, newest_key=NOW - 4 * HOUR)

    unseen = measure_freshness(control_rows(), old, [decision(None)], NOW)
    seen = measure_freshness(control_rows(), old, [decision(str(NOW - HOUR))], NOW)

    assert list(states(unseen)) == [
        ("dwh.t", "stale", True),
        ("lake.counted", "stale", True),
        ("lake.files", "stale", True),
        ("lake.keyed", "stale", True),
    ]
    ages = {item.table: (item.age_seconds or 0) / 3600 for item in unseen}
    assert ages == {"dwh.t": 3, "lake.counted": 3, "lake.files": 3, "lake.keyed": 4}
    assert ("lake.keyed", "fresh", False) in states(seen)
    assert {item.pipeline_ids for item in seen} == {("p",)}


def test_what_was_never_loaded_is_late_and_what_is_switched_off_is_not() -> None:
    nothing = LatestLoads((), ())

    never = measure_freshness(control_rows(), nothing, [], NOW)
    off = measure_freshness(control_rows(is_active=False), nothing, [], NOW)

    assert {(item.state, item.is_late) for item in never} == {("never loaded", True)}
    assert {(item.state, item.is_late) for item in off} == {("switched off", False)}


@pytest.mark.parametrize(
    ("calendar", "hours", "is_late"),
    [(None, 2, True), ("mon-fri", 2, True), ("mon-thu", 2, False), ("mon-thu", 14, True), ("sat,sun", 24 * 4, False)],
)
def test_a_source_ages_on_the_days_of_its_calendar_only(calendar: str | None, hours: int, is_late: bool) -> None:
    friday_noon = NOW
    rows = control_rows(calendar)

    found = {
        item.table: item for item in measure_freshness(rows, loads(HOUR, friday_noon - hours * HOUR), (), friday_noon)
    }

    assert found["lake.keyed"].is_late is is_late
    assert found["lake.keyed"].age_seconds == hours * 3600
    assert found["dwh.t"].expected_seconds == 3600
