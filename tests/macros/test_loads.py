"""What a target does beside loading: rejects, ties, evolution, refresh, switches, hooks, settings that do not fit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.dbt_project import DbtProject, driving

FROM = " from {{ sluice.increment(source('lake', 'events')) }} as e"
SELECT = "select e.id, e.v, e.u, e.t" + FROM
KEYED = {"business_key": ["id"], "incremental_key": "t", "dependencies": [driving("events", incremental_key="t")]}


@pytest.fixture(scope="module")
def module_project(make_project: Callable[[str], DbtProject]) -> DbtProject:
    project = make_project("loads")
    project.source("events")
    return project


@pytest.fixture
def project(module_project: DbtProject) -> DbtProject:
    """The module's project, emptied: no model, no table."""
    module_project.remove_models()
    module_project.empty(
        "create table lake.events (id varchar, v varchar, u varchar, t timestamp)",
        "insert into lake.events values ('1', 'a', 'x', '2024-01-01')",
    )
    return module_project


def _land(project: DbtProject, *rows: str) -> None:
    project.execute("insert into lake.events values " + ", ".join(f"({row})" for row in rows))


def test_rows_that_cannot_be_loaded_go_to_the_rejects_and_block_nothing(project: DbtProject) -> None:
    columns = {"id": "integer", "v": "varchar", "u": "varchar", "t": "timestamp"}
    project.model("loose", SELECT, materialized="scd1", columns=columns, **KEYED)
    project.model("strict", SELECT, materialized="scd2", columns=columns, max_rejects=1, **KEYED)
    _land(project, "null, 'b', 'x', '2024-01-02'", "'one', 'c', 'x', '2024-01-02'")
    result = project.run()
    assert result.messages["loose"] == "1 inserted, 2 rejected"
    assert "dwh.strict would reject 2 of 3 rows, max_rejects is 1" in result.messages["strict"]
    assert project.query("select id, v from dwh.loose") == [(1, "a")]
    assert project.query("select reason, row_text from sluice.dwh__loose__rejects order by 1") == [
        ("id does not cast to integer: one", "id=NULL, v=c, u=x, t=2024-01-02 00:00:00"),
        ("id is NULL", "id=NULL, v=b, u=x, t=2024-01-02 00:00:00"),
    ]
    assert project.query("select count(*) from dwh.strict") == [(0,)]
    assert project.query("select sum(rows_rejected) from sluice.load_log") == [(2,)]


def test_rows_without_an_incremental_key_are_counted_by_each_load_and_kept_once(project: DbtProject) -> None:
    project.model("dim", SELECT, materialized="scd1", **KEYED)
    project.model("strict", SELECT, materialized="scd2", max_rejects=1, **KEYED)
    grouped = {
        **KEYED,
        "business_key": ["v"],
        "dependencies": [driving("events", incremental_key="t", recompute_by=["v"])],
    }
    count = "select e.v, count(*) as events" + FROM + " group by e.v"
    project.model("totals", count, materialized="scd1", increment="groups", **grouped)
    _land(project, "'7', 'a', 'x', null", "'8', 'b', 'x', null")
    # only what macros warn of: dbt's own deprecations would end the run before the model
    warned = project.run("--warn-error-options", '{"error": ["JinjaLogWarning"]}', "--select", "dim")
    assert "2 rows of lake.events have NULL in t, so no load of dwh.dim reads them" in warned.messages["dim"]
    result = project.run()
    assert result.messages["dim"] == "1 inserted, 2 rejected"
    assert "would reject 2 of 3 rows, max_rejects is 1. Nothing was written" in result.messages["strict"]
    assert project.query("from dwh.totals select v, events") == [("a", 1)]
    _land(project, "'2', 'a', 'x', '2024-01-02'", "'2', 'b', 'x', '2024-01-02'")
    assert project.run("--select", "dim", "totals").messages["dim"] == "1 inserted, 2 rejected"
    assert project.query("select v, events from dwh.totals order by v") == [("a", 2), ("b", 1)]
    for name in ("dim", "totals"):
        assert project.query(f"select reason, row_text from sluice.dwh__{name}__rejects order by row_text") == [
            ("lake.events.t is NULL", "id=7, v=a, u=x, t=NULL"),
            ("lake.events.t is NULL", "id=8, v=b, u=x, t=NULL"),
        ]
    assert project.run("--select", "dim").messages["dim"] == "SKIP nothing new"


