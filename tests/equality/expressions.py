"""Every rule for expressions, with each type that it may meet."""

# ruff: noqa: E501 - a shape is read in one line

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

from tests.equality.values import TYPES

_NUMBERS: Final = ("i8", "i16", "i32", "i64", "f32", "f64", "d5", "d18", "d30", "d38")
_TEXTS: Final = ("s", "n")
_INSTANTS: Final = ("day", "at", "z")
_UNITS: Final = [
    "millennium",
    "century",
    "decade",
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "dow",
    "isodow",
    "doy",
    "isoyear",
    "epoch",
]

_NUMBER_CALLS: Final = (
    "abs({x})", "ceil({x})", "floor({x})", "round({x})", "round({x}, 1)", "round({x}, 2)", "round({x}, -1)", "sign({x})",
    "-{x}", "{x} + 1", "{x} * 2", "{x} - 1.5", "{x} * 1.1", "{x} / 2", "{x} / 0", "{x} % 2", "{x} // 2", "{x} + 1e2",
    "coalesce({x}, 0)", "coalesce({x}, 1.5)", "nullif({x}, 0)", "{x} in (0, 1, 2.5)", "{x} between -1 and 1.5",
    "case when {x} > 0 then {x} else 0 end", "case {x} when 1 then 'one' when 0 then 'none' end", "sqrt(abs({x}))",
    "greatest({x}, 1)", "least({x}, {y}, 0)", "{x} is null", "{x} is distinct from {y}", "{x} & 3", "{x} | 8", "~{x}",
    "isnan({x})", "ln({x})", "{x} ** 2", "trunc({x})", "{x}::varchar || '!'", "{x} = 1.0", "not ({x} > 0)", "+{x}",
)  # fmt: skip
_TEXT_CALLS: Final = (
    "lower({x})", "upper({x})", "trim({x})", "ltrim({x})", "rtrim({x})", "trim({x}, 'ab ')", "length({x})",
    "{x} || {y}", "{x} || 'ß'", "concat({x}, '-', {y})", "concat_ws(',', {x}, {y}, 'z')", "concat_ws({x}, 'a', {y})",
    "substring({x}, 0)", "substring({x}, 2)", "substring({x}, 0, 2)", "substring({x}, -2)", "substring({x}, -5, 2)",
    "substring({x}, 3, -2)", "substring({x}, -2, -2)", "substring({x}, 2, 0)", "substring({x}, a_i8)",
    "substring({x}, a_i32, b_i8)", "left({x}, 2)", "left({x}, 0)", "left({x}, -1)", "right({x}, 2)", "right({x}, -2)",
    "left({x}, a_i8)", "right({x}, b_i8)", "replace({x}, 'a', 'xx')", "replace({x}, '', 'x')", "replace({x}, {y}, '|')",
    "strpos({x}, 'b')", "strpos({x}, '')", "strpos({x}, {y})", "contains({x}, {y})", "contains({x}, '')",
    "starts_with({x}, 'a')", "ends_with({x}, {y})", "split_part({x}, ',', 2)", "split_part({x}, ',', 9)",
    "split_part({x}, 'X', 1)", "split_part({x}, '', 1)", "split_part({x}, ',', -1)", "lpad({x}, 5, '*')",
    "rpad({x}, 2, 'xy')", "lpad({x}, 0, '*')", "repeat({x}, 2)", "repeat({x}, 0)", "repeat({x}, -1)", "reverse({x})",
    "md5({x})", "sha256({x})", "ascii({x})", "{x} like '%a%'", "{x} like 'a\\b'", "{x} like '%\\%'", "{x} like '_'",
    "{x} like ''", "{x} like {y}", "{x} not like {y}", "{x} like {x}", "{x} like '%' || {y} || '_'", "{x} like left({x}, 1) || '%'", "{x} ilike upper({x})", "{x} like {y} escape '!'", "{x} like '%𐖗%'", "{x} ilike '😀%'", "{x} not like 'a_b'", "{x} like 'a!%b' escape '!'", "{x} like '100\\%' escape '\\'",
    "{x} like 'a!_!!' escape '!'", "{x} ilike '%ß%'", "{x} ilike {y}", "{x} ilike 'İ%'", "{x} similar to 'a.*'",
    "{x} glob 'a*'", "regexp_matches({x}, '^a')", "{x} = 'abc'", "{x} < {y}", "{x} in ('a', '', 'ß')",
    "{x} between 'a' and 'b'", "coalesce({x}, {y}, 'none')", "nullif({x}, '')", "case when {x} > 'a' then {x} end",
    "greatest({x}, {y})", "least({x}, 'm')", "{x} = 1", "{x} collate nocase = 'ABC'", "length({x} || ' ')",
    "translate({x}, 'ab', 'x')", "{x} is not distinct from {y}", "min(lower({x})) over ()", "initcap({x})",
    "upper(lower({x}))", "lower(upper({x}))", "{x}[1]", "{x}[1:2]", "string_split({x}, ',')", "levenshtein({x}, {y})",
)  # fmt: skip
_INSTANT_CALLS: Final = (
    "{x} + interval '1 day'", "{x} - interval '1 month'", "{x} + interval '1 month 2 days 03:00:00'",
    "{x} + interval '1 month 2 days'", "{x} + interval 90 minute", "{x} + interval '1.5' hour",
    "{x} - interval '1' year", "{x} + a_i8 * interval '1 minute'", "{x} + interval (b_i8) hour",
    "{x} + to_days(a_i8)", "{x} + interval (a_i8) month", "{x} + interval '1' week", "{x} + interval '1' quarter",
    "{x} - {y}", "{x} - {y} > interval '1 day'", "{x} - {y} between interval '0 day' and interval '30 day'",
    "extract(epoch from {x} - {y})", "extract(day from {x} - {y})", "date_diff('day', {x}, {y})",
    "date_diff('month', {x}, {y})", "date_diff('year', {x}, {y})", "date_diff('quarter', {x}, {y})",
    "date_diff('hour', {x}, {y})", "date_diff('minute', {x}, {y})", "date_diff('second', {x}, {y})",
    "date_diff('millisecond', {x}, {y})", "date_diff('week', {x}, {y})", "date_sub('month', {x}, {y})",
    "last_day({x})", "strftime({x}, '%Y-%m-%d')", "strftime({x}, '%Y%m%d_%H%M%S')", "strftime({x}, '%d.%m.%Y %H:%M')",
    "strftime({x}, '%j')", "strftime({x}, '%Y-%m-%dT%H:%M:%S')", "dayofweek({x})", "isodow({x})", "week({x})",
    "dayofyear({x})", "dayofmonth({x})", "year({x})", "month({x})", "day({x})", "quarter({x})", "hour({x})", "minute({x})", "second({x})",
    "epoch({x})", "epoch_ms({x})", "{x} at time zone 'Europe/Berlin'", "{x} at time zone 'UTC'",
    "{x} at time zone 'America/New_York'", "{x} at time zone 'Asia/Kolkata'", "{x} at time zone 'EST'",
    "{x} < {y}", "{x} = date '2013-03-31'", "{x} >= timestamp '2013-03-31 01:00:00'", "{x} = '2013-03-31'",
    "{x} > timestamptz '2013-03-31 01:00:00+02'", "{x} in (date '2000-02-29', date '9999-12-31')",
    "coalesce({x}, {y})", "nullif({x}, {y})", "greatest({x}, {y})", "case when {x} < {y} then {x} else {y} end",
    "{x}::varchar", "{x}::date::varchar", "{x} + 1", "{x} - 1", "{x} + a_i8", "monthname({x})", "dayname({x})",
    "time_bucket(interval '1 hour', {x})", "{x}::time", "age({x}, {y})", "date_part('year', {x})",
    "date_add({x}, interval '1' day)",
)  # fmt: skip
_OTHERS: Final = (
    "a_b and b_b", "a_b or b_b", "not a_b", "a_b is true", "a_b is not false", "a_b is null", "a_b = b_b", "a_b < b_b",
    "case when a_b then 1 end", "case when a_b then 1 else 2.5 end", "case when a_b then a_i8 else b_d5 end",
    "case when a_b then a_i64 else b_f64 end", "case when a_b then a_day else b_at end",
    "case when a_b then a_z else b_at end", "case when a_b then 1 else '2' end", "case when a_b then null else 'x' end",
    "if(a_b, a_i8, 300)", "coalesce(null, a_i8, 5)", "ifnull(a_s, 'x')", "coalesce(a_b, false)", "a_b and null",
    "1e3", "1.50", ".5", "1e-5", "123456789012", "12345678901234567890", "-5", "- 9223372036854775808", "0.10 + 0.2",
    "1 / 3", "7 % 3", "-7 // 2", "1.0 / 3", "1.50 * 2.250", "99.99 + 1", "0x1F", "1_000", "1e400", "00.10",
    "123456789012345678901234567890.12345678", "a_i32 + 3000000000", "a_i8 + 200", "a_i8 + a_i16", "a_i8 * a_i32",
    "a_d38 * a_d38", "a_d38 + b_d38", "a_d38 - 1", "a_d30 * 2", "a_d18 * b_d18", "a_d5 * b_d5 * a_d5 * b_d5 * a_d5",
    "make_date(2013, 2, 28)", "make_date(a_i16, 1, 1)", "make_timestamp(2013, 3, 31, 1, 2, 3)",
    "make_timestamp(2013, 3, 31, 1, 2, 3.5)", "date '2013-01-31' + interval '1 month'", "date '0001-01-01'",
    "timestamp '9999-12-31 23:59:59.999999'", "timestamptz '2013-03-31 01:30:00+05:30'", "date 'infinity'",
    "cast('2013/1/5' as date)", "cast('2013-01-05 10:00' as timestamp)", "cast('2013-01-05 10:00:00+02' as timestamp)",
    "cast('2013-01-05T10:00:00Z' as timestamptz)", "cast(' 2013-01-05 ' as date)", "cast('99-1-5' as date)",
    "cast('2013-01-05 10:00' as date)", "cast('yes' as boolean)", "cast('t' as boolean)", "cast('1' as boolean)",
    "cast('1e3' as integer)", "cast('0x1F' as integer)", "cast('1.005' as decimal(10, 2))", "cast('1e3' as decimal(9,1))",
    "cast('inf' as double)", "cast('nan' as double)", "cast('1_0.5' as double)", "cast(2.5 as integer)",
    "cast(-2.5 as integer)", "cast(2.5e0 as integer)", "cast(3.5e0 as integer)", "cast(2.675e0 as decimal(10, 2))",
    "cast(1e20 as decimal(38, 2))", "cast(null as integer)", "null is null", "1 = 1.0", "'a' < 'B'", "'1' = 1",
    "1 in (1, null)", "2 in (1, null)", "not (2 in (1, null))", "[1, 2]", "{'a': 1}", "a_s::json", "current_date",
    "try_cast(a_s as integer)", "a_i32 ^ 2", "a_i32 << 1", "xor(a_i32, 1)", "a_i32::varchar || a_day::varchar",
    "(a_i32, b_i32) = (1, 2)", "row(a_i32, 1)", "exists (select 1)", "a_i32 = any(select 1)", "a_i32 in (select 1)",
    "(select 5)", "(select max(i) from (values (1), (2)) t(i))", "hash(a_s)", "typeof(a_i32)", "random()",
    "array_agg(a_i32) over ()", "list_sum([a_i32])", "json_extract_string(a_s, '$.x')", "a_s ->> '$.x'",
    "regexp_replace(a_s, 'a', 'b', 'g')", "regexp_extract(a_s, '([a-z]+)', 1)", "format('{}', a_s)",
    "uuid()", "a_i32::uinteger", "a_f64::hugeint", "a_i64::hugeint + b_i64", "a_i64::hugeint * 2", "a_s::blob",
    "interval '1 day'", "a_i32::decimal(3,1)", "bit_count(a_i32)", "a_d5::decimal(4,1)", "pi()", "a_i32 and true",
)  # fmt: skip


def expressions() -> Iterator[str]:
    """Return the expressions: every rule with every type, operators with every pair of types, casts between every pair."""
    for template, name in product(_NUMBER_CALLS, _NUMBERS):
        yield _filled(template, name)
    for template, name in product(_TEXT_CALLS, _TEXTS):
        yield _filled(template, name)
    for template, name in product(_INSTANT_CALLS, _INSTANTS):
        yield _filled(template, name)
    for unit, name in product(_UNITS, _INSTANTS):
        yield f"extract({unit} from a_{name})"
        yield f"date_trunc('{unit}', a_{name})"
    for one, other in product(TYPES, TYPES):
        yield f"cast(a_{one} as {TYPES[other]})"
        yield f"a_{one} < b_{other}"
        yield f"coalesce(a_{one}, b_{other})"
    for sign, one, other in product("+-*/%", _NUMBERS, _NUMBERS):
        yield f"a_{one} {sign} b_{other}"
    yield from _OTHERS


def _filled(template: str, name: str) -> str:
    return template.replace("{x}", f"a_{name}").replace("{y}", f"b_{name}")
