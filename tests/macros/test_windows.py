"""What a run reads: windows cut by keys of every kind, lookback, the future, tokens, backfills."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.dbt_project import DbtProject, driving

KINDS = {
    "timestamp": ("timestamp", "2024-01-01 10:00:00.123456", "2024-01-02 00:00:00.000000"),
    "timestamptz": ("timestamp with time zone", "2024-01-01 10:00:00.123456+00", "2024-01-02 00:00:00.000000+00"),
    "date": ("date", "2024-01-01", "2024-01-02"),
    "number": ("bigint", "9", "10"),
}


def _window(project: DbtProject, model: str) -> dict[str, Any]:
    text = (project.root / f"target/compiled/sluice/models/{model}.sql").read_text()
    (found,) = re.findall(r"/\* sluice:window (\{.*?\}) \*/", text)
    window = json.loads(found)
    assert isinstance(window, dict)
    return window


@pytest.fixture(scope="module")
def module_project(make_project: Callable[[str], DbtProject]) -> DbtProject:
    project = make_project("windows")
    for name in KINDS:
        project.source(f"by_{name}")
        project.model(
            f"by_{name}",
            f"select e.id, e.k from {{{{ sluice.increment(source('lake', 'by_{name}')) }}}} as e",
            materialized="scd1",
            business_key=["id"],
            dependencies=[driving(f"by_{name}", incremental_key="k", lookback_minutes=60, max_skew_minutes=5)],
            incremental_key="k",
        )
    return project


@pytest.fixture
def project(module_project: DbtProject) -> DbtProject:
    """The module's project with empty sources and no target."""
    module_project.empty(
        *(f"create table lake.by_{name} (id integer, k {kind})" for name, (kind, _, _) in KINDS.items()),
    )
    return module_project


def _load(project: DbtProject, name: str) -> str:
    """Load both rows of a source one after the other; what the second load said."""
    message = ""
    for number, bound in enumerate(KINDS[name][1:], start=1):
        project.execute(f"insert into lake.by_{name} values ({number}, '{bound}')")
        message = project.run("--select", f"by_{name}").messages[f"by_{name}"]
    return message


def test_windows_move_when_rows_arrive_in_any_kind_of_key(project: DbtProject) -> None:
    assert project.run("--select", "by_*").success, "empty sources make empty targets"
    assert project.query("select count(*) from sluice.watermark_control where window_end is not null") == [(0,)]
    for name, (_, first, _) in KINDS.items():
        project.execute(f"insert into lake.by_{name} values (1, '{first}')")
    assert project.run("--select", "by_*").success
    for name, (_, first, second) in KINDS.items():
        assert _window(project, f"by_{name}")["end"] == first
        project.execute(f"insert into lake.by_{name} values (2, '{second}')")
    assert project.run("--select", "by_*").success
    starts = {name: _window(project, f"by_{name}")["start"] for name in KINDS}
    assert starts == {
        "timestamp": "2024-01-01 09:00:00.123456",
        "timestamptz": "2024-01-01 09:00:00.123456+00",
        "date": "2023-12-31",
        "number": "9",
    }
    ends = dict(project.query("select target, window_end from sluice.watermark_control"))
    assert ends == {f"dwh.by_{name}": second for name, (_, _, second) in KINDS.items()}
    for name in KINDS:
        assert project.query(f"select id from dwh.by_{name} order by id") == [(1,), (2,)]
    result = project.run("--select", "by_*")
    assert {result.messages[f"by_{name}"] for name in KINDS} == {"SKIP nothing new"}


def test_newest_row_of_the_log_that_moves_the_watermark_is_the_watermark(project: DbtProject) -> None:
    project.execute("insert into lake.by_number values (1, 7)")
    assert project.run("--select", "by_number").success
    logged = "select * replace ('{}' as load_id, '{}' as window_end, {} as moves_watermark, {} as loaded_at) from {}"
    for load_id, end, moves, loaded_at in (
        ("zz", "older", "true", "loaded_at - interval 1 day"),
        ("zz", "backfill", "false", "loaded_at + interval 1 day"),
        ("zz", "at the same instant", "true", "loaded_at"),
    ):
        of_the_load = "sluice.load_log where target = 'dwh.by_number' and load_id <> 'zz'"
        project.execute(f"insert into sluice.load_log {logged.format(load_id, end, moves, loaded_at, of_the_load)}")

    ends = project.query("select window_end from sluice.watermark_control where target = 'dwh.by_number'")
    assert ends == [("at the same instant",)]


def test_row_below_the_watermark_is_read_when_it_lies_in_the_lookback_band(project: DbtProject) -> None:
    assert _load(project, "timestamp") == "1 inserted"
    project.execute("insert into lake.by_timestamp values (3, '2024-01-01 23:30:00')")
    result = project.run("--select", "by_timestamp")
    assert result.messages["by_timestamp"] == "1 inserted"
    assert _window(project, "by_timestamp")["lookback_count"] == 2


