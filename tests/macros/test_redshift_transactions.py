"""What the real dbt-redshift adapter sends: each load is one transaction, and a fault leaves nothing or everything."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path

import psycopg
import pytest

from flows.lint.checks import check_text
from tests.redshift_standin.journal import Action, Fault
from tests.redshift_standin.server import Isolation, Standin
from tests.support.dbt_project import driving
from tests.support.failures import is_soft
from tests.support.redshift_project import RedshiftProject

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]
ROOT = Path(__file__).parents[2]
SELECT = "select e.id, e.v, e.t from {{ sluice.increment(source('lake', 'events')) }} as e"
KINDS = ("scd1", "scd2", "append", "range")
CONFLICT = "could not complete because of conflict with concurrent transaction"
LOG = r"insert into [^ ]*load_log"
COMMIT = r"^(/\*.*\*/)?\s*commit"


KEYED = {"business_key": ["id"]}
READS = {"incremental_key": "t", "dependencies": [driving("events", incremental_key="t")]}


def _make_source(project: RedshiftProject) -> None:
    project.execute(
        "create schema lake",
        "create table lake.events (id integer, v varchar(10), t timestamp)",
        "insert into lake.events values (1, 'a', '2024-01-01')",
    )
    project.source("events")


@pytest.fixture
def project(redshift_standin: Standin, tmp_path: Path) -> RedshiftProject:
    project = RedshiftProject(tmp_path, redshift_standin, threads=len(KINDS))
    _make_source(project)
    for kind in KINDS:
        key = {} if kind == "range" else {"business_key": ["id"]}
        materialized = "append" if kind == "range" else kind
        project.model(kind, SELECT, materialized=materialized, **key, **READS)
    return project


def _change_source(project: RedshiftProject) -> None:
    project.execute(
        "insert into lake.events values (1, 'b', '2024-01-02'), (2, 'c', '2024-01-02'), (null, 'd', '2024-01-02')"
    )


def test_every_permanent_write_shares_a_transaction_with_its_log_row(project: RedshiftProject) -> None:
    assert project.run().success
    _change_source(project)
    journal = project.standin.journal
    journal.clear()
    result = project.run()
    assert result.success, result.messages
    logs = journal.writes(["sluice.load_log"])
    assert len(logs) == len(KINDS)
    for kind in KINDS:
        tables = [f"dwh.{kind}", *(f"sluice.dwh__{kind}__{part}" for part in ("side", "head", "rejects"))]
        writes = journal.writes(tables)
        (log,) = [entry for entry in logs if f"'dwh.{kind}'" in entry.sql]
        assert {entry.transaction for entry in writes} == {log.transaction}
        assert log.transaction is not None
        inside = [entry for entry in journal.entries if entry.transaction == log.transaction]
        assert inside[0].kind == "begin"
        assert "__head" in inside[1].sql
        assert inside[-1].kind == "commit"
        changed = [entry for entry in inside if entry.target and "." in entry.target]
        assert changed[0].target is not None
        assert changed[0].target.endswith('__head"')
        assert changed[-1] is log


def test_a_connection_that_breaks_after_the_commit_loses_nothing(project: RedshiftProject) -> None:
    assert project.run().success
    _change_source(project)
    journal = project.standin.journal
    fault = Fault(COMMIT, action=Action.DROP_AFTER, count=99, within=LOG)
    journal.faults.append(fault)
    assert not project.run().success
    assert fault.hits == len(KINDS)
    assert project.query("select count(*) from sluice.load_log") == [(8,)]
    journal.clear()
    assert project.run().success
    assert project.query("select id, v from dwh.scd1 order by id") == [(1, "b"), (2, "c")]
    assert sorted(project.query("select id, v from dwh.range"), key=str) == [(1, "a"), (1, "b"), (2, "c"), (None, "d")]


def test_the_rights_that_the_documentation_names_suffice(redshift_standin: Standin, tmp_path: Path) -> None:
    project = RedshiftProject(tmp_path, redshift_standin, user="loader", password="secret")
    _make_source(project)
    project.model("kept", SELECT, materialized="scd2", **KEYED, **READS)
    view = SELECT.replace("{{ sluice.increment(source('lake', 'events')) }}", "{{ source('lake', 'events') }}")
    project.model("seen", view, materialized="refresh", increment="full", **KEYED, **READS)
    (block,) = re.findall("```sql\n(.*?)```", (ROOT / "docs/operations/redshift.md").read_text(), re.DOTALL)
    database = redshift_standin.profile()["dbname"]
    with psycopg.connect(redshift_standin.url, autocommit=True) as connection:
        connection.execute("create role loader login password 'secret'")
        try:
            for grant in block.replace("database sluice", f"database {database}").replace("shop", "lake").split(";"):
                if grant.strip():
                    project.execute(grant)
            first = project.run()
            project.model("kept", SELECT.replace("e.v,", "e.v, e.id as w,"), materialized="scd2", **KEYED, **READS)
            _change_source(project)
            second = project.run()
        finally:
            connection.execute("drop owned by loader cascade")
            connection.execute("drop role loader")
    assert first.success, first.messages
    assert second.success, second.messages


BY_ROW = {"distkey": "v", "sortkey": ["t", "v", "id"]}
# Target → its settings, and what the warehouse keeps of it: distribution, first sort key and their number.
LAYOUTS = {
    "scd2_by_key": ({}, ("KEY(id)", "id", 2)),
    "scd1_everywhere": ({"distkey": "all"}, ("ALL", "id", 2)),
    **{f"{kind}_by_row": (BY_ROW, ("KEY(v)", "t", 3)) for kind in ("scd1", "scd2", "append")},
}


def test_target_and_side_table_are_laid_out_by_key_or_as_the_row_says(
    redshift_standin: Standin, tmp_path: Path
) -> None:
    project = RedshiftProject(tmp_path, redshift_standin)
    _make_source(project)
    for name, (settings, _) in LAYOUTS.items():
        kind = name.partition("_")[0]
        project.model(name, SELECT, materialized=kind, business_key=["id"], **settings, **READS)
    result = project.run()
    assert result.success, result.messages
    found = {
        name: tuple(layout)
        for name, *layout in project.query("""select "table", diststyle, sortkey1, sortkey_num from svv_table_info""")
    }
    for name, (_, layout) in LAYOUTS.items():
        assert found[name] == found[f"dwh__{name}__side"] == layout, name
    staged = {
        str(entry.node): entry.sql for entry in project.standin.journal.matching("create temporary table sluice_stage")
    }
    assert "distkey (id)" in staged["scd2_by_key"]
    assert "distkey (v)" in staged["scd2_by_row"]


@pytest.mark.parametrize(
    ("isolation", "statement", "do_meet"),
    [(Isolation.SNAPSHOT, LOG, True), (Isolation.SERIALIZABLE, LOG, True), (Isolation.SNAPSHOT, COMMIT, False)],
)
def test_loads_of_different_targets_wait_for_each_other_only_while_they_commit(
    project: RedshiftProject, isolation: Isolation, statement: str, do_meet: bool
) -> None:
    """All have written their targets before one of them logs; once one has logged, the others wait for its COMMIT."""
    project.standin.isolation = isolation
    assert project.run().success
    _change_source(project)
    meeting = threading.Barrier(len(KINDS))

    def meet() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(timeout=30 if do_meet else 1)

    within = LOG if statement == COMMIT else ""
    project.standin.journal.faults.append(
        Fault(statement, action=Action.MEANWHILE, count=99, within=within, meanwhile=meet)
    )
    result = project.run()
    assert result.success, result.messages
    assert meeting.broken is not do_meet


@pytest.mark.parametrize(
    ("isolation", "message"), [(Isolation.SNAPSHOT, CONFLICT), (Isolation.SERIALIZABLE, "\n  1023\n")]
)
def test_a_load_whose_head_changed_after_its_snapshot_fails_softly(
    project: RedshiftProject, isolation: Isolation, message: str
) -> None:
    """A hook in the transaction reads something, which takes the snapshot; then somebody else commits to the head."""
    project.standin.isolation = isolation
    project.model(
        "scd2",
        SELECT,
        materialized="scd2",
        business_key=["id"],
        config={"pre_hook": "select 1 from lake.events"},
        **READS,
    )
    assert project.run("--select", "scd2").success
    _change_source(project)
    before = project.query("select * from dwh.scd2")
    touch = "update sluice.dwh__scd2__head set logged_at = logged_at"
    project.standin.journal.faults.append(
        Fault("update [^ ]*__head", action=Action.MEANWHILE, node="scd2", meanwhile=lambda: project.execute(touch))
    )
    lost = project.run("--select", "scd2")
    assert message in lost.messages["scd2"]
    assert is_soft(lost.messages["scd2"])
    assert project.query("select * from dwh.scd2") == before
    assert project.run("--select", "scd2").success
    assert project.query("select count(*) from sluice.load_log") == [(2,)]
    assert project.query("select count(*) from dwh.scd2 where is_current") == [(2,)]


def test_a_column_is_added_and_a_varchar_widened_outside_of_transactions(project: RedshiftProject) -> None:
    assert project.run().success
    project.execute(
        "alter table lake.events alter column v type varchar(20)", "alter table lake.events add column w integer"
    )
    for kind in KINDS:
        file = project.root / f"models/{kind}.sql"
        file.write_text(file.read_text().replace("e.v,", "e.v, e.w,"))
    project.execute("insert into lake.events values (1, 'more than ten', '2024-01-02', 7)")
    result = project.run()
    assert result.success, result.messages
    assert project.query("select v, w from dwh.scd1") == [("more than ten", 7)]


def test_a_value_that_does_not_cast_is_a_reject(redshift_standin: Standin, tmp_path: Path) -> None:
    project = RedshiftProject(tmp_path, redshift_standin)
    _make_source(project)
    project.execute(
        "create table lake.texts (id varchar(9), n varchar(9), d varchar(30), b varchar(9), big bigint, t timestamp)",
        """insert into lake.texts values
           ('1', ' 1 ', '2024-01-31', 'yes', 1, '2024-01-01'),
           ('2', 'one', '2024-01-31', 'no', 1, '2024-01-01'),
           ('3', '1', '2024-02-31', 'true', 1, '2024-01-01'),
           ('4', '1', '2024-01-31', 'maybe', 1, '2024-01-01'),
           ('5', '1', '2024-01-31', 'f', 3000000000, '2024-01-01'),
           ('6', '', null, null, null, '2024-01-01')""",
    )
    project.source("texts")
    columns = {"id": "integer", "n": "numeric(5, 2)", "d": "date", "b": "boolean", "big": "integer", "t": "timestamp"}
    select = "select e.id, e.n, e.d, e.b, e.big, e.t from {{ sluice.increment(source('lake', 'texts')) }} as e"
    reads = {"incremental_key": "t", "dependencies": [driving("texts", incremental_key="t")]}
    for kind in ("scd1", "scd2"):
        project.model(f"typed_{kind}", select, materialized=kind, columns=columns, **KEYED, **reads)
    result = project.run()
    assert result.success, result.messages
    for kind in ("scd1", "scd2"):
        assert project.query(f"select id, cast(n as varchar(9)), b, big from dwh.typed_{kind}") == [
            (1, "1.00", True, 1)
        ]
        reasons = project.query(f"select reason from sluice.dwh__typed_{kind}__rejects order by row_text")
        words = ["n does not cast", "d does not cast", "b does not cast", "big does not cast", "n does not cast"]
        assert len(reasons) == len(words)
        assert all(reason.startswith(word) for (reason,), word in zip(reasons, words, strict=True)), reasons
    assert project.broken_rules() == {}


@pytest.mark.parametrize(
    ("profile", "flags", "message"),
    [
        (
            {"autocommit": False},
            {},
            r"autocommit is false in the profile: [^.]*\.\s+Set autocommit to true, or remove it",
        ),
        (
            {},
            {"redshift_skip_autocommit_transaction_statements": True},
            "would not be transactions. Set it to false under flags in dbt_project.yml.",
        ),
    ],
)
def test_a_load_refuses_settings_that_undo_transactions(
    redshift_standin: Standin, tmp_path: Path, profile: dict[str, object], flags: dict[str, object], message: str
) -> None:
    project = RedshiftProject(tmp_path, redshift_standin, **profile)
    file = tmp_path / "dbt_project.yml"
    for name, value in flags.items():
        file.write_text(file.read_text().replace("flags:\n", f"flags:\n  {name}: {str(value).lower()}\n"))
    project.model("one", "select 1 as id, 2 as t", materialized="scd1", business_key=["id"], increment="full")
    result = project.run()
    assert not result.success
    assert re.search(message, result.messages.get("one", result.error))
    assert not project.standin.journal.matching("insert into")


def test_scripts_of_loads_pass_the_lint(project: RedshiftProject) -> None:
    assert project.run().success
    _change_source(project)
    assert project.run().success
    scripts = sorted((project.root / "target/run").rglob("*.sql"))
    assert [script.stem for script in scripts] == sorted(KINDS)
    for script in scripts:
        text = script.read_text()
        assert "begin;" in text
        assert check_text(text) == (), script
    assert project.broken_rules() == {}
