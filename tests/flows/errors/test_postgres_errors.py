"""Real errors of a real PostgreSQL have the class that a person would give them: by words, and by SQLSTATE."""

from __future__ import annotations

from typing import LiteralString, cast

import psycopg
import pytest

from flows.errors.classify import ErrorFacts, FailureClass, classify, read_facts
from flows.errors.rules import DEFAULT_RULES

C = FailureClass
SET_UP = """
create table t (k integer primary key, v varchar(3) not null, n numeric(4, 2) check (n >= 0));
insert into t values (1, 'a', 1);
create role nobody_here login password 'x';
"""
STATEMENTS = {
    "selec 1": C.SYNTAX,
    "select * from nope": C.MISSING_OBJECT,
    "select * from nos.nope": C.MISSING_OBJECT,
    "create table nos.x (i integer)": C.MISSING_OBJECT,
    "select nope from t": C.MISSING_COLUMN,
    "insert into t (k, nope) values (2, 1)": C.MISSING_COLUMN,
    "select no_function(1)": C.MISSING_OBJECT,
    "select 'a'::text + 1": C.TYPE_MISMATCH,
    "insert into t (k, v) values (date '2024-01-01', 'a')": C.TYPE_MISMATCH,
    "select 1 union select 'a'::text": C.TYPE_MISMATCH,
    "select cast(true as date)": C.TYPE_MISMATCH,
    "select v from t group by k || ''": C.SYNTAX,
    "select cast('a' as integer)": C.VALUE,
    "select date '2024-02-30'": C.VALUE,
    "select 1 / (k - 1) from t": C.VALUE,
    "select 2147483647 + k from t": C.VALUE,
    "insert into t values (2, 'long', 1)": C.VALUE,
    "insert into t values (2, null, 1)": C.VALUE,
    "insert into t values (1, 'a', 1)": C.VALUE,
    "insert into t values (2, 'a', 100)": C.VALUE,
    "insert into t values (2, 'a', -1)": C.VALUE,
    "set role nobody_here; select * from t": C.PERMISSION,
    "set statement_timeout = 10; select pg_sleep(5)": C.TIMEOUT,
    "set work_mem = '64kB'; set temp_file_limit = 0; select max(i) from "
    "(select i from generate_series(1, 100000) as t (i) order by random() offset 1) as t": C.CAPACITY,
    "select pg_terminate_backend(pg_backend_pid())": C.CONNECTION,
}


def _classes(error: psycopg.Error) -> set[FailureClass]:
    """By the words alone, as dbt hands them on, and with the SQLSTATE."""
    as_dbt_says = f"Database Error in model x (models/x.sql)\n  {error}"
    facts = ErrorFacts(text=str(error), sqlstate=error.sqlstate)
    return {
        classify(read_facts(as_dbt_says), DEFAULT_RULES).failure_class,
        classify(facts, DEFAULT_RULES).failure_class,
    }


@pytest.mark.postgres
def test_errors_of_statements_have_their_classes(postgres_url: str) -> None:
    wrong: dict[str, set[FailureClass]] = {}
    with psycopg.connect(postgres_url, autocommit=True) as setting_up:
        setting_up.execute(SET_UP)
    for statement, expected in STATEMENTS.items():
        with psycopg.connect(postgres_url) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(cast("LiteralString", statement))
        if _classes(caught.value) != {expected}:
            wrong[f"{statement}: {caught.value}"] = _classes(caught.value)
    with psycopg.connect(postgres_url, autocommit=True) as cleaning:
        cleaning.execute("drop role nobody_here")
    assert wrong == {}


@pytest.mark.postgres
def test_locks_conflicts_and_refused_connections_have_their_classes(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as setting_up:
        setting_up.execute("create table t as select 1 as i")
    with psycopg.connect(postgres_url) as first, psycopg.connect(postgres_url) as second:
        first.isolation_level = second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        second.execute("select * from t")
        first.execute("update t set i = 2")
        with pytest.raises(psycopg.Error) as locked:
            second.execute("set local lock_timeout = 10; update t set i = 3")
        second.rollback()
        second.execute("select * from t")
        first.commit()
        with pytest.raises(psycopg.Error) as conflict:
            second.execute("update t set i = 4")
    assert _classes(locked.value) == {C.LOCK}
    assert _classes(conflict.value) == {C.SERIALIZATION}
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect("postgresql://x:y@127.0.0.1:1/z", connect_timeout=2)
    assert _classes(refused.value) == {C.CONNECTION}
    with pytest.raises(psycopg.OperationalError) as password:
        psycopg.connect(postgres_url.replace("sluice:", "sluice:wrong", 1))
    assert _classes(password.value) == {C.PERMISSION}
    with pytest.raises(psycopg.OperationalError) as database:
        psycopg.connect(postgres_url.rsplit("/", 1)[0] + "/no_such_database")
    assert _classes(database.value) == {C.SETTINGS}