def test_ties_are_counted_and_stop_the_load_when_they_must(project: DbtProject) -> None:
    project.model("warned", SELECT, materialized="scd2", **KEYED)
    project.model("stopped", SELECT, materialized="scd1", on_tie="error", **KEYED)
    assert project.run().success
    _land(project, "'1', 'b', 'x', '2024-01-01'", "'2', 'b', 'x', '2024-01-02'", "'2', 'c', null, '2024-01-02'")
    result = project.run()
    assert "2 events of dwh.stopped have equal key, time and tie-breakers" in result.messages["stopped"]
    # one loser each: the stored row of key 1 is read again at the watermark, and counts once
    assert project.query("select sum(tie_count) from sluice.load_log where target = 'dwh.warned'") == [(2,)]
    assert project.query("select id, v from dwh.warned order by id") == [("1", "b"), ("2", "b")]
    assert project.query("select id, v from dwh.stopped") == [("1", "a")]


def test_target_grows_with_the_select_and_keeps_what_the_select_drops(project: DbtProject) -> None:
    settings = {**KEYED, "scd_columns": ["v"]}
    _land(project, "'1', 'a', 'y', '2024-01-02'")
    project.model("dim", "select e.id, e.v, e.u, cast(1 as integer) as n, e.t" + FROM, materialized="scd2", **settings)
    assert project.run().success
    _land(project, "'1', 'a', 'z', '2024-01-03'")
    changed = "select e.id, e.v, 'new' as extra, cast(3000000000 as bigint) as n, e.t" + FROM
    project.model("dim", changed, materialized="scd2", **settings)
    assert project.run().messages["dim"] == "1 updated"
    types = dict(project.query("select column_name, column_type from (describe dwh.dim)"))
    assert types["n"] == "BIGINT"
    assert project.query("select id, v, u, extra, n, valid_to from dwh.dim") == [
        ("1", "a", None, "new", 3000000000, None)
    ]
    assert project.query("select u, extra, n from sluice.dwh__dim__side order by t") == [
        ("x", None, 1),
        ("y", "new", 3000000000),
    ], "the event of the watermark is read again, and keeps what the SELECT yields no more"


def test_type_that_does_not_widen_stops_the_load_and_names_the_statement(project: DbtProject) -> None:
    project.model("dim", "select e.id, 1 as n, e.t" + FROM, materialized="scd1", **KEYED)
    assert project.run().success
    _land(project, "'1', 'a', 'y', '2024-01-02'")
    project.model("dim", "select e.id, 'one' as n, e.t" + FROM, materialized="scd1", **KEYED)
    message = project.run().messages["dim"]
    assert "n of dwh.dim is integer and the SELECT yields varchar" in message
    assert 'alter table "warehouse"."dwh"."dim" alter column n type varchar' in message


def test_full_refresh_replaces_rows_in_place_and_begins_an_epoch(project: DbtProject) -> None:
    for kind in ("scd1", "scd2", "append"):
        project.model(kind, SELECT, materialized=kind, **KEYED)
    assert project.run().success
    project.execute("create view dwh.on_top as select id from dwh.scd2", "delete from lake.events")
    _land(project, "'2', 'b', 'x', '2024-01-02'")
    refused = project.run("--full-refresh")
    for kind in ("scd1", "scd2", "append"):
        assert f"1 rows of dwh.{kind} are older than every row that its sources still yield" in refused.messages[kind]
        assert project.query(f"select id from dwh.{kind}") == [("1",)]
    assert project.run("--full-refresh", env={"SLUICE_FORCE_FULL_REFRESH": "1"}).success
    for kind in ("scd1", "scd2", "append"):
        assert project.query(f"select id from dwh.{kind}") == [("2",)]
        assert project.query(f"select epoch from sluice.dwh__{kind}__head") == [(1,)]
    assert project.query("select id from dwh.on_top") == [("2",)]


