"""JSON: texts as producers write them and break them, paths into them, and SELECTs that read them."""

# ruff: noqa: E501 - a shape is read in one line

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final

DOCUMENTS: Final = (
    '{"a": 1, "b": "x"}', '{"a": 1.0}', '{"a": 1.50}', '{"a": 1e5}', '{"a": 1E400}', '{"a": -0}', '{"a": -0.0}', '{"a": 1e-7}',
    '{"a": 0.000001}', '{"a": 1e21}', '{"a": 100000000000000000000.0}', '{"a": 12345678901234567890}', '{"a": 5e-324}',
    '{"a": 123456789012345678901234567890}', '{"a": 0.1000000000000000055511151231257827}', '{"a": 9007199254740993}',
    '{"a": NaN}', '{"a": -inf}', '{"a": true, "b": false}', '{"a": null}', '{"a": "null"}', '{"a": ""}', '{"b": 1}', "null",
    '{"a": {"b": [1, 1.0, {"c": "é"}], "d": null}}', '{"a": {"b": {"c": 7}}}', '{"a": [1, [2, 3], {"b": 4}]}', "[]", "{}",
    '{"a": [{"b": "first"}, {"b": "last"}]}', '[{"a": 1}, {"a": 2}]', '"text"', "12", '{"a": "12"}', '{"a": " 7 "}',
    '{"a": 1, "a": 2}', '{"a": null, "a": 2}', '{"a": {"x": 1}, "a": {"b": 2}}', '{"a.b": 1, "a": {"b": 2}}',
    '{"$a": 1, "": 2, "x y": 3}', '{"a": "\\u00e9 \\ud83d\\ude00 \\" \\\\ \\/ \\n\\t"}', '{"a": "😀é\u2028"}',
    '{"a": {"b": "\\u001f\\b\\f\\n\\r\\t\\"\\\\/\x7f"}}', ' \n{ "a" : [ 1 , 2 , ] , "b" : { } , } ', '{"a": "it\'s"}',
    '{"a": "2013-01-31"}', '{"a": "2013-01-31T10:00:00"}', '{"é": 1, "b": {"é": 2}}', '{"a": [null, true]}', '{"A": 1}',
    # no JSON
    "", " ", "{", '{"a": 1', "{'a': 1}", '{"a": 01}', '{"a": 1.}', '{"a": .5}', '{"a": +1}', '{"a": 1} x', '{"a": tru}',
    '{"a": "\\ud800"}', '{"a": "\t"}', '{a: 1}', '{"a" 1}', "[1 2]", '{"a": "\\x"}', "// no\n{}", "a text", '{"a": 1}}',
)  # fmt: skip
"""What stands in the table."""
_PATHS: Final = (
    "'$.a'", "'a'", "'$.a.b'", "'a.b'", "'$.a.b.c'", "'$.a[0]'", "'$.a[-1].b'", "'$.a[#-1]'", "'$.a[1][0]'", "'$.a[99]'",
    "'$'", "''", "'$[0].a'", "0", "-1", "'$.\"x y\"'", "'$.x y'", "'$.\"a.b\"'", "'$a'", "'$.é'", "'$.b.é'", "'é'", "'[0]'", "'$[*]'",
    "'$..a'", "'/a/b'", "'$.*'", "k", "'0'", "'A'", "'it''s'",
)  # fmt: skip
TABLE: Final = "j"
_SHAPES: Final = (
    "select id, json_extract_string(p, '$.a') as x from lake.j where json_valid(p)",
    "select id, p -> '$.a' ->> '$.b' as x, p -> 'a' -> 'b' ->> 0 as y from lake.j where json_valid(p)",
    "select id, json(p) ->> 'a' as x, p::json ->> '$.a' as y from lake.j where json_valid(p)",
    "select id, json_valid(p) as x, json_valid(k) as y, json_valid(null) as z from lake.j",
    "select id, case when json_valid(p) then p ->> '$.a' else 'bad' end as x from lake.j",
    "select id, p ->> '$.a' = '1' as x, p ->> '$.a' || '!' as y, (p ->> '$.a') is null as z from lake.j where json_valid(p)",
    "select p ->> '$.a' as x, count(*) as n from lake.j where json_valid(p) group by p ->> '$.a'",
    "select p ->> '$.a' as x, count(*) as n, max(p ->> '$.b') as m from lake.j where json_valid(p) group by all",
    "select id, row_number() over (partition by p ->> '$.a' order by id) as n from lake.j where json_valid(p)",
    "select id from lake.j where json_valid(p) qualify row_number() over (order by p ->> '$.a' desc, id) <= 5",
    "select j.id, t.id as other from lake.j join lake.t as t on t.s = j.p ->> '$.b'",
    "select j.id, t.id as other from (select id, p ->> '$.a' as a from lake.j where json_valid(p)) as j left join lake.t as t on cast(t.id as varchar) = j.a",
    "select id from lake.j where json_valid(p) and p ->> '$.a' in ('1', 'x', 'true')",
    "select id from lake.t where s in (select p ->> '$.b' from lake.j where json_valid(p))",
    "select id from lake.t where exists (select 1 from lake.j where json_valid(j.p) and j.p ->> '$.b' = t.s)",
    "select id, p ->> '$.b' as x from lake.j where json_valid(p) union all select id, s from lake.t",
    "select distinct p ->> '$.a' as x from lake.j where json_valid(p)",
    "select max(p ->> '$.a') filter (where json_valid(p)) as x from lake.j",
    "select id, cast(p ->> '$.a' as double) as x from lake.j where id in (1, 2, 3, 4, 9, 13)",
    "select id, cast(p ->> '$.a' as decimal(20, 5)) as x, cast(p ->> '$.a' as integer) as y from lake.j where id in (1, 2, 3, 4)",
    "select id, coalesce(p ->> '$.z', p ->> '$.a', 'none') as x from lake.j where json_valid(p)",
    "select id, p ->> '$.a' like '%1%' as x, upper(p ->> '$.a') as y, length(p ->> '$.a') as z from lake.j where json_valid(p)",
    "select id, json_extract(p, '$.a') as x from lake.j where json_valid(p)",
    "select id, p -> '$.a' as x from lake.j where json_valid(p)",
    "select id, p ->> ['$.a', '$.b'] as x from lake.j where json_valid(p)",
    "select id, json_array_length(p) as x, json_type(p) as y, json_keys(p) as z from lake.j where json_valid(p)",
    "select id, json_value(p, '$.a') as x from lake.j where json_valid(p)",
    "select id, json_exists(p, '$.a') as x from lake.j where json_valid(p)",
    "select id, unnest(json_extract(p, '$.a[*]')) as x from lake.j where json_valid(p)",
    "select id, to_json(p) as x, json_object('a', id) as y from lake.j",
    "select id, cast(p as json) as x from lake.j where json_valid(p)",
    "select id, p ->> '$.a' as x from lake.j",
)  # fmt: skip


