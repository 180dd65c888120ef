"""The ledger's two commands in the warehouse: verify finds what a person did, rebuild makes a target anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support import histories as h
from tests.support.dbt_project import DbtProject

SHAPES = h.SHAPES[:2]
TARGETS = [f"{kind}_{number}" for kind in ("one", "two", "add") for number in range(len(SHAPES))]
OWN = ("rekeyed", "retyped", "turned", "failing")
"""Targets of one test each, all of the first history."""
TABLES = ("select * from dwh.{0}", "select * from sluice.dwh__{0}__side")


@pytest.fixture(scope="module")
def project(make_on_each: Callable[[str], DbtProject]) -> DbtProject:
    """Targets of every kind with random histories; each test has targets of its own."""
    project = make_on_each("ledger")
    h.add_models(project, len(SHAPES))
    for name in OWN:
        write(project, name)
    h.empty_warehouse(project)
    h.load_all(project, h.histories(11, SHAPES))
    return project


def write(project: DbtProject, name: str, select: str = h.SELECT % 0, kind: str = "scd2", **settings: Any) -> None:
    project.model(name, select, materialized=kind, scd_columns=h.TRACKED, **{**h.SETTINGS, **settings})


def ask(project: DbtProject, task: str, *models: str) -> dict[str, dict[str, Any]]:
    """Verify or survey targets; what was found, by model."""
    tasks = {"SLUICE_TASKS": {f"dwh.{model}": task for model in models}}
    messages = project.run("--select", *models, env=tasks).messages
    assert all(messages[model].startswith("{") for model in models), messages
    return {model: json.loads(messages[model]) for model in models}


def rebuild(project: DbtProject, *models: str) -> dict[str, str]:
    tasks = {"SLUICE_TASKS": {f"dwh.{model}": "rebuild" for model in models}}
    result = project.run("--select", *models, env=tasks)
    assert result.success, result.messages
    return result.messages


def contents(project: DbtProject, model: str) -> list[list[tuple[Any, ...]]]:
    """A target and its side table, without what says which load wrote a row."""
    return [sorted((row[:-2] for row in project.query(sql.format(model))), key=repr) for sql in TABLES]


def test_rebuild_changes_nothing_and_verify_finds_what_a_person_did(project: DbtProject) -> None:
    before = {name: contents(project, name) for name in TARGETS}
    sound = {key: {} for key in TARGETS}
    assert {name: found["counts"] for name, found in ask(project, "verify", *TARGETS).items()} == sound
    rebuild(project, *TARGETS)
    assert {name: contents(project, name) for name in TARGETS} == before
    for name in TARGETS:
        assert project.query(f"select epoch from sluice.dwh__{name}__head") == [(1,)]
        moved = f"select moves_watermark from sluice.load_log where epoch = 1 and target = 'dwh.{name}'"
        assert project.query(moved) == [(False,)], "nothing was read of a source"
    messages = project.run("--select", *TARGETS).messages
    assert {messages[name] for name in TARGETS} == {"SKIP nothing new"}
    assert {name: found["counts"] for name, found in ask(project, "verify", *TARGETS).items()} == sound
    loads = project.query("select count(*) from sluice.load_log")

    closed = "k1 = (select min(k1) from dwh.two_0 where valid_to is not null) and valid_to is not null"
    project.execute(
        "delete from dwh.one_0 where k1 = (select min(k1) from dwh.one_0)",
        "insert into dwh.one_1 select * from dwh.one_1 where k1 = (select min(k1) from dwh.one_1)",
        f"update dwh.two_0 set valid_to = valid_to + 100 where {closed}",
        "delete from dwh.two_1 where k1 = (select min(k1) from dwh.two_1)",
        "update dwh.add_0 set _sluice_loaded_at = null where k1 = (select min(k1) from dwh.add_0)",
        "update dwh.add_1 set k1 = null where k1 = (select min(k1) from dwh.add_1)",
    )
    found = ask(project, "verify", *TARGETS)
    kinds = {name: set(found[name]["counts"]) for name in TARGETS}
    assert "row count" in kinds.pop("two_1")
    assert kinds == {
        "one_0": {"row count"},
        "one_1": {"duplicate key", "row count"},
        "two_0": {"version differs"},
        "add_0": {"row of no load"},
        "add_1": {"key is NULL"},
    }
    (differing, *_) = found["two_0"]["differences"]
    assert differing["row"].startswith("k1=")
    assert "valid_to is 10" in differing["detail"]
    assert ", the ledger says " in differing["detail"]
    assert project.query("select count(*) from sluice.load_log") == loads, "verify writes nothing"


def test_rebuild_under_a_coarser_key_equals_a_load_under_it(project: DbtProject) -> None:
    """Winners of winners are the winners: nothing is lost when several keys become one."""
    for name in ("rekeyed", "fresh"):
        write(project, name, business_key=["k1"])
    survey = ask(project, "survey", "rekeyed")["rekeyed"]
    assert survey["built_as"] == "scd2 by (k1, k2) in order of (happened_at, lsn) tracking v"
    assert survey["becomes"] == "scd2 by (k1) in order of (happened_at, lsn) tracking v"
    assert (survey["reject_count"], survey["retyped"], survey["tie_count"] > 0) == (0, [], True)
    rebuild(project, "rekeyed")
    assert project.run("--select", "fresh").success

    assert contents(project, "rekeyed") == contents(project, "fresh")
    assert ask(project, "verify", "rekeyed")["rekeyed"]["counts"] == {}


def test_rebuild_changes_types_and_says_before_what_does_not_cast(project: DbtProject) -> None:
    select = h.SELECT.replace("e.v", "cast(case when e.v = 'x' then '7' end as integer) as v") % 0
    write(project, "retyped", select.replace("e.u,", "cast(e.u as varchar) as u,"))
    ledger = "(select v from dwh.retyped union all select v from sluice.dwh__retyped__side) as e"
    ((events, texts),) = project.query(f"select count(*), count(v) from {ledger}")

    survey = ask(project, "survey", "retyped")["retyped"]
    assert (survey["event_count"], survey["reject_count"]) == (events, texts)
    (v,) = [item for item in survey["retyped"] if item["name"] == "v"]
    assert (v["lost_count"], v["changed_count"], v["to"]) == (texts, 0, "integer")

    assert f"{texts} rejected" in rebuild(project, "retyped")["retyped"]
    assert project.query(f"select count(*), count(v) from {ledger}") == [(events - texts, 0)]
    reasons = project.query("select distinct substr(reason, 1, 26) from sluice.dwh__retyped__rejects")
    assert reasons == [("v does not cast to integer",)]
    names = "select column_name, data_type from information_schema.columns where table_name = 'retyped'"
    types = {name: kind.lower() for name, kind in project.query(names)}
    assert (types["v"], types["u"]) in (("integer", "varchar"), ("integer", "character varying"))
    assert ask(project, "verify", "retyped")["retyped"]["counts"] == {}
    assert project.run("--select", "retyped").messages["retyped"] == "SKIP nothing new"


def test_rebuild_changes_the_load_type_and_back(project: DbtProject) -> None:
    current = "select k1, k2, u, v from dwh.turned where valid_to is null"
    expected = sorted(project.query(current), key=repr)
    write(project, "turned", kind="scd1")
    rebuild(project, "turned")
    assert sorted(project.query("select k1, k2, u, v from dwh.turned"), key=repr) == expected
    write(project, "turned")
    rebuild(project, "turned")
    assert sorted(project.query(current), key=repr) == expected
    assert ask(project, "verify", "turned")["turned"]["counts"] == {}


def test_failed_rebuild_leaves_everything_as_it_was(project: DbtProject) -> None:
    before = contents(project, "failing")
    write(project, "failing", business_key=["k1"])
    head = project.root / "macros/control/head_sql.sql"
    text = head.read_text()
    project.patch_macro("control/head_sql.sql", "insert into {{ load.log }}", "insert into {{ load.log }}_gone")
    result = project.run("--select", "failing", env={"SLUICE_TASKS": {"dwh.failing": "rebuild"}})
    head.write_text(text)
    assert not result.success
    assert contents(project, "failing") == before
    assert project.query("select epoch from sluice.dwh__failing__head") == [(0,)]


@pytest.mark.parametrize("settings", [{"business_key": ["k1", "extra"]}, {"sequence_by": ["extra"]}])
def test_rebuild_by_a_column_that_no_event_has_is_refused(
    make_project: Callable[[str], DbtProject], settings: Mapping[str, Any]
) -> None:
    project = make_project("unknown_column")
    project.execute(
        """create table lake.events as
           select 0 as history, 1 as arrived, 'a' as k1, 'b' as k2, 1 as happened_at, 0 as lsn, false as is_deleted,
               1 as u, 'x' as v"""
    )
    h.add_models(project, 1)
    assert project.run().success
    write(project, "two_0", (h.SELECT % 0).replace("e.v", "e.v, 1 as extra"), **settings)
    for task in ("survey", "rebuild"):
        result = project.run("--select", "two_0", env={"SLUICE_TASKS": {"dwh.two_0": task}})
        assert "no stored event has that column: the ledger cannot be read" in result.messages["two_0"]