def test_full_refresh_changes_the_load_type_in_place(project: DbtProject) -> None:
    _land(project, "'1', 'b', 'x', '2024-01-02'")
    rows = {"scd2": 2, "append": 1, "scd1": 1}
    for kind in ("scd1", "scd2", "append", "scd2", "scd1"):
        project.model("dim", SELECT, materialized=kind, **KEYED)
        if project.query("select 1 from information_schema.tables where table_schema = 'dwh'"):
            assert "sluice rebuild dwh.dim" in project.run().messages["dim"]
        assert project.run("--full-refresh").messages["dim"].startswith(f"{rows[kind]} inserted")
        names = [name for name, *_ in project.query("describe dwh.dim")]
        assert ("valid_from" in names) == (kind == "scd2")
        assert project.query("select count(*) from dwh.dim") == [(rows[kind],)]
    project.model("dim", SELECT.replace("e.t", "cast(e.t as date) as t"), materialized="scd2", **KEYED)
    project.execute(
        "alter table dwh.dim alter column t type date", "alter table sluice.dwh__dim__side alter t type date"
    )
    assert project.run("--full-refresh").success
    assert dict(row[:2] for row in project.query("describe dwh.dim"))["valid_from"] == "DATE"


def test_column_that_the_select_dropped_outlives_replays_and_rebuilds(project: DbtProject) -> None:
    kinds = {"scd1": "scd1", "scd2": "scd2", "range": "append"}
    keyed = {"scd1": KEYED, "scd2": {**KEYED, "scd_columns": ["v"]}, "range": {**KEYED, "business_key": []}}
    for name, kind in kinds.items():
        project.model(name, SELECT, materialized=kind, **keyed[name])
    assert project.run().success
    _land(project, "'2', 'b', 'y', '2024-01-02'")
    for name, kind in kinds.items():
        settings = {**keyed[name], "scd_columns": []} if name == "scd2" else keyed[name]
        project.model(name, SELECT.replace("e.u, ", ""), materialized=kind, **settings)
    result = project.run()
    # the row at the watermark is read again: by another SELECT now, so that this derivation takes its place
    assert {name: result.messages[name] for name in ("scd1", "range")} == {
        "scd1": "1 inserted, 1 updated",
        "range": "1 inserted",
    }
    for name in kinds:
        assert project.query(f"select id, v, u from dwh.{name} order by id") == [("1", "a", "x"), ("2", "b", None)]
    _land(project, "'2', 'b', 'y', '2024-01-02'")
    assert project.run().messages["range"] == "1 inserted", "a row that stands twice in the source stands twice"
    project.execute("delete from lake.events where id = '2'")
    _land(project, "'3', 'c', 'y', '2024-01-02'")
    assert project.run().messages["range"] == "1 inserted, 2 deleted"


def test_inactive_or_empty_run_writes_nothing(project: DbtProject) -> None:
    project.model("off", SELECT, materialized="scd2", is_active=False, **KEYED)
    project.model("on", SELECT, materialized="scd2", **KEYED)
    assert project.run("--empty").success
    assert project.query("select count(*) from sluice.load_log") == [(0,)]
    result = project.run()
    assert result.messages["off"] == "SKIP inactive"
    assert project.query("select target from sluice.load_log") == [("dwh.on",)]
    assert project.query("select table_name from information_schema.tables where table_schema = 'dwh'") == [("on",)]


