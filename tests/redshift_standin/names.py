"""Names and literals for PostgreSQL."""

from __future__ import annotations

from sqlglot import exp


def literal(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def relation_name(table: exp.Expr | None) -> str:
    """`"schema"."table"` in lower case, as Redshift folds it even when quoted."""
    assert table is not None
    table = table if isinstance(table, exp.Table) else table.find(exp.Table)
    assert table is not None
    return ".".join(f'"{part.name.lower()}"' for part in table.parts if part.name)
