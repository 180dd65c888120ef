"""Every type of a column list for Redshift is refused, or one that Redshift takes as it is written."""

from __future__ import annotations

import pytest

from metadata_sync.rows.model import type_text
from metadata_sync.sql.expressions import is_type
from metadata_sync.sql.type_rules import Place, type_problem

# https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html
TAKEN = (
    "smallint", "int2", "integer", "int", "int4", "bigint", "int8", "decimal(9,2)", "decimal(38)", "numeric(38,37)",
    "numeric(1, 0)", "real", "float4", "double precision", "float8", "float", "boolean", "bool", "char(1)",
    "char(4096)", "nchar(5)", "bpchar", "bpchar(9)", "varchar(1)", "varchar(65535)", "varchar (10)", "nvarchar(7)",
    "character varying(256)", "text", "date", "time", "timetz", "time with time zone", "timestamp", "timestamptz",
    "timestamp without time zone", "timestamp with time zone", "VARCHAR(12)",
)  # fmt: skip
REFUSED = (
    "json", "jsonb", "uuid", "int[]", "integer[]", "varchar(5)[]", "serial", "bigserial", "smallserial", "money",
    "inet", "xml", "bit", "bit(3)", "bytea", "blob", "hstore", "point", "enum", "name", "oid", "tinyint", "hugeint",
    "int1",
    "varchar(70000)", "varchar(65536)", "varchar(0)", "varchar(max)", "varchar(10,2)", "varchar(ten)", "varchar()",
    "char(5000)", "char(0)", "char", "char(max)", "decimal", "decimal(39,2)", "decimal(10,12)", "decimal(38,38)",
    "decimal(0)", "decimal(10,2,1)", "decimal(,2)", "decimal(10,)", "numeric", "dec", "number(10,2)", "int(4)",
    "integer(5)", "date(3)", "boolean(1)", "timestamp(3)", "timestamptz(9)", "time(3)", "double", "string", "text(10)",
    "float(24)", "float(54)", "double precision(3)", "struct(a int)", "map<int,int>", "array<int>", "interval", "super",
    "varbyte(5)", "geometry", "geography", "hllsketch", "bigint unsigned", "timestamp with local time zone", "clob",
    "int4range", "null", "unknown", "regclass", '"varchar"', "nosuchtype", "citext", "varchar(10) not null",
    "int identity(1,1)", "varchar(10", "integer primary key", "signed",
)  # fmt: skip


def _is_refused(written: str) -> bool:
    """Tell whether validation refuses it: as no type, or as one that does not load right."""
    problem = type_problem("c", type_text(written, "redshift"), Place.COLUMN, "redshift")
    if problem is not None:
        assert problem.remedy
    return problem is not None or not is_type(written, "redshift")


@pytest.mark.parametrize("written", TAKEN)
def test_type_of_redshift_is_taken(written: str) -> None:
    assert not _is_refused(written)


@pytest.mark.parametrize("written", REFUSED)
def test_other_type_is_refused_with_a_remedy(written: str) -> None:
    assert _is_refused(written)
