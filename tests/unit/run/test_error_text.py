"""What people read of an error: the cause, and a caret that points into their own SQL."""

from __future__ import annotations

import duckdb
import pytest

from flows.run.error_text import cause_of

COMMENT = '/* sluice:window {"source": "lake.t", "start": "2013-01-01 00:00:00", "end": "2013-01-02 00:00:00"} */'
FROM = f"({COMMENT} select * from t where landed_at > timestamp '2013-01-01') as o"


@pytest.mark.parametrize(
    ("sql", "at"),
    [
        (f"select o.a, o.nope\nfrom {FROM}", "o.nope"),
        (f"create table q as select o.nope from {FROM}", "o.nope"),
        (f"create table q as (select cast(o.a as integer) as n from {FROM} wher x = 1)", "wher"),
        (f"select o.a from {FROM} where o.nope = 1", "o.nope"),
        (f"select o.a from {FROM} join {FROM.replace(' as o', ' as p')} on o.nope = p.a", "o.nope"),
        (f"select nope.a from {FROM}", "nope.a"),
    ],
)
def test_caret_lands_in_the_users_sql(sql: str, at: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table t (a varchar, landed_at timestamp)")
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(sql)

    text = cause_of(f"Runtime Error in model dwh__fact (models/generated/dwh__fact.sql)\n  {caught.value}")

    assert "sluice:window" not in text
    assert text.startswith(("Binder Error", "Parser Error"))
    quoted, caret = text.splitlines()[-2:]
    assert quoted[caret.index("^") :].startswith(at), text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Compilation Error in model x\n  depends on a node",
        "Runtime Error in model dwh__fact (models/x.sql)",
        "Conversion Error: Could not convert string 'x' to INT32",
        "LINE 1: select 1\n        ^",
        "select '*/', '/* mine */' from x",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert cause_of(text) == text
