"""What happens when the SELECT, or a person, changes the columns of a target; on DuckDB and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.dbt_project import DbtProject, driving

FROM = " from {{ sluice.increment(source('lake', 'events')) }} as e"
SELECT = "select e.id, e.v, e.n, e.t" + FROM
KEYED = {"business_key": ["id"], "incremental_key": "t", "dependencies": [driving("events", incremental_key="t")]}
KINDS = ("scd1", "scd2", "append")


@pytest.fixture(scope="module")
def module_project(make_on_each: Callable[[str], DbtProject]) -> DbtProject:
    project = make_on_each("altered")
    project.source("events")
    return project


@pytest.fixture
def project(module_project: DbtProject) -> DbtProject:
    """The module's project with one loaded row in a target of each kind."""
    module_project.remove_models()
    module_project.empty(
        "create table lake.events (id varchar, v varchar, n integer, t timestamp)",
        "insert into lake.events values ('1', 'a', 1, '2024-01-01')",
    )
    for kind in KINDS:
        module_project.model(kind, SELECT, materialized=kind, **KEYED)
    assert module_project.run().success
    return module_project


def test_on_schema_change_adds_columns_refuses_or_leaves_the_table_alone(project: DbtProject) -> None:
    """Wider values than the column's are rejects under ignore; under fail nothing is loaded."""
    grown = (
        "select e.id, e.v, case when e.n > 1 then 1000000000 else 1 end * cast(e.n as bigint) as n, e.t, 7 as extra"
        + FROM
    )
    policies = {"scd1": "ignore", "scd2": "fail", "append": "append_new_columns"}
    for kind, policy in policies.items():
        project.model(kind, grown, materialized=kind, config={"on_schema_change": policy}, **KEYED)
    project.execute("insert into lake.events values ('2', 'b', 2, '2024-01-02'), ('3', 'c', 9, '2024-01-03')")
    messages = project.run().messages

    assert messages["scd1"] == "1 inserted, 1 updated, 1 rejected"  # the row at the watermark, by the new SELECT
    assert project.query("select id, n from dwh.scd1 order by id") == [("1", 1), ("2", 2_000_000_000)]
    ((reason,),) = project.query("select reason from sluice.dwh__scd1__rejects")
    assert reason == "n does not cast to integer: 9000000000"
    assert "dwh.scd2 would change (" in messages["scd2"]
    assert "on_schema_change is fail" in messages["scd2"]
    assert project.query("select id from dwh.scd2") == [("1",)]
    rows = project.query("select id, n, extra from dwh.append order by id")  # the first was read again
    assert rows == [("1", 1, 7), ("2", 2_000_000_000, 7), ("3", 9_000_000_000, 7)]

    project.execute("insert into lake.events values ('4', 'd', 4, '2024-01-04')")
    project.model("scd1", SELECT, materialized="scd1", config={"on_schema_change": "sync_all_columns"}, **KEYED)
    assert "Use append_new_columns, fail or ignore" in project.run("--select", "scd1").messages["scd1"]


def test_column_of_an_equal_type_is_not_altered(project: DbtProject) -> None:
    """Of equal decimals each holds the other's values; a load must not take that for a change."""
    priced = "select e.id, e.v, cast(e.n as decimal(12, 2)) as price, e.t" + FROM
    project.model("priced", priced, materialized="scd2", config={"on_schema_change": "fail"}, **KEYED)
    project.run("--select", "priced")
    project.execute("insert into lake.events values ('2', 'b', 2, '2024-01-02')")
    assert project.run("--select", "priced").messages["priced"] == "1 inserted"


def test_contract_is_enforced_at_every_load(project: DbtProject) -> None:
    held = {"contract": {"enforced": True}}
    text = "character varying" if project.adapter == "postgres" else "varchar"
    columns = {"id": text, "v": text, "n": "integer", "t": "timestamp"}
    for kind in KINDS:
        project.model(kind, SELECT, materialized=kind, columns=columns, config=held, **KEYED)
    project.execute("insert into lake.events values ('2', 'b', 2, '2024-01-02')")
    assert set(project.run(*("--select", *KINDS)).messages.values()) >= {"1 inserted"}

    for kind in KINDS:
        broken = SELECT.replace("e.n,", "cast(e.n as varchar) as n, 1 as more,")
        project.model(kind, broken, materialized=kind, columns=columns, config=held, **KEYED)
    project.execute("insert into lake.events values ('3', 'c', 3, '2024-01-03')")
    messages = project.run().messages
    for kind in KINDS:
        assert "This model has an enforced contract that failed" in messages[kind]
        assert "more" in messages[kind]
        assert project.query(f"select count(*) from dwh.{kind}") == [(2,)]


ALTERED = {
    "alter table dwh.{0} drop column v": "has no column v ",
    "alter table dwh.{0} add column note varchar(20)": "note is",
    "alter table dwh.{0} alter column n type bigint": "n is bigint in",
    "alter table dwh.{0} drop column _sluice_run_id": "has no column _sluice_run_id",
    "drop table sluice.dwh__{0}__side": "is gone",
}


def test_table_that_somebody_altered_stops_the_load_with_what_to_undo(project: DbtProject) -> None:
    names = [f"dim_{number}" for number in range(len(ALTERED))]
    for number, name in enumerate(names):
        project.model(name, SELECT, materialized=KINDS[number % len(KINDS)], **KEYED)
    assert project.run("--select", *names).success
    project.execute(*(statement.format(name) for statement, name in zip(ALTERED, names, strict=True)))
    project.execute("insert into lake.events values ('2', 'b', 2, '2024-01-02')")
    messages = project.run("--select", *names).messages
    for name, finding in zip(names, ALTERED.values(), strict=True):
        assert f"somebody altered dwh.{name}: " in messages[name]
        assert finding in messages[name]
        assert project.query(f"select count(*) from dwh.{name}") == [(1,)]
    assert project.query("select max(rows_inserted), count(*) from sluice.load_log") == [(1, 8)]


def test_event_time_of_a_history_keeps_its_type(project: DbtProject) -> None:
    """valid_from and valid_to have it, too: a day must not become an instant beside them."""
    day = SELECT.replace("e.t", "cast(e.t as date) as t")
    project.model("days", day, materialized="scd2", **KEYED)
    assert project.run("--select", "days").success
    project.execute("insert into lake.events values ('1', 'b', 2, '2024-01-02 12:00')")
    project.model("days", SELECT, materialized="scd2", **KEYED)
    message = project.run("--select", "days").messages["days"]
    assert "t of dwh.days is date and the SELECT yields timestamp" in message
    assert "sluice rebuild dwh.days" in message
