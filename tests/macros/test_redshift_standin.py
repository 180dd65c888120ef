"""The stand-in itself: it refuses what Redshift refuses, and differs from PostgreSQL where Redshift does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import redshift_connector
from redshift_examples import BREAKS

from metadata_sync.sql.redshift import Rule
from tests.redshift_standin import rules
from tests.redshift_standin.errors import RedshiftError
from tests.redshift_standin.journal import Action, Fault
from tests.redshift_standin.server import Isolation, Standin
from tests.redshift_standin.translation import translate

pytestmark = pytest.mark.redshift_standin

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
    "sql", ["vacuum t", "alter table t alter column a type varchar(20)", "alter table t alter column a type bigint"]
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
