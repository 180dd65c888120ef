"""Values that break careless SQL: they load once, replay to nothing, and stand in the target as they came."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.dbt_project import DbtProject, driving

KEYS = (
    "",
    " ",
    "a|b",
    "a'; drop table dwh.scd1; --",
    '"',
    "\\",
    "{{ x }}",
    "é",
    "e\u0301",
    "A",
    "a",
    "\u00df",
    "😀",
    "k" * 10_000,
)
NUMBERS = ("NaN", "Infinity", "-Infinity", "-0", "1e-300", "1.7e308")
TIMES = ("0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2024-02-29 12:00:00.000001")
KINDS = ("scd1", "scd2", "append")
SELECT = "select e.id, e.n, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"


@pytest.fixture(scope="module")
def project(make_on_each: Callable[[str], DbtProject]) -> DbtProject:
    project = make_on_each("hostile")
    project.source("events")
    project.source("loose")
    nocase = "nocase"
    if project.adapter == "postgres":
        nocase = "lake.nocase"
        project.execute(
            "create collation lake.nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    project.execute(
        "create table lake.events (id varchar, n double precision, t timestamp)",
        f"create table lake.loose (id varchar collate {nocase}, t timestamp)",
        "insert into lake.loose values ('A', '2024-01-01'), ('a', '2024-01-01')",
    )
    return project


def test_hostile_values_load_once_and_replay_to_nothing(project: DbtProject) -> None:
    rows = [(key, float(NUMBERS[i % 6]), TIMES[i % 3]) for i, key in enumerate(KEYS)]
    project.insert("lake.events", rows)
    key = {"business_key": ["id"], "incremental_key": "t", "dependencies": [driving("events", incremental_key="t")]}
    for kind in KINDS:
        project.model(kind, SELECT, materialized=kind, **key)
    result = project.run("--select", *KINDS)
    assert result.success, result.messages
    for kind in KINDS:
        assert result.messages[kind] == f"{len(KEYS)} inserted"
    came = project.query("select id, cast(n + 0 as varchar), cast(t as varchar) from lake.events order by 1")
    for kind in KINDS:
        stands = f"select id, cast(n as varchar), cast(t as varchar) from dwh.{kind} order by 1"
        assert sorted(project.query(stands)) == sorted(came)

    project.insert("lake.events", rows)  # all of it again, and the watermark with it
    again = project.run("--select", *KINDS)
    assert {again.messages[kind] for kind in KINDS} == {"UNCHANGED"}
    for kind in KINDS:
        assert project.query(f"select count(*) from dwh.{kind}") == [(len(KEYS),)]


def test_text_whose_collation_makes_different_texts_equal_is_refused(project: DbtProject) -> None:
    loose = "select e.id, e.t from {{ sluice.increment(source('lake', 'loose')) }} as e"
    key = {"business_key": ["id"], "incremental_key": "t", "dependencies": [driving("loose", incremental_key="t")]}
    project.model("loose", loose, materialized="scd1", **key)
    project.model("strict", loose.replace("e.id,", 'e.id collate "C" as id,'), materialized="scd1", **key)
    messages = project.run("--select", "loose", "strict").messages
    assert "yields text under a collation for which different texts are equal: id" in messages["loose"]
    assert messages["strict"] == "2 inserted"
    assert project.query('select id from dwh.strict order by id collate "C"') == [("A",), ("a",)]


def test_text_longer_than_its_column_is_rejected_and_keys_may_hold_the_incremental_key(project: DbtProject) -> None:
    project.source("codes")
    project.execute(
        "create table lake.codes (id varchar(5), t timestamp)",
        "insert into lake.codes values ('DE001', '2024-01-01'), ('DE002', '2024-01-01'), ('abc', '2024-01-01')",
    )
    select = "select c.id, c.t from {{ sluice.increment(source('lake', 'codes')) }} as c"
    read = {"incremental_key": "t", "dependencies": [driving("codes", incremental_key="t")]}
    project.model("short", select, materialized="scd1", columns={"id": "varchar(3)"}, business_key=["id"], **read)
    project.model("by_time", select, materialized="append", business_key=["id", "t"], **read)
    messages = project.run("--select", "short", "by_time").messages
    has_lengths = project.adapter != "duckdb"
    assert messages["short"] == ("1 inserted, 2 rejected" if has_lengths else "3 inserted")
    assert messages["by_time"] == "3 inserted"
    if has_lengths:
        reasons = project.query("select reason from sluice.dwh__short__rejects order by 1")
        assert reasons[0] == ("id does not cast to character varying(3): DE001",)
    project.execute("insert into lake.codes values ('DE001', '2024-01-01'), ('DE001', '2024-01-02')")
    assert project.run("--select", "by_time").messages["by_time"] == "1 inserted"