def table() -> tuple[str, Mapping[str, str]]:
    """Return the SQL of the table of texts, and its columns."""
    rows = ", ".join(f"({number}, {_quoted(text)}, 'a')" for number, text in enumerate((*DOCUMENTS, None), start=1))
    return f"select * from (values {rows}) as j (id, p, k)", {"id": "integer", "p": "varchar", "k": "varchar"}


def _quoted(text: str | None) -> str:
    return "null" if text is None else "'" + text.replace("'", "''") + "'"


def shapes() -> Iterator[str]:
    """Return the SELECTs: each path, then whole ones."""
    for path in _PATHS:
        yield f"select id, p ->> {path} as x from lake.j where json_valid(p)"
    yield from _SHAPES


def random_document(choose: random.Random) -> str:
    """Return a JSON text, or nearly one."""
    text = _value(choose, 3)
    if choose.random() < 0.15:
        place = choose.randrange(len(text))
        text = text[:place] + choose.choice([*',}]:"x/\\ ', ""]) + text[place + choose.randint(0, 1) :]
    return choose.choice(["", "", " "]) + text


def _value(choose: random.Random, depth: int) -> str:
    kind = choose.random()
    if not depth or kind < 0.45:
        return choose.choice([_number, _text, lambda _: choose.choice(["true", "false", "null", "nul"])])(choose)
    tail = choose.choice([" ", "", "", "", "", "", ",", "\n"])
    if kind < 0.65:
        return f"[{', '.join(_value(choose, depth - 1) for _ in range(choose.randint(0, 3)))}{tail}]"
    keys = [choose.choice(['"a"', '"b"', '"a"', '"é"', _text(choose)]) for _ in range(choose.randint(0, 3))]
    return "{" + ",".join(f"{key} :{_value(choose, depth - 1)}" for key in keys) + tail + "}"


_SIGNS: Final = ("a", "b", "é", "😀", "\\n", '\\"', "\\\\", "\\/", "\\u0041", "\\ud83d\\ude00", "\\ud800", "\\udc00", "\\u001f", "\x7f", "\t", "'", " ", "\\x", "ß")  # fmt: skip
_NUMBERS: Final = ("-0", "0", "-0.0", "nan", "-Infinity", "inf", "1e999", "1e-999", "00", "1.", ".5", "+1", "0e0", "1E400", "18446744073709551616", "-9223372036854775809", "1e21", "1e20", "1e-6", "1e-7")  # fmt: skip


def _text(choose: random.Random) -> str:
    return (
        '"'
        + "".join(choose.choice(_SIGNS) if choose.random() < 0.5 else "z" for _ in range(choose.randint(0, 4)))
        + '"'
    )


def _number(choose: random.Random) -> str:
    whole = str(choose.randint(-(10 ** choose.randint(1, 25)), 10 ** choose.randint(1, 25)))
    fraction = repr(choose.uniform(-1, 1) * 10.0 ** choose.randint(-30, 30))
    written = f"{choose.randint(0, 999)}.{choose.randint(0, 10**20)}e{choose.randint(-330, 330)}"
    return choose.choice([whole, fraction, written, choose.choice(_NUMBERS)])
