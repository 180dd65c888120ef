"""A SELECT on DuckDB over a few rows, and whether the warehouse yields the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.schema import MappingSchema

from flows.warehouse.connection import Warehouse, as_text, first_line
from metadata_sync.analysis.unit_tests import rows_select
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.sql.parse import ParsedSelect, parse_select
from metadata_sync.sql.rewrite import replace_tables

if TYPE_CHECKING:
    import duckdb

Rows = Sequence[Mapping[str, Any]]
"""Rows by column; values as YAML holds them: text, numbers, booleans, None."""

Types = Mapping[str, str]
"""Column → its type in DuckDB."""

_UNKNOWN_TYPES: Final = (exp.DataType.Type.UNKNOWN, exp.DataType.Type.USERDEFINED, exp.DataType.Type.SUPER)


def duckdb_type(type_: str, dialect: str) -> str | None:
    """Return a type of the warehouse as DuckDB writes it; None when DuckDB has none.

    >>> duckdb_type("character varying(10)", "postgres"), duckdb_type("timestamp without time zone", "redshift")
    ('text(10)', 'timestamp')
    >>> duckdb_type("super", "redshift") is None
    True
    """
    if dialect == "duckdb":
        return type_
    try:
        parsed = exp.DataType.build(type_, dialect=dialect)
        text = parsed.sql("duckdb", unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, ValueError):
        return None
    return None if any(part.this in _UNKNOWN_TYPES for part in parsed.find_all(exp.DataType)) else text.lower()


def duckdb_select(text: str, dialect: str, target: TableName, types: Mapping[TableName, Types]) -> str:
    """Return a SELECT of the warehouse as DuckDB runs it.

    Args:
        text: The SELECT.
        dialect: The warehouse's SQL, as sqlglot names it.
        target: Its target, for messages.
        types: Columns of its tables in DuckDB's types: they decide what a slash divides.

    Raises:
        ConfigurationError: When it has no counterpart on DuckDB.
    """
    if dialect == "duckdb":
        return text
    try:
        schema = MappingSchema(dialect="duckdb")
        for name, columns in types.items():
            schema.add_table(exp.table_(name.table, db=name.schema), dict(columns), dialect="duckdb")
        tree = annotate_types(sqlglot.parse_one(text, read=dialect), schema=schema, dialect=dialect)
        translated = tree.transform(_truncating).sql("duckdb", unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, ValueError) as error:
        raise not_portable(target, f"it has no counterpart there ({first_line(error)})") from error
    if any(not character.isprintable() for character in {*translated} - {*text}):
        raise not_portable(target, "its counterpart there holds invisible characters, as that of initcap() does")
    return translated


def _truncating(node: exp.Expression) -> exp.Expression:
    """Divide integers as PostgreSQL and Redshift do: towards zero, without a fraction."""
    if not isinstance(node, exp.Div) or not node.args.get("typed"):
        return node
    if all(part.is_type(*exp.DataType.INTEGER_TYPES) for part in (node.left, node.right)):
        return exp.IntDiv(this=node.left, expression=node.right)
    return node


def not_portable(target: TableName, reason: str) -> ConfigurationError:
    """Return the error for a SELECT that tests cannot run."""
    return ConfigurationError(
        f"{target} cannot be tested: tests run on DuckDB, and its SELECT does not: {reason}.",
        "Write that expression as both know it, or test the target in its warehouse.",
        subject=str(target),
    )


def parsed(text: str, dialect: str, target: TableName) -> ParsedSelect:
    """Parse a SELECT.

    Raises:
        ConfigurationError: When it is none; `sluice validate` says more.
    """
    select, problems = parse_select(text, dialect)
    if select is None or problems:
        reason = problems[0].message if problems else "it is no SELECT"
        raise ConfigurationError(f"The SELECT of {target} has a fault: {reason}", "sluice validate shows every fault.")
    return select


def create_table(connection: duckdb.DuckDBPyConnection, name: TableName, types: Types) -> None:
    """Create an empty table."""
    columns = ", ".join(f"{quote_identifier(column)} {type_}" for column, type_ in types.items())
    connection.execute(f"create schema if not exists {quote_identifier(name.schema)}")
    connection.execute(f"create or replace table {_table(name)} ({columns or 'sluice_nothing integer'})")


def insert_rows(
    connection: duckdb.DuckDBPyConnection, name: TableName, types: Types, rows: Rows, *, known_as: object = None
) -> None:
    """Add rows to a table; a column that a row does not name is NULL.

    Args:
        connection: A connection that may write.
        name: The table.
        types: Its columns.
        rows: The rows.
        known_as: What messages call the table, by default its name.

    Raises:
        ConfigurationError: When a row names another column, or holds a value that does not fit.
    """
    import duckdb

    shown = known_as or name
    for row in rows:
        foreign = [column for column in row if column not in types]
        if foreign:
            raise ConfigurationError(
                f"A row of {shown} has a column {foreign[0]!r}, which `columns:` does not list.",
                f"Add it with its type, or correct the name. The columns are: {', '.join(types)}.",
            )
        named = [column for column in row if row[column] is not None] or list(types)[:1]
        values = ", ".join(f"cast(? as {types[column]})" for column in named)
        columns = ", ".join(map(quote_identifier, named))
        statement = f"insert into {_table(name)} ({columns}) values ({values})"  # noqa: S608 - names are quoted
        try:
            connection.execute(statement, [_parameter(row.get(column)) for column in named])
        except duckdb.Error as error:
            raise ConfigurationError(
                f"A row of {shown} does not fit its columns: {first_line(error)}", f"The row: {dict(row)}"
            ) from error


def _parameter(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int) else str(value)


def _table(name: TableName) -> str:
    return f"{quote_identifier(name.schema)}.{quote_identifier(name.table)}"


class SelectOnRows:
    """A SELECT in an in-memory DuckDB, with tables of a few rows.

    Args:
        text: The SELECT, in DuckDB's SQL.
        target: Its target, for messages.
        tables: Table → its columns with their types.
    """

    def __init__(self, text: str, target: TableName, tables: Mapping[TableName, Types]) -> None:
        import duckdb

        self._text = text.strip().rstrip(";")
        self._target = target
        self.tables = tables
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("set TimeZone = 'UTC'")
        for name, types in tables.items():
            create_table(self.connection, name, types)

    def fill(self, rows: Mapping[TableName, Rows]) -> None:
        """Replace the rows of some tables."""
        for name, given in rows.items():
            self.connection.execute(f"delete from {_table(name)}")  # noqa: S608 - names are quoted
            insert_rows(self.connection, name, self.tables[name], given)

    def result(self, condition: str | None = None) -> list[dict[str, Any]]:
        """Return the SELECT's rows, those where a condition holds.

        Raises:
            ConfigurationError: When DuckDB refuses it.
        """
        where = f" where {condition}" if condition else ""
        return readable_rows(self.connection, f"select * from ({self._text}\n) as sluice_source{where}", self._target)  # noqa: S608 - a checked SELECT

    def as_written(self, rows: Rows) -> list[dict[str, Any]]:
        """Return expected rows in the writing of the SELECT's columns, with the columns that the first rows name.

        Raises:
            ConfigurationError: When they do not fit.
        """
        described = self.connection.sql(f"select * from ({self._text}\n) as sluice_source")  # noqa: S608 - a checked SELECT
        types = {name: str(type_) for name, type_ in zip(described.columns, described.types, strict=True)}
        place = TableName("sluice_expected", "rows")
        create_table(self.connection, place, types)
        insert_rows(self.connection, place, types, rows)
        named = {name for row in rows for name in row}
        found = readable_rows(self.connection, f"select * from {_table(place)}", self._target)  # noqa: S608 - as above
        return [{name: value for name, value in row.items() if name in named} for row in found]

    def value_of(self, expression: str, name: TableName, row: Mapping[str, Any]) -> str | None:
        """Return an expression over one row of a table, as text."""
        self.fill({name: [row]})
        (found,) = self.connection.execute(f"select {as_text(expression)} from {_table(name)}").fetchall()  # noqa: S608 - of a checked SELECT
        return None if found[0] is None else str(found[0])


def readable_rows(connection: duckdb.DuckDBPyConnection, query: str, target: TableName) -> list[dict[str, Any]]:
    """Return the rows of a query as a test file holds them: integers and booleans as such, all else as text.

    Raises:
        ConfigurationError: When DuckDB refuses it.
    """
    import duckdb

    try:
        relation = connection.sql(query)
        columns = [(name, str(type_).lower()) for name, type_ in zip(relation.columns, relation.types, strict=True)]
        shown = ", ".join(
            quote_identifier(name)
            if _is_written_plainly(type_)
            else f"{as_text(quote_identifier(name))} as {quote_identifier(name)}"
            for name, type_ in columns
        )
        found = connection.execute(f"select {shown} from ({query}) as sluice_rows").fetchall()  # noqa: S608 - a checked SELECT
    except duckdb.Error as error:
        raise not_portable(target, first_line(error)) from error
    return [dict(zip((name for name, _ in columns), row, strict=True)) for row in found]


def _is_written_plainly(type_: str) -> bool:
    return type_ == "boolean" or type_ in {"tinyint", "smallint", "integer", "bigint", "hugeint"}


def warehouse_result(
    select: ParsedSelect, warehouse: Warehouse, types: Mapping[TableName, Types], rows: Mapping[TableName, Rows]
) -> list[tuple[Any, ...]]:
    """Run a SELECT in the warehouse over a few given rows instead of its tables.

    Args:
        select: The SELECT, in the warehouse's SQL.
        warehouse: A read-only connection.
        types: Table → column → type in the warehouse's words.
        rows: Table → rows.

    Returns:
        Its rows.
    """
    values = {name: f"({rows_select(types[name], rows.get(name, ()))})" for name in select.tables}
    text = replace_tables(select, values)
    return [tuple(row) for row in warehouse.query(text)]


def first_difference(ours: Iterable[Sequence[Any]], theirs: Iterable[Sequence[Any]]) -> str | None:
    """Return the first row of two results that the other does not have; equal numbers are equal in any writing."""
    left, right = (sorted(tuple(map(comparable, row)) for row in rows) for rows in (ours, theirs))
    if left == right:
        return None
    only = [row for row in left if row not in right] or [row for row in right if row not in left] or left[:1] or right
    return "(" + ", ".join(only[0]) + ")"


def comparable(value: Any) -> str:
    """Return a value in a writing that is equal for equal values of DuckDB, PostgreSQL and YAML.

    >>> comparable(1), comparable("1.50"), comparable(True), comparable("2024-01-01 00:00:00"), comparable(None)
    ('1', '1.5', 'true', '2024-01-01 00:00:00', '∅')
    """
    if value is None:
        return "∅"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return format(number.normalize(), "f") if number.is_finite() else text