def test_rows_of_the_future_wait_when_they_pass_the_skew(project: DbtProject) -> None:
    assert _load(project, "timestamp") == "1 inserted"
    soon = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=2)
    late = soon + timedelta(days=400)
    project.execute(f"insert into lake.by_timestamp values (4, '{soon}'), (5, '{late}')")
    assert project.run("--select", "by_timestamp").messages["by_timestamp"] == "1 inserted"
    window = _window(project, "by_timestamp")
    assert window["future_count"] == 1
    assert window["end"].startswith(f"{soon:%Y-%m-%d %H:%M:%S}")


def test_bounds_of_dates_are_dates_when_nothing_moves_them(project: DbtProject) -> None:
    project.model(
        "daily",
        "select e.id, e.k from {{ sluice.increment(source('lake', 'by_date')) }} as e",
        materialized="scd1",
        business_key=["id"],
        dependencies=[driving("by_date", incremental_key="k", max_skew_minutes=0)],
        incremental_key="k",
    )
    today = datetime.now(UTC).date()
    tomorrow = today + timedelta(days=1)
    project.execute(f"insert into lake.by_date values (1, '{today}'), (2, '{tomorrow}')")
    assert project.run("--select", "daily").messages["daily"] == "1 inserted"
    window = _window(project, "daily")
    assert (window["end"], window["future_count"]) == (str(today), 1)


def test_backfill_reads_its_window_and_leaves_the_watermark(project: DbtProject) -> None:
    assert _load(project, "number") == "1 inserted"
    before = project.query("select * from sluice.watermark_control where target = 'dwh.by_number'")
    project.execute("delete from dwh.by_number where id = 1")
    windows = {"dwh.by_number": {"lake.by_number": {"start": "1", "end": "9"}}}
    result = project.run("--select", "by_number", env={"SLUICE_WINDOWS": windows})
    assert result.messages["by_number"] == "1 inserted"
    assert project.query("select * from sluice.watermark_control where target = 'dwh.by_number'") == before
    log = project.query(
        "select window_start, window_end, moves_watermark from sluice.load_log order by loaded_at desc limit 1"
    )
    assert log == [("1", "9", False)]


def test_chunk_moves_the_watermark_up_and_never_down(project: DbtProject) -> None:
    project.execute("insert into lake.by_number select i, i from range(1, 10) as t (i)")
    bounds = []
    for start, end in ((None, "3"), ("4", "6"), ("1", "2")):
        chunk = {"start": start, "end": end, "moves_watermark": True}
        windows = {"dwh.by_number": {"lake.by_number": chunk}}
        assert project.run("--select", "by_number", env={"SLUICE_WINDOWS": windows}).success
        bounds += project.query("select window_end, lookback_count from sluice.watermark_control")
    assert bounds == [("3", 1), ("6", 1), ("6", 1)]
    assert project.run("--select", "by_number").messages["by_number"] == "3 inserted"


@pytest.mark.parametrize(("name", "start"), [("number", "5"), ("date", "2024-01-05"), ("timestamptz", "2024-01-05")])
def test_first_load_begins_at_backfill_start(project: DbtProject, name: str, start: str) -> None:
    project.model(
        f"since_{name}",
        f"select e.id, e.k from {{{{ sluice.increment(source('lake', 'by_{name}')) }}}} as e",
        materialized="scd1",
        business_key=["id"],
        dependencies=[driving(f"by_{name}", incremental_key="k")],
        incremental_key="k",
        backfill_start=start,
    )
    keys = (str(number) if name == "number" else f"2024-01-0{number}" for number in (4, 5, 6))
    rows = ", ".join(f"({number}, '{key}')" for number, key in enumerate(keys, start=4))
    project.execute(f"insert into lake.by_{name} values {rows}")
    for arguments in ((), ("--full-refresh",)):
        assert project.run("--select", f"since_{name}", *arguments).success
        assert project.query(f"select id from dwh.since_{name} order by id") == [(5,), (6,)]


def test_source_without_a_key_is_read_when_its_token_changed_or_is_unknown(project: DbtProject) -> None:
    project.execute("create table lake.places as select 1 as id")
    project.source("places")
    project.model(
        "places",
        "select p.id from {{ sluice.increment(source('lake', 'places')) }} as p",
        materialized="scd1",
        increment="full",
        business_key=["id"],
        dependencies=[driving("places")],
    )
    messages = [
        project.run(
            "--select", "places", env={"SLUICE_CHANGE_TOKENS": {"lake.places": token} if token else {}}
        ).messages["places"]
        for token in ("one */ two", "one */ two", "three", None)
    ]
    assert messages == ["1 inserted", "SKIP nothing new", "UNCHANGED", "UNCHANGED"]
    assert project.query("select window_end from sluice.watermark_control where target = 'dwh.places'") == [(None,)]


def test_key_of_another_type_is_refused(project: DbtProject) -> None:
    project.execute("create table lake.texts as select 'a' as k")
    project.source("texts")
    project.model(
        "texts",
        "select t.k from {{ sluice.increment(source('lake', 'texts')) }} as t",
        materialized="append",
        dependencies=[driving("texts", incremental_key="k")],
    )
    message = project.run("--select", "texts").messages["texts"]
    assert "incremental_key k of lake.texts is varchar, which cannot cut windows" in message
