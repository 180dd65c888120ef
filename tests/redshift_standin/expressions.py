"""Expressions of Redshift as PostgreSQL computes the same."""

from __future__ import annotations

from collections.abc import Mapping

import sqlglot
from sqlglot import exp

DATE_PART_FIRST = frozenset({"dateadd", "datediff", "date_add", "date_diff"})
# Catalogs of PostgreSQL's that show other things on Redshift
CATALOGS = frozenset(
    {("information_schema", "views"), ("information_schema", "columns"), ("", "pg_views"), ("pg_catalog", "pg_views")}
)
MOST_BYTES = 65535  # varchar(max)
UNSIZED_DECIMAL = "decimal(18, 0)"  # DECIMAL without precision and scale (r_Numeric_types201.html)
BYTES = (exp.DataType.Type.VARCHAR, exp.DataType.Type.CHAR)


def to_postgres(tree: exp.Expr, views: Mapping[tuple[str, str], str]) -> exp.Expr:
    """Rewrite a parsed statement.

    Args:
        tree: Statement or query; it is changed.
        views: Late-binding views to put in place, (schema, name) → SELECT in PostgreSQL's words.
    """
    for node in reversed(list(tree.walk())):  # what lies within comes first
        rewritten = _rewrite(node)
        if node is tree:
            tree = rewritten
        elif rewritten is not node:
            node.replace(rewritten)
    for table in list(tree.find_all(exp.Table)):
        if (table.db, table.name) in CATALOGS:
            table.set("db", exp.to_identifier("rs_catalog"))
        query = views.get((table.db, table.name))
        if query is not None and isinstance(table.parent, exp.From | exp.Join):
            body = sqlglot.parse_one(query, dialect="postgres")
            alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name))
            table.replace(exp.Subquery(this=to_postgres(body, views), alias=alias))
    return tree


def is_unsized_decimal(kind: exp.Expr | None) -> bool:
    """DECIMAL or NUMERIC without precision and scale."""
    return isinstance(kind, exp.DataType) and kind.this is exp.DataType.Type.DECIMAL and not kind.expressions


def _rewrite(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Identifier):
        node.set("this", node.this.lower())
    elif isinstance(node, exp.Anonymous):
        return _rewrite_call(node)
    elif isinstance(node, exp.Avg):
        return exp.Dot(
            this=exp.to_identifier("rs_catalog"), expression=exp.Anonymous(this="avg", expressions=[node.this])
        )
    elif isinstance(node, exp.CurrentTimestamp) and node.args.get("sysdate"):
        return exp.Anonymous(this="getdate")
    elif isinstance(node, exp.TryCast):
        return _rewrite_try_cast(node)
    elif isinstance(node, exp.Cast):
        return _rewrite_cast(node)
    return node


def _rewrite_call(node: exp.Anonymous) -> exp.Expr:
    name = node.name.lower()
    if name in DATE_PART_FIRST and isinstance(node.expressions[0], exp.Column | exp.Var):
        node.expressions[0].replace(exp.Literal.string(node.expressions[0].name.lower()))
    if name == "nvl2":
        value, given, missing = node.expressions
        return exp.Case(ifs=[exp.If(this=value.is_(exp.null()).not_(), true=given)], default=missing)
    return node


def _rewrite_cast(node: exp.Cast) -> exp.Expr:
    """An explicit cast to varchar(n) cuts at n bytes (r_Character_types.html); DECIMAL alone is DECIMAL(18,0)."""
    kind = node.to
    if is_unsized_decimal(kind):
        kind = exp.DataType.build(UNSIZED_DECIMAL)
        node.set("to", kind)
    if kind.expressions and kind.expressions[0].name.lower() == "max":
        kind = exp.DataType.build(f"varchar({MOST_BYTES})")
        node.set("to", kind)
    if kind.this not in BYTES or not kind.expressions or isinstance(node.this, exp.Null):
        return node
    cut = exp.Anonymous(
        this="rs_catalog.cut_bytes", expressions=[exp.cast(node.this, "text"), kind.expressions[0].this]
    )
    return exp.Cast(this=cut, to=kind.copy())


def _rewrite_try_cast(node: exp.TryCast) -> exp.Expr:
    """PostgreSQL has none, and sqlglot would write a plain cast."""
    if is_unsized_decimal(node.to):
        node.set("to", exp.DataType.build(UNSIZED_DECIMAL))
    kind = exp.Literal.string(node.to.sql("postgres"))
    return exp.Anonymous(
        this="rs_catalog.try_cast", expressions=[node.this, kind, exp.cast(exp.null(), node.to.copy())]
    )
