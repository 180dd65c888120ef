"""Every type of each warehouse, with two values: what the tables of docs/types.md are about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A type and two different values of it, as SQL.

    Attributes:
        type: As CREATE TABLE takes it.
        lesser: A value.
        greater: A greater one, where the type has an order.
        label: What the docs call it, when not `type`.
        described: How the warehouse describes a column of it, when not as `type`.
    """

    type: str
    lesser: str
    greater: str
    label: str = ""
    described: str = ""

    @property
    def known_as(self) -> str:
        """The type as a warehouse describes its columns."""
        return self.described or self.type


TIMES = ("'2024-01-01 10:00:00.123456'", "'2024-01-01 10:00:00.123457'")

DUCKDB = (
    Sample("boolean", "false", "true"),
    Sample("tinyint", "1", "2"),
    Sample("smallint", "1", "300"),
    Sample("integer", "1", "70000"),
    Sample("bigint", "1", "9007199254740993"),
    Sample("hugeint", "1", "170141183460469231731687303715884105727"),
    Sample("utinyint", "1", "255"),
    Sample("usmallint", "1", "65535"),
    Sample("uinteger", "1", "4294967295"),
    Sample("ubigint", "1", "18446744073709551615"),
    Sample("uhugeint", "1", "340282366920938463463374607431768211455"),
    Sample("bignum", "'1'", "'1234567890123456789012345678901234567890123'"),
    Sample("decimal(9,2)", "1.49", "1.50"),
    Sample("decimal(38,10)", "1.0000000001", "1234567890123456789012345678.0123456789"),
    Sample("float", "0.1", "0.25"),
    Sample("double", "0.1", "0.30000000000000004"),
    Sample("varchar", "'DE001'", "'DE002'"),
    Sample("varchar(10)", "'DE001'", "'DE002'", described="varchar"),
    Sample("char(5)", "'DE001'", "'DE002'", described="varchar"),
    Sample("blob", "'\\x01\\xFF'", "'\\x02'"),
    Sample("bit", "'0101'", "'0110'"),
    Sample("date", "'2024-01-01'", "'2024-01-02'"),
    Sample("time", "'10:00:00.000001'", "'10:00:00.000002'"),
    Sample("time_ns", "'10:00:00.000000001'", "'10:00:00.000000002'"),
    Sample("time with time zone", "'10:00:00+01'", "'10:00:00+00'"),
    Sample("timestamp_s", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:01'"),
    Sample("timestamp_ms", "'2024-01-01 10:00:00.123'", "'2024-01-01 10:00:00.124'"),
    Sample("timestamp", *TIMES),
    Sample("timestamp_ns", "'2024-01-01 10:00:00.123456001'", "'2024-01-01 10:00:00.123456789'"),
    Sample("timestamp with time zone", "'2024-01-01 10:00:00.123456+00'", "'2024-01-01 10:00:00.123456-01'"),
    Sample("timestamptz_ns", "'2024-01-01 10:00:00.123456001+00'", "'2024-01-01 10:00:00.123456002+00'"),
    Sample("interval", "interval 1 day", "interval 25 hours"),
    Sample("uuid", "'00000000-0000-0000-0000-000000000001'", "'f0000000-0000-0000-0000-000000000001'"),
    Sample("enum('New', 'old', 'it''s')", "'New'", "'it''s'", "enum"),
    Sample("json", """'{"a": 1}'""", """'{"a": 2}'"""),
    Sample("integer[]", "[1, 2]", "[1, 3]", "list"),
    Sample("integer[2]", "[1, 2]", "[1, 3]", "array"),
    Sample(
        'struct(orderName varchar, "b c" integer)',
        "{'orderName': 'x', 'b c': 1}",
        "{'orderName': 'x', 'b c': 2}",
        "struct",
    ),
    Sample("map(varchar, integer)", "map {'a': 1}", "map {'a': 2}", "map"),
    Sample("union(num integer, txt varchar)", "1", "2", "union"),
    Sample("variant", "1::variant", "2::variant"),
    Sample("geometry", "'POINT(1 1)'::geometry", "'POINT(1 2)'::geometry"),
    Sample('"NULL"', "null", "null", "null (a column without a type)"),
)

POSTGRES = (
    Sample("boolean", "false", "true"),
    Sample("smallint", "1", "300"),
    Sample("integer", "1", "70000"),
    Sample("bigint", "1", "9007199254740993"),
    Sample("numeric(9,2)", "1.49", "1.50"),
    Sample("numeric", "1.49", "123456789012345678901234567890.123456789", "numeric (without precision)"),
    Sample("real", "0.1", "0.25"),
    Sample("double precision", "0.1", "0.30000000000000004"),
    Sample("money", "1.49", "1.50"),
    Sample("character(5)", "'DE001'", "'DE002'"),
    Sample("character varying(10)", "'DE001'", "'DE002'"),
    Sample("character varying", "'DE001'", "'DE002'", "character varying (without length)"),
    Sample("text", "'DE001'", "'DE002'"),
    Sample('"char"', "'a'", "'b'"),
    Sample("name", "'DE001'", "'DE002'"),
    Sample("bytea", "'\\x01ff'", "'\\x02'"),
    Sample("bit(4)", "B'0101'", "B'0110'"),
    Sample("bit varying(8)", "B'0101'", "B'011'"),
    Sample("bit varying", "B'0101'", "B'011'", "bit varying (without length)"),
    Sample("date", "'2024-01-01'", "'2024-01-02'"),
    Sample("time without time zone", "'10:00:00.000001'", "'10:00:00.000002'"),
    Sample("time with time zone", "'10:00:00+01'", "'10:00:00+00'"),
    Sample("timestamp(3) without time zone", "'2024-01-01 10:00:00.123'", "'2024-01-01 10:00:00.124'"),
    Sample("timestamp without time zone", *TIMES),
    Sample("timestamp with time zone", "'2024-01-01 10:00:00.123456+00'", "'2024-01-01 10:00:00.123456-01'"),
    Sample("interval", "'1 day'", "'25 hours'"),
    Sample("uuid", "'00000000-0000-0000-0000-000000000001'", "'f0000000-0000-0000-0000-000000000001'"),
    Sample("lake.mood", "'New'", "'it''s'", "enum"),
    Sample('lake."char Kind"', "'New'", "'old'", "enum with a quoted name"),
    Sample("lake.positive", "1", "2", "domain (as its base type)", "integer"),
    Sample("lake.place", "row('a', 1)", "row('a', 2)", "composite"),
    Sample("integer[]", "'{1,2}'", "'{1,3}'", "array"),
    Sample("character varying(5)[]", "'{a,b}'", "'{a,c}'", "array of text"),
    Sample("lake.mood[]", "'{New}'", "'{old}'", "array of an enum"),
    Sample("json", """'{"a": 1}'""", """'{"a": 2}'"""),
    Sample("jsonb", """'{"a": 1}'""", """'{"a": 2}'"""),
    Sample("xml", "'<a/>'", "'<b/>'"),
    Sample("point", "'(1,1)'", "'(1,2)'"),
    Sample("polygon", "'((0,0),(0,1),(1,1))'", "'((0,0),(0,2),(1,1))'"),
    Sample("inet", "'10.0.0.1'", "'10.0.0.2'"),
    Sample("cidr", "'10.0.0.0/24'", "'10.0.1.0/24'"),
    Sample("macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:04'"),
    Sample("int4range", "'[1,2)'", "'[1,3)'"),
    Sample("tsvector", "'a'", "'b'"),
    Sample("tsquery", "'a'", "'b'"),
    Sample("oid", "1", "2"),
    Sample("pg_lsn", "'0/1'", "'0/2'"),
    Sample("xid8", "'1'", "'2'"),
    Sample("citext", "'a'", "'b'", "a type of an extension (citext)"),
)

PREPARE: dict[str, tuple[str, ...]] = {
    "duckdb": (),
    "postgres": (
        "create schema if not exists lake",
        "create type lake.mood as enum ('New', 'old', 'it''s')",
        "create type lake.\"char Kind\" as enum ('New', 'old')",
        "create domain lake.positive as integer check (value > 0)",
        "create type lake.place as (name varchar(5), floor integer)",
        "create extension if not exists citext",
    ),
    "redshift": (),
}
"""Statements before the sources."""

KINDS: dict[str, dict[str, str]] = {
    "duckdb": {},
    "postgres": {
        **dict.fromkeys(("lake.mood", 'lake."char Kind"'), "enum"),
        "lake.place": "composite",
        "citext": "extension",
        **dict.fromkeys(("point", "polygon", "tsquery"), "builtin"),
    },
    "redshift": {},
}
"""What the warehouse says of the types that only it knows."""

REDSHIFT = (
    Sample("boolean", "false", "true"),
    Sample("smallint", "1", "300"),
    Sample("integer", "1", "70000"),
    Sample("bigint", "1", "9007199254740993"),
    Sample("numeric(9,2)", "1.49", "1.50"),
    Sample("numeric(38,10)", "1.0000000001", "1234567890123456789012345678.0123456789"),
    Sample("real", "0.1", "0.25"),
    Sample("double precision", "0.1", "0.30000000000000004"),
    Sample("character(5)", "'DE001'", "'DE002'"),
    Sample("character varying(10)", "'DE001'", "'DE002'"),
    Sample("date", "'2024-01-01'", "'2024-01-02'"),
    Sample("time without time zone", "'10:00:00.000001'", "'10:00:00.000002'"),
    Sample("time with time zone", "'10:00:00+01'", "'10:00:00+00'"),
    Sample("timestamp without time zone", *TIMES),
    Sample("timestamp with time zone", "'2024-01-01 10:00:00.123456+00'", "'2024-01-01 10:00:00.123456-01'"),
)

REDSHIFT_REFUSED = (
    Sample("numeric", "", "", "numeric (without precision)"),
    Sample("numeric(39,2)", "", ""),
    Sample("character", "", "", "character (without length)"),
    Sample("character varying(70000)", "", ""),
    Sample("interval day to second", "", "", "interval"),
    Sample("super", "", ""),
    Sample("varbyte(10)", "", ""),
    Sample("geometry", "", ""),
    Sample("hllsketch", "", ""),
    Sample("json", "", ""),
    Sample("uuid", "", ""),
    Sample("integer[]", "", ""),
)
"""Types of a column list; the stand-in has no tables with them."""
