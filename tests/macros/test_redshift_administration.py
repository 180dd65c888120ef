"""What the adapter and its users say besides SELECT: identities, comments, functions, layouts, settings, sizes."""

from __future__ import annotations

import pytest
import redshift_connector

from tests.redshift_standin.server import Standin
from tests.support.redshift_project import connect

pytestmark = [pytest.mark.redshift_standin, pytest.mark.postgres]

STATEMENTS = (
    "create user sluice_u9 password 'Abcdefg1'",
    "create group sluice_g9 with user sluice_u9",
    "create role sluice_r9",
    "create table public.t (id int, info super, note varchar(9)) distkey (id) sortkey (note)",
    "grant select on public.t to group sluice_g9",
    "grant select on public.t to role sluice_r9",
    "grant select on public.t to sluice_u9",
    "insert into public.t (id) values (1)",
    "create materialized view public.m distkey (id) sortkey (id) as (select id from public.t)",
    "comment on view public.m is 'rows'",
    "create or replace function public.twice (float) returns float volatile as $$ select $1 * 2 $$ language sql\n;",
    "create table public.sized as select 'abc' as word, cast('hello' as text) as long, 'x'::varchar(7) as given",
    "create view public.late as select id from public.t with no schema binding",
    "set query_group to 'a'",
    "create user sluice_u8 with password 'Abcdefg1' createdb in group sluice_g9 connection limit 5",
    "alter user sluice_u8 set search_path to public",
    "alter user sluice_u8 valid until '2030-01-01'",
    "create table public.numbered (id bigint identity(5, 3), v int)",
    "insert into public.numbered (v) values (1), (2)",
    "insert into public.numbered default values",
)
ANSWERS = {
    "select identity_type || ' ' || privilege_type from svv_relation_privileges where relation_name = 't' "
    "and identity_name like 'sluice_%9' order by 1": [["group select"], ["role select"], ["user select"]],
    "select a.attname, a.attisdistkey, a.attsortkeyord from pg_class c join pg_attribute a on a.attrelid = c.oid "
    "where c.relname like 'mv_tbl__m__%'": [["id", True, 1]],
    "select c.relname, c.relkind, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid "
    "where c.relname in ('m', 'late') and a.attnum > 0": [["m", "v", "id"]],
    "select name, autorefresh from stv_mv_info": [["m", "f"]],
    "select public.twice(4)": [[8.0]],
    "select current_setting('query_group')": [["a"]],
    "select id from public.numbered order by id": [[5], [8], [11]],
    "select to_timestamp('2011-12-18 24:38:15', 'YYYY-MM-DD HH24:MI:SS', false)::varchar(19)": [
        ["2011-12-19 00:38:15"]
    ],
    "select column_name, character_maximum_length from information_schema.columns where table_name = 'sized' "
    "and data_type = 'character varying' order by 1": [["given", 7], ["long", 5], ["word", 3]],
    "select data_type from svv_redshift_columns where table_name = 't' and column_name = 'info'": [["super"]],
    "select count(*) > 0 from sys_query_detail d join pg_class c on c.oid = d.table_id where c.relname = 't'": [[True]],
}
AT_THE_END = (
    "drop table public.t cascade",
    "drop user sluice_u9",
    "drop user sluice_u8",
    "drop group sluice_g9",
    "drop role sluice_r9",
)


def test_statements_beside_select_do_what_redshift_does(redshift_standin: Standin) -> None:
    with connect(redshift_standin.profile()) as connection, connection.cursor() as cursor:
        for statement in STATEMENTS:
            cursor.execute(statement)
        found = {}
        for select in ANSWERS:
            cursor.execute(select)
            found[select] = [list(row) for row in cursor.fetchall()]
        for statement in AT_THE_END:
            cursor.execute(statement)
    assert found == ANSWERS


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("insert into public.numbered values (9, 1)", "cannot set an identity column to a value"),
        ("insert into public.numbered (id) values (9)", "cannot set an identity column to a value"),
        ("insert into public.needed values (null)", "Cannot insert a NULL value into column id"),
    ],
)
def test_values_that_redshift_refuses(redshift_standin: Standin, statement: str, words: str) -> None:
    with connect(redshift_standin.profile()) as connection, connection.cursor() as cursor:
        cursor.execute("create table public.numbered (id bigint identity(1, 1), v int)")
        cursor.execute("create table public.needed (id int not null)")
        with pytest.raises(redshift_connector.Error, match=words):
            cursor.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "use another",
        "create function public.f (float) returns float volatile as $$ return 1 $$ language plpythonu",
        "create external schema s from postgres database 'd'",
        "select st_point(1, 2)",
        "select * from stl_query",
        "select checksum(1)",
    ],
)
def test_what_it_does_not_know_is_refused_by_name(redshift_standin: Standin, statement: str) -> None:
    with (
        connect(redshift_standin.profile()) as connection,
        connection.cursor() as cursor,
        pytest.raises(redshift_connector.Error, match="the Redshift stand-in does not know"),
    ):
        cursor.execute(statement)