def test_probe_leaves_nothing_behind(project: DbtProject) -> None:
    project.execute("create table lake.notes (word varchar)")
    hooks = [{"sql": "insert into lake.notes values ('before')", "transaction": False}]
    columns = "select table_name, column_name from information_schema.columns where table_schema = 'dwh' order by all"
    project.model("grows", SELECT, materialized="scd1", **KEYED)
    assert project.run().success
    before = project.query(columns)
    project.model("grows", SELECT.replace("e.v,", "e.v, 1 as more,"), materialized="scd1", **KEYED)
    project.model("first", SELECT, materialized="scd2", is_active=False, config={"pre_hook": hooks}, **KEYED)

    result = project.run("--empty", env={"SLUICE_PROBE": "1"})

    assert {result.messages[name] for name in ("grows", "first")} == {"EMPTY checked"}
    assert project.query(columns) == before
    assert project.query("select table_name from information_schema.tables where table_name like '%first%'") == []
    assert project.query("select count(*) from lake.notes") == [(0,)]


def test_hooks_grants_and_comments_take_part_in_a_load(project: DbtProject) -> None:
    note = "insert into lake.notes select '{}', count(*) from {}"
    project.execute("create table lake.notes (word varchar, log_rows integer)")
    project.model(
        "dim",
        SELECT,
        materialized="scd1",
        **KEYED,
        config={
            "persist_docs": {"relation": True, "columns": True},
            "pre_hook": [
                {"sql": note.format("before", "lake.events"), "transaction": False},
                {"sql": note.format("begun", "sluice.load_log"), "transaction": True},
            ],
            "post_hook": [
                {"sql": note.format("loaded", "sluice.load_log"), "transaction": True},
                {"sql": note.format("after", "sluice.load_log"), "transaction": False},
            ],
        },
    )
    assert project.run().success
    assert project.query("from lake.notes") == [("before", 1), ("begun", 0), ("loaded", 1), ("after", 1)]
    project.execute("delete from lake.notes")
    assert project.run().success
    assert project.query("from lake.notes") == [], "nothing new, no hook"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"materialized": "scd1"}, "sluice.scd1: dwh.dim has no business_key."),
        (
            {"materialized": "scd2", "business_key": ["nr"]},
            "business_key of dwh.dim names nr, which the SELECT does not yield",
        ),
        ({"materialized": "scd2", "business_key": ["id"], "sequence_by": ["at"]}, "does not yield at"),
        ({"materialized": "append", "business_key": ["id"], "increment": "groups"}, "read by groups"),
        ({"materialized": "append", "increment": "full"}, "every load would duplicate its rows"),
        ({"materialized": "append", "business_key": ["id"], "delete_when": "v = 'a'"}, "append never deletes"),
        ({"materialized": "scd1", "business_key": ["id"], "on_tie": "shrug"}, "on_tie of dwh.dim is shrug"),
    ],
)
def test_settings_that_do_not_fit_are_refused(project: DbtProject, settings: dict[str, str], message: str) -> None:
    project.model("dim", SELECT, incremental_key="t", dependencies=[driving("events", incremental_key="t")], **settings)
    result = project.run("--select", "dim")
    assert message in result.messages["dim"]
    assert project.query("select count(*) from information_schema.tables where table_schema = 'dwh'") == [(0,)]


def test_target_that_somebody_else_made_dropped_or_rekeyed_is_refused(project: DbtProject) -> None:
    project.model("dim", SELECT, materialized="scd1", **KEYED)
    project.execute("create schema dwh", "create table dwh.dim as select 1 as id")
    assert "exists and was not created by Sluice" in project.run().messages["dim"]
    project.execute("drop table dwh.dim")
    assert project.run().success
    _land(project, "'2', 'a', 'y', '2024-01-02'")
    project.model("dim", SELECT, materialized="scd1", **{**KEYED, "business_key": ["id", "v"]})
    assert "was loaded as scd1 by (id) in order of (t) and is now scd1 by (id, v)" in project.run().messages["dim"]
    project.execute("drop table dwh.dim")
    assert "does not exist any more, but its head does" in project.run().messages["dim"]
    assert project.run("--full-refresh").success
    assert project.query("select count(*) from dwh.dim") == [(2,)]


