"""The columns of its tables that a SELECT may read: others are never described, whatever their type is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.rows.model import Column
from metadata_sync.rows.names import TableName
from metadata_sync.sql.parse import ParsedSelect
from metadata_sync.sql.type_rules import size_problem

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_ ]*(\([0-9, ]+\))?(with(out)? time zone)?")
"""Types that every session can describe."""
_NAMING: Final = (exp.Alias, exp.TableAlias, exp.Table)
"""What holds new names and names of tables."""
_ANY_COLUMN: Final = (exp.Columns, exp.Pivot, exp.PositionalColumn)
"""What reads columns without their names: a pivot groups by all that it does not name; `#1` is the first one."""


def columns_read(select: ParsedSelect, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns of a table that a SELECT may read; those of plain types stand for themselves.

    A table may have columns of types that this session cannot use, or that no cast of NULL describes.

    Args:
        select: The parsed SELECT.
        columns: All columns of one of its tables.
    """
    odd = {column.name for column in columns if not _is_plain(column.type, select.dialect)}
    unread = {name for name in odd if not _may_read(select, name)}
    return tuple(column for column in columns if column.name not in unread)


def unreadable_columns(select: ParsedSelect, tables: Mapping[TableName, tuple[Column, ...]]) -> tuple[Problem, ...]:
    """Find columns that a SELECT reads and that the warehouse would change while it reads them.

    DuckDB reads decimals of Parquet with more digits than it holds as doubles, which rounds them.

    Args:
        select: The parsed SELECT.
        tables: The columns of its tables.
    """
    found = []
    for table, columns in tables.items():
        for column in columns:
            problem = size_problem(column.type, select.dialect) if "decimal" in column.type else None
            if problem is not None and _may_read(select, column.name):
                reason = f"{problem[0]}: it would be rounded"
                remedy = f"Land it as text or as a decimal of at most 38 digits, or do not read it ({column.name})."
                found.append(
                    Problem("column_type", f"{table}.{column.name} is {column.type}. {reason}.", remedy, column.name)
                )
    return tuple(found)


def _is_plain(type_: str, dialect: str) -> bool:
    return _PLAIN.fullmatch(type_) is not None and size_problem(type_, dialect) is None


def _may_read(select: ParsedSelect, name: str) -> bool:
    """Whether a SELECT names a column, or reads all of them: by a star, a whole row or a natural join."""
    names = names_read(select)
    return names is None or name.lower() in names


def names_read(select: ParsedSelect) -> frozenset[str] | None:
    """Return every name in a SELECT that may be a column's, in lower case; None: it may read all columns."""
    if reads_all(select):
        return None
    identifiers = select.tree.find_all(exp.Identifier)
    return frozenset(str(node.name).lower() for node in identifiers if not isinstance(node.parent, _NAMING))


def reads_all(select: ParsedSelect) -> bool:
    """Whether a SELECT may read every column of a table."""
    rows = {str(table.alias_or_name).lower() for table in select.tree.find_all(exp.Table)}
    for node in select.tree.walk():
        if isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count):
            return True
        if isinstance(node, _ANY_COLUMN) or (isinstance(node, exp.Join) and node.args.get("method") == "NATURAL"):
            return True
        if isinstance(node, exp.Column) and not node.table and str(node.name).lower() in rows:
            return True
    return False
