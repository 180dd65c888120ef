"""Blanks at the end of text: Redshift compares without them, so one form is loaded, in whatever order events arrive."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from tests.redshift_standin.server import Standin
from tests.support import scd_oracle as oracle
from tests.support.dbt_project import driving
from tests.support.redshift_project import RedshiftProject, connect

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

KEYS, VALUES = ("a", "a ", "a   ", " a", "b", "", "  "), ("x", "x ", "x  ", "y", "y ", None)
SELECT = "select e.id, e.v, e.at, e.landed from {{ sluice.increment(source('lake', 'events')) }} as e"
COMPARISONS = {
    "select count(*) from t where a = 'x'": 3,
    "select count(*) from t where a <> 'x '": 2,
    "select count(*) from t where a in ('x   ')": 3,
    "select count(distinct a) from t": 3,
    "select count(*) from (select distinct a from t) as d": 3,
    "select count(*) from (select a from t group by a) as d": 3,
    "select count(*) from (select a from t union select a from t) as d": 3,
    "select count(*) from t join t as u on t.a = u.a": 11,
    "select count(*) from t join t as u using (a)": 11,
    "select max(n) from (select row_number() over (partition by a order by a) as n from t) as d": 3,
    "select count(*) from t where a = lower('X ')": 3,
    "select count(*) from t where a >= 'x' and a <= 'x'": 3,
    "select count(*) from t where exists (select 1 from t as u where u.a = t.a and u.a = 'y  ')": 1,
    "select count(*) from t where case a when 'x ' then true else false end": 3,
    "select count(*) from t where nullif(a, 'x ') is null": 3,
    "select max(len(a)) from t": 3,
    "select count(*) from t where a like 'x'": 1,
    "select count(*) from t where a || '.' = 'x.'": 1,
}


def test_stand_in_compares_text_without_the_blanks_at_its_end(redshift_standin: Standin, tmp_path: Path) -> None:
    project = RedshiftProject(tmp_path, redshift_standin)
    project.execute("create table t (a varchar(9))", "insert into t values ('x'), ('x '), ('x  '), ('y'), (' x')")
    assert {sql: project.query(sql)[0][0] for sql in COMPARISONS} == COMPARISONS


def test_targets_equal_the_oracle_over_text_without_blanks(redshift_standin: Standin, tmp_path: Path) -> None:
    project = RedshiftProject(tmp_path, redshift_standin)
    project.source("events")
    project.execute("create schema lake")
    project.execute("create table lake.events (id varchar(9), v varchar(9), at integer, landed integer)")
    source = {"dependencies": [driving("events", incremental_key="landed")], "sequence_by": ["at"]}
    for kind, settings in (("scd1", {}), ("scd2", {"scd_columns": ["v"]}), ("append", {})):
        key = ["id", "at"] if kind == "append" else ["id"]
        columns, tags = {"id": "varchar(2)", "v": "varchar(1)"}, {"tags": ["pipeline:nightly"]}
        project.model(
            kind, SELECT, materialized=kind, columns=columns, business_key=key, config=tags, **source, **settings
        )
    random = Random(21)
    events = []
    for landed in range(2):
        rows = [(random.choice(KEYS), random.choice(VALUES), at, landed) for at in random.sample(range(100), 25)]
        events += [row for row in rows if row[2] not in {event[2] for event in events}]
        project.insert("lake.events", [row for row in events if row[3] == landed])
        with connect(redshift_standin.profile()) as other, other.cursor() as cursor:
            cursor.execute("create temporary table sluice_shape (other integer)")  # dbt sees those of all sessions
            result = project.run()
        assert result.success, result.messages
    sent = "\n".join(entry.sql for entry in redshift_standin.journal.entries)
    shapes = re.findall(r"create temporary table (sluice_shape\w*)", sent)
    for kind in ("scd1", "scd2", "append"):
        own = [entry.sql for entry in redshift_standin.journal.entries if entry.node == kind]
        labels = [place for place, text in enumerate(own) if f"target=dwh.{kind} pipeline=nightly" in text]
        ends = [place for place, text in enumerate(own) if text.endswith("reset query_group")]
        assert len(labels) == len(ends) == 2
        assert all("insert into" not in text for text in own[ends[0] : labels[1]])
    assert len({*shapes} - {"sluice_shape"}) > 1, "each session has a name of its own"

    kept = [
        oracle.Event((key.rstrip(" "),), at, 0, False, (value and value.rstrip(" "), landed))
        for key, value, at, landed in events
    ]
    versions = oracle.scd2(kept, (0,))
    found = project.query("select id, v, landed, at, valid_from, valid_to from dwh.scd2")
    assert {oracle.Version((row[0],), row[1:3], row[3], 0, row[4], row[5]) for row in found} == versions
    assert len(found) == len(versions)
    newest = [(*key, *values, at) for key, values, at, _ in oracle.scd1(kept)]
    assert sorted(project.query("select id, v, landed, at from dwh.scd1"), key=str) == sorted(newest, key=str)
    every = [(*event.key, *event.content, event.at) for event in kept]
    assert sorted(project.query("select id, v, landed, at from dwh.append"), key=str) == sorted(every, key=str)
    assert project.query("select count(*) from sluice.dwh__scd2__rejects") == [(0,)]
    check = {f"dwh.{name}": "verify" for name in ("scd1", "scd2", "append")}
    verified = project.run(env={"SLUICE_TASKS": check})
    assert all('"counts": {}' in verified.messages[name.partition(".")[2]] for name in check), verified.messages