def test_names_that_sql_reserves_or_spells_in_two_cases_are_quoted(project: DbtProject) -> None:
    project.model(
        "odd",
        'select e.id as "Order", e.v as "select", e.u as "Über ""u""", e.t as "at"' + FROM,
        materialized="scd2",
        business_key=["Order"],
        sequence_by=["at"],
        delete_when="\"select\" = 'gone'",
        dependencies=[driving("events", incremental_key="t")],
    )
    assert project.run().success
    _land(project, "'1', 'b', 'x', '2024-01-03'", "'1', 'c', 'x', '2024-01-02'", "'2', 'gone', 'x', '2024-01-02'")
    assert project.run().success
    assert project.query('select "Order", "select", valid_to is null from dwh.odd order by valid_from') == [
        ("1", "a", False),
        ("1", "c", False),
        ("1", "b", True),
    ]


def test_hand_written_model_loads_without_any_metadata(project: DbtProject) -> None:
    project.write(
        "models/by_hand.sql",
        (
            "{{ config(materialized='scd2', schema='dwh', business_key=['id'], incremental_key='t',"
            " scd_columns=['v']) }}\n" + SELECT + "\n"
        ),
    )
    project.write(
        "models/on_top.sql",
        (
            "{{ config(materialized='scd1', schema='dwh', business_key=['id'], sequence_by=['t']) }}\n"
            "select h.id, h.v, h.t from {{ sluice.increment(ref('by_hand')) }} as h where h.is_current\n"
        ),
    )
    assert project.run().success
    _land(project, "'1', 'b', 'x', '2024-01-02'")
    assert project.run().messages["on_top"] == "1 updated"
    assert project.query("select id, v from dwh.on_top") == [("1", "b")]


def test_unit_test_of_dbt_reads_its_fixture(project: DbtProject) -> None:
    project.model("dim", SELECT, materialized="scd2", **KEYED)
    project.write(
        "models/unit.yml",
        """
unit_tests:
  - name: reads_fixture
    model: dim
    given: [{input: "source('lake', 'events')", rows: [{id: '7', v: z}]}]
    expect: {rows: [{id: '7', v: z}]}
""",
    )
    assert project.run().success
    result = project.run(command="build")
    assert result.statuses["reads_fixture"] == "pass"


def test_generic_tests_find_what_breaks_a_history(project: DbtProject) -> None:
    key = {"arguments": {"business_key": ["id"]}}
    tests = [
        {"one_current_row": key},
        {"no_overlap": key},
        "no_zero_length",
        {"key_not_null": key},
        {"touching_versions_differ": {"arguments": {"business_key": ["id"], "scd_columns": ["v", "u"]}}},
    ]
    project.model("dim", SELECT, materialized="scd2", data_tests=tests, **KEYED)
    _land(project, "'1', 'b', 'x', '2024-01-02'", "'1', 'c', 'x', '2024-01-03'")
    built = project.run(command="build")
    assert built.success, built.messages
    project.execute("""
        insert into dwh.dim (id, v, u, valid_from, valid_to, is_current)
        values
            ('1', 'a', 'x', '2024-01-05', null, true),
            (null, 'b', 'x', '2024-01-01', '2024-01-01', false),
            ('9', 'a', 'x', '2024-01-01', '2024-01-02', false),
            ('9', 'a', 'x', '2024-01-02', null, true)
    """)
    assert not project.run(command="test").success
    found = [name for name, status in project.run(command="test").statuses.items() if status == "fail"]
    assert len(found) == len(tests), found
