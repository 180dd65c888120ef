"""The stand-in itself: it refuses what Redshift refuses, and differs from PostgreSQL where Redshift does."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redshift_connector

from flows.warehouse.columns import table_columns
from flows.warehouse.connection import PostgresWarehouse
from metadata_sync.sql.redshift import Rule
from tests.redshift_standin.errors import RedshiftError
from tests.redshift_standin.journal import Action, Fault
from tests.redshift_standin.server import Isolation, Standin
from tests.redshift_standin.statements import rules
from tests.redshift_standin.statements.translation import translate
from tests.support.redshift_examples import BREAKS
from tests.support.redshift_parquet import put_parquet

pytestmark = pytest.mark.redshift_standin

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/warehouse"
UNKNOWN = (
    "do $$ begin end $$",
    "set search_path to x",
    "create extension x",
    "listen x",
    "create trigger x",
    "call p()",
)


@pytest.mark.parametrize("rule", rules.REFUSED, ids=lambda rule: rule.name)
def test_standin_refuses_what_a_rule_of_the_lint_finds(rule: Rule) -> None:
    sql = BREAKS[rule.name].removeprefix("begin; ").removesuffix("; commit")
    with pytest.raises(RedshiftError) as refusal:
        translate(sql, is_in_block=rule.in_transaction)
    code, message = rules.WORDING.get(rule.name, (rules.SYNTAX_ERROR, "syntax error: "))
    assert refusal.value.code == code
    assert refusal.value.message.startswith(message)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sql", UNKNOWN)
def test_unknown_statement_is_refused_and_not_passed_on(sql: str) -> None:
    with pytest.raises(RedshiftError, match=r"stand-in does not know|syntax error|not supported on Redshift"):
        translate(sql, is_in_block=False)


@pytest.mark.parametrize(
    "sql",
    [
        "vacuum t",
        "create database d",
        "drop database d force",
        "alter table t alter column a type varchar(20)",
        "alter table t alter column a type bigint",
    ],
)
def test_what_redshift_refuses_in_a_transaction_is_refused(sql: str) -> None:
    with pytest.raises(RedshiftError):
        translate(sql, is_in_block=True)


@contextlib.contextmanager
def _connect(standin: Standin) -> Iterator[redshift_connector.Cursor]:
    output = standin.profile()
    names = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
    connection = redshift_connector.connect(**{new: output[old] for old, new in names.items()}, ssl=False)
    connection.autocommit = True
    try:
        yield connection.cursor()
    finally:
        with contextlib.suppress(redshift_connector.Error, OSError):  # a fault may have closed it
            connection.close()


def _run(cursor: redshift_connector.Cursor, *statements: str) -> list[list[object]]:
    for statement in statements:
        cursor.execute(statement)
    return [list(row) for row in cursor.fetchall()] if cursor.description else []


@pytest.mark.postgres
def test_answers_differ_from_postgres_where_redshift_does(redshift_standin: Standin) -> None:
    with _connect(redshift_standin) as cursor:
        _run(cursor, 'create table T (A integer primary key, "B" varchar(3), c text) distkey (a) sortkey (a, b)')
        _run(cursor, "insert into t values (1, 'abc', 'x')", "insert into t values (1, 'abc', 'x')")
        assert _run(cursor, 'select a, b from "T"') == [[1, "abc"], [1, "abc"]]
        with pytest.raises(redshift_connector.Error, match="Value too long for character type"):
            _run(cursor, "insert into t values (1, 'äö', 'x')")
        with pytest.raises(redshift_connector.Error, match="too long"):
            _run(cursor, f"insert into t values (1, 'a', '{'x' * 257}')")
        assert _run(cursor, "select cast('äöü' as varchar(3))") == [["ä"]]
        assert (
            _run(cursor, "select avg(n), avg(cast(n as numeric)) from (select 1 as n union all select 2) as s")[0][0]
            == 1
        )
        assert _run(cursor, "select cast(avg(n) as varchar(9)) from (select 1 as n union all select 2) as s") == [["1"]]
        tries = "try_cast(c as integer), try_cast(c as date), try_cast(c as numeric(3, 1))"
        assert _run(cursor, f"select {tries} from (select '100' as c) as s") == [[100, None, None]]
        with pytest.raises(redshift_connector.Error, match="TRY_CAST from text to boolean is not supported"):
            _run(cursor, "select try_cast(c as boolean) from (select 'true' as c) as s")
        assert _run(cursor, "select diststyle, sortkey1, sortkey_num from svv_table_info") == [["KEY(a)", "a", 2]]
        _run(cursor, "begin", "truncate t", "rollback")
        assert _run(cursor, "select count(*) from t") == [[0]]
        _run(cursor, "create view v as select a from later with no schema binding", "create table later (a integer)")
        _run(cursor, "insert into later values (7)")
        assert _run(cursor, "select a from public.v") == [[7]]
        with pytest.raises(redshift_connector.Error, match="Invalid digit, Value 's', Pos 0"):
            _run(cursor, "select cast('sluice' || a as integer) from later")
        with pytest.raises(redshift_connector.Error, match="multiple commands"):
            _run(cursor, "select 1; select 2")


@pytest.mark.postgres
def test_decimals_without_a_size_lose_their_cents_and_catalogs_know_all_sizes(redshift_standin: Standin) -> None:
    with _connect(redshift_standin) as cursor:
        _run(
            cursor,
            "create schema shop",
            "create table shop.sale (id integer, amount numeric(9, 2), whole decimal, code char(5), label varchar(20))",
            "insert into shop.sale values (1, 1.49, 1.49, 'DE001', 'x')",
            "create view shop.late as select id, amount, code, label from shop.sale with no schema binding",
        )
        assert _run(cursor, "select amount, whole, cast(amount as numeric) from shop.sale") == [
            [Decimal("1.49"), Decimal(1), Decimal(1)]
        ]
        hidden = "select count(*) from information_schema.columns where table_name = 'late'"
        assert _run(cursor, hidden) == [[0]]
    output = redshift_standin.profile()
    login: dict[str, Any] = {name: output[name] for name in ("host", "port", "user", "password", "dbname")}
    select = "select sum(amount) as total, min(label) as label, code from shop.sale group by code"
    with psycopg.connect(**login, sslmode="disable", autocommit=True, prepare_threshold=None) as connection:
        warehouse = PostgresWarehouse(connection, "redshift")
        described = warehouse.describe(select)
        sale, late = (table_columns(warehouse, "shop", table) for table in ("sale", "late"))
    assert [column.type for column in described] == ["numeric(38,10)", "character varying(65535)", "character(5)"]
    sizes = ["integer", "numeric(9,2)", "character(5)", "character varying(20)"]
    assert [column.type for column in late] == sizes
    assert [column.type for column in sale] == [*sizes[:2], "numeric(18,0)", *sizes[2:]]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("isolation", "message"),
    [(Isolation.SNAPSHOT, "conflict with concurrent transaction"), (Isolation.SERIALIZABLE, "1023")],
)
def test_two_writers_of_a_row_conflict_as_the_isolation_level_says(
    redshift_standin: Standin, isolation: Isolation, message: str
) -> None:
    redshift_standin.isolation = isolation
    with _connect(redshift_standin) as first, _connect(redshift_standin) as second:
        _run(first, "create table t (a integer)", "insert into t values (1)")
        for cursor in (first, second):
            _run(cursor, "begin", "select a from t")
        _run(first, "update t set a = 2", "commit")
        with pytest.raises(redshift_connector.Error, match=message):
            _run(second, "update t set a = 3")


@pytest.mark.postgres
def test_faults_and_journal_see_every_statement(redshift_standin: Standin) -> None:
    journal = redshift_standin.journal
    with _connect(redshift_standin) as cursor:
        _run(cursor, "create table t (a integer)", "begin", "insert into t values (1)")
        journal.faults.append(Fault("into t", "out of luck", code="XX000"))
        with pytest.raises(redshift_connector.Error, match="out of luck"):
            _run(cursor, "insert into t values (2)")
        _run(cursor, "rollback", "begin", "insert into t values (3)", "commit")
        journal.faults.append(Fault("values .4", action=Action.DROP_AFTER))
        with pytest.raises((redshift_connector.Error, OSError)):
            _run(cursor, "insert into t values (4)")
    with _connect(redshift_standin) as cursor:
        assert _run(cursor, "select a from t order by a") == [[3], [4]]
    inserts = journal.matching("insert into t")
    assert [entry.error for entry in inserts][1] == "out of luck"
    first, second, third, fourth = (entry.transaction for entry in inserts)
    assert first == second != third
    assert fourth is None


@pytest.mark.postgres
def test_copy_and_unload_are_part_of_the_transaction(redshift_standin: Standin) -> None:
    rows = "select 1 as b, 'x' as a, 1.5::decimal(5, 2) as c union all select 2, null, null order by 1"
    put_parquet(redshift_standin.lake, "s3://lake/m.json", {"s3://lake/in/part-0.parquet": rows})
    copy = f"copy t from 's3://lake/m.json' iam_role '{ROLE}' format as parquet manifest"
    with _connect(redshift_standin) as cursor:
        _run(cursor, "create table t (id integer, name varchar(3), cost numeric(5, 2))")
        _run(cursor, "begin", copy, "rollback")
        assert _run(cursor, "select count(*) from t") == [[0]]
        _run(cursor, "begin", copy, "commit")
        # by position: the file's names are others
        assert _run(cursor, "select id, name, cost from t order by id") == [[1, "x", Decimal("1.50")], [2, None, None]]
        (entry,) = redshift_standin.journal.matching("^copy t .*")[-1:]
        assert (entry.kind, entry.is_done) == ("copy", True)
        unload = f"unload ('select id, name from t where name = ''x''') to 's3://lake/out/' iam_role '{ROLE}' parquet"
        _run(cursor, unload, "create table u (id integer, name varchar(3))")
        _run(cursor, "copy u from 's3://lake/out/' iam_role default format parquet")
        assert _run(cursor, "select id, name from u") == [[1, "x"]]
        with pytest.raises(redshift_connector.Error, match="destination on S3 is not empty"):
            _run(cursor, unload)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("columns", "source", "message"),
    [
        ("a integer", "'s3://lake/in/' iam_role default format parquet", "Unmatched number of columns"),
        ("a bigint, b varchar(3)", "'s3://lake/in/' iam_role default format parquet", "incompatible Parquet schema"),
        ("a integer, b varchar(1)", "'s3://lake/in/' iam_role default format parquet", "too long"),
        ("a integer, b varchar(3)", "'s3://lake/none/' iam_role default format parquet", "does not exist"),
        ("a integer, b varchar(3)", "'s3://lake/in/' iam_role 'me' format parquet", "Invalid IAM role"),
        ("a integer, b varchar(3)", "'s3://lake/in/' credentials 'x' format parquet", "does not know access keys"),
        ("a integer, b varchar(3)", "'s3://lake/in/' iam_role default csv", "does not know COPY with"),
    ],
)
def test_copy_refuses_what_redshift_refuses(redshift_standin: Standin, columns: str, source: str, message: str) -> None:
    put_parquet(redshift_standin.lake, "s3://lake/m.json", {"s3://lake/in/part-0.parquet": "select 1 as a, 'xyz' as b"})
    with _connect(redshift_standin) as cursor:
        _run(cursor, f"create table t ({columns})", "begin")
        with pytest.raises(redshift_connector.Error, match=message):
            _run(cursor, f"copy t from {source}")
        with pytest.raises(redshift_connector.Error, match="transaction is aborted"):
            _run(cursor, "select 1")
        _run(cursor, "rollback")
        assert _run(cursor, "select count(*) from t") == [[0]]


@pytest.mark.postgres
def test_materialized_views_hold_their_rows_until_they_are_refreshed(redshift_standin: Standin) -> None:
    with _connect(redshift_standin) as cursor:
        _run(cursor, "create table t (a integer)", "insert into t values (1)")
        layout = "diststyle key distkey (a) sortkey (a) auto refresh yes"
        create = f"create materialized view public.v {layout} as select a from t"
        _run(cursor, create, "insert into t values (2)")
        assert _run(cursor, "select count(*) from v") == [[1]]
        _run(cursor, "begin", "refresh materialized view public.v", "rollback")
        assert _run(cursor, "select count(*) from v") == [[1]]
        _run(cursor, "refresh materialized view public.v", "alter materialized view v auto refresh no")
        assert _run(cursor, "select count(*) from v") == [[2]]
        assert _run(cursor, "select name, autorefresh from svv_mv_info") == [["v", "f"]]
        (definition,) = _run(cursor, "select definition from pg_views where viewname = 'v'")
        assert str(definition[0]).startswith("create materialized view")
        shown = _run(cursor, "show tables from schema x.public like 'v'")
        assert shown[0][2:5] == ["v", "VIEW", "MATERIALIZED VIEW"]
        _run(cursor, "drop materialized view v")
        with pytest.raises(redshift_connector.Error, match="syntax error"):
            _run(cursor, "create materialized view v precompute as select a from t")


@pytest.mark.postgres
def test_standin_by_hand_says_how_to_connect_and_ends_with_ctrl_c() -> None:
    command = [sys.executable, "-m", "tests.redshift_standin"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(itertools.takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
        words = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines if line.startswith("export "))
        place = {name: words[f"SLUICE_REDSHIFT_{name.upper()}"] for name in ("host", "user", "password", "database")}
        with redshift_connector.connect(**place, port=int(words["SLUICE_REDSHIFT_PORT"]), ssl=False) as connection:
            assert _run(connection.cursor(), "select datediff(day, date '2024-01-31', date '2024-02-01')") == [[1]]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(words["SLUICE_REDSHIFT_PORT"])))
