"""The columns of tables as the catalog of each warehouse describes them, with lengths, precision and scale."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from metadata_sync.rows.model import Column, type_text
from metadata_sync.rows.names import TableName

if TYPE_CHECKING:
    from flows.warehouse.connection import Row, Warehouse

_TABLES_AT_ONCE: Final = 500

_DUCKDB: Final = """
    select table_schema, table_name, column_name, data_type
    from information_schema.columns
    where table_catalog = current_database() and table_schema in ({schemas}) and table_name in ({tables})
    order by table_schema, table_name, ordinal_position"""

_POSTGRES: Final = """
    select space.nspname, relation.relname, field.attname,
        case when kind.typtype = 'd' then format_type(kind.typbasetype, kind.typtypmod)
            else format_type(field.atttypid, field.atttypmod) end
    from pg_catalog.pg_attribute as field
    join pg_catalog.pg_class as relation on relation.oid = field.attrelid
    join pg_catalog.pg_namespace as space on space.oid = relation.relnamespace
    join pg_catalog.pg_type as kind on kind.oid = field.atttypid
    where relation.relkind in ('r', 'p', 'v', 'm', 'f') and field.attnum > 0 and not field.attisdropped
        and space.nspname in ({schemas}) and relation.relname in ({tables})
    order by space.nspname, relation.relname, field.attnum"""

_REDSHIFT: Final = """
    select table_schema, table_name, column_name, data_type, character_maximum_length, numeric_precision, numeric_scale
    from svv_columns
    where table_schema in ({schemas}) and table_name in ({tables})
    order by table_schema, table_name, ordinal_position"""
"""SVV_COLUMNS also shows external tables and late-binding views, which information_schema.columns does not.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_COLUMNS.html
"""

_KINDS: Final = """
    select format_type(kind.oid, null),
        case
            when kind.typtype = 'e' then 'enum'
            when kind.typtype = 'c' then 'composite'
            when kind.typtype in ('r', 'm') then 'range'
            when space.nspname = 'pg_catalog' then 'builtin'
            else 'extension'
        end
    from pg_catalog.pg_type as kind
    join pg_catalog.pg_namespace as space on space.oid = kind.typnamespace
    where format_type(kind.oid, null) in ({types})"""

_GLUE_TYPES: Final = {
    "tinyint": "smallint",
    "int": "integer",
    "float": "real",
    "double": "double precision",
    "string": "character varying(65535)",
}
"""Types of external tables as their catalog writes them → Redshift's names.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_EXTERNAL_TABLE.html
"""
_NUMERIC: Final = 1700
_SIZE_HEADER: Final = 4
"""What the protocol adds to each size."""
_RESULT_TYPES: Final = {
    16: "boolean",
    19: "name",
    20: "bigint",
    21: "smallint",
    23: "integer",
    25: "text",
    700: "real",
    701: "double precision",
    705: "null",
    1042: "character",
    1043: "character varying",
    1082: "date",
    1083: "time without time zone",
    1114: "timestamp without time zone",
    1184: "timestamp with time zone",
    1188: "interval year to month",
    1190: "interval day to second",
    1266: "time with time zone",
    _NUMERIC: "numeric",
    3000: "geometry",
    3001: "geography",
    3999: "geometry",
    4000: "super",
    6551: "varbyte",
}
"""Redshift's types by their numbers, as its own driver lists them (redshift_connector.utils.oids)."""

_QUERIES: Final = {"duckdb": _DUCKDB, "postgres": _POSTGRES, "redshift": _REDSHIFT}


def columns_of_tables(warehouse: Warehouse, tables: Iterable[TableName]) -> Mapping[TableName, tuple[Column, ...]]:
    """Return the columns of tables, in order; one query for hundreds of tables.

    Raises:
        RunError: When the warehouse cannot be reached.
    """
    keys = sorted(set(tables))
    found: dict[TableName, tuple[Column, ...]] = {}
    typed: Callable[[Row], str] = _redshift_type if warehouse.dialect == "redshift" else lambda row: str(row[3])
    for start in range(0, len(keys), _TABLES_AT_ONCE):
        part = keys[start : start + _TABLES_AT_ONCE]
        query = _QUERIES[warehouse.dialect].format(
            schemas=_literals(key.schema for key in part), tables=_literals(key.table for key in part)
        )
        for row in warehouse.query(query):
            key = TableName(row[0], row[1])
            column = Column(name=row[2], type=type_text(typed(row), warehouse.dialect))
            found[key] = (*found.get(key, ()), column)
    return found


def type_kinds(warehouse: Warehouse, types: Collection[str]) -> Mapping[str, str]:
    """Return what PostgreSQL knows of types; see `WarehouseColumns.type_kinds`.

    Raises:
        RunError: When the warehouse cannot be reached.
    """
    found = {str(name): str(kind) for name, kind in warehouse.query(_KINDS.format(types=_literals(types)))}
    return {name: found.get(name, "missing") for name in types}


def type_of_result(oid: int, size: int) -> str:
    """Return the type of a column of a result on Redshift, from the numbers that its protocol sends.

    >>> type_of_result(1700, 589830), type_of_result(1043, 24), type_of_result(23, -1)
    ('numeric(9,2)', 'character varying(20)', 'integer')
    """
    name = _RESULT_TYPES.get(oid, f"unknown type {oid}")
    if oid == _NUMERIC and size >= _SIZE_HEADER:
        return f"{name}({(size - _SIZE_HEADER) >> 16},{(size - _SIZE_HEADER) & 0xFFFF})"
    return f"{name}({size - _SIZE_HEADER})" if "char" in name and size > _SIZE_HEADER else name


def _redshift_type(row: Sequence[object]) -> str:
    """Put a type of SVV_COLUMNS and its sizes together: `numeric` with 10 and 2 is `numeric(10,2)`."""
    name, length, precision, scale = _GLUE_TYPES.get(str(row[3]).lower(), str(row[3])), *row[4:7]
    if "(" in name or "<" in name:
        return name
    if "char" in name and length is not None:
        return f"{name}({length})"
    if name in ("numeric", "decimal") and precision is not None:
        return f"{name}({precision},{scale or 0})"
    return name


def _literals(names: Iterable[str]) -> str:
    return ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(set(names)))
