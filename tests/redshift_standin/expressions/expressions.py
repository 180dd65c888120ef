"""Expressions of Redshift as PostgreSQL computes the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlglot
from sqlglot import exp

from metadata_sync.sql.redshift.from_paths import FromPath
from tests.redshift_standin.expressions.calls import BY_KIND, rewrite_call
from tests.redshift_standin.expressions.casts import TYPES, rewrite_cast, rewrite_try_cast
from tests.redshift_standin.expressions.decimals import rewrite_decimals
from tests.redshift_standin.expressions.not_known import refuse_unknown
from tests.redshift_standin.expressions.queries import Columns, rewrite_queries
from tests.redshift_standin.expressions.super_paths import resolve_paths
from tests.redshift_standin.expressions.windows import rewrite_window
from tests.redshift_standin.protocol.wire import Column

# Catalogs of PostgreSQL's that show other things on Redshift
CATALOGS = frozenset(
    {("information_schema", "views"), ("information_schema", "columns"), ("", "pg_views"), ("pg_catalog", "pg_views")}
)
PSEUDO_COLUMNS = {"$path": "rs_catalog.external_path", "$size": "rs_catalog.external_size"}
LAYOUT_COLUMNS = frozenset({"attisdistkey", "attsortkeyord"})
LAYOUT_CATALOGS = frozenset({"pg_class", "pg_attribute"})
RESERVED = frozenset(
    [
        "array",
        "asymmetric",
        "concurrently",
        "current_catalog",
        "current_role",
        "fetch",
        "lateral",
        "placing",
        "returning",
        "symmetric",
    ]
)
"""Words that name something on Redshift and not in PostgreSQL."""


def to_postgres(
    tree: exp.Expr, views: Mapping[tuple[str, str], str], columns: Columns, paths: Sequence[FromPath] = ()
) -> exp.Expr:
    """Rewrite a parsed statement.

    Args:
        tree: Statement or query; it is changed.
        views: Late-binding views to put in place, (schema, name) → SELECT in PostgreSQL's words.
        columns: Asks the database for the columns of a query, which is rewritten before.
        paths: SUPER paths that stood in FROM, by their number.
    """
    for node in tree.walk():
        refuse_unknown(node)

    def described(query: exp.Expr) -> Sequence[Column]:
        return columns(to_postgres(query, views, columns, paths))

    rewrite_queries(tree, described)
    resolve_paths(tree, paths)
    tree = rewrite_decimals(tree, described)
    for window in reversed(list(tree.find_all(exp.Window))):
        window.replace(rewrite_window(window))
    for node in reversed(list(tree.walk())):  # what lies within comes first
        rewritten = _rewrite(node)
        if node is tree:
            tree = rewritten
        elif rewritten is not node:
            node.replace(rewritten)
    _name_subqueries(tree)
    _put_relations(tree, views, columns)
    return tree


def _name_subqueries(tree: exp.Expr) -> None:
    """PostgreSQL 15 asks for an alias of each query in FROM, Redshift does not."""
    for number, query in enumerate(tree.find_all(exp.Subquery)):
        if isinstance(query.parent, exp.From | exp.Join) and not query.alias:
            query.set("alias", exp.TableAlias(this=exp.to_identifier(f"rs_query_{number}")))


def _put_relations(tree: exp.Expr, views: Mapping[tuple[str, str], str], columns: Columns) -> None:
    """Put catalogs that show other things on Redshift, and late-binding views, in place of their names."""
    has_layout = any(column.name in LAYOUT_COLUMNS for column in tree.find_all(exp.Column))
    has_layout = has_layout or any(table.name == "pg_attribute" for table in tree.find_all(exp.Table))
    for table in list(tree.find_all(exp.Table)):
        if (table.db, table.name) in CATALOGS or (has_layout and table.name in LAYOUT_CATALOGS):
            table.set("db", exp.to_identifier("rs_catalog"))
        query = views.get((table.db, table.name))
        if query is not None and isinstance(table.parent, exp.From | exp.Join):
            body = sqlglot.parse_one(query, dialect="postgres")
            alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name))
            table.replace(exp.Subquery(this=to_postgres(body, views, columns), alias=alias))


def _of_file(column: exp.Column) -> exp.Expr:
    """Put what the stand-in knows of a row's file in place of a pseudocolumn of an external table."""
    table = exp.column("tableoid", table=column.args.get("table"))
    value = exp.Anonymous(this=PSEUDO_COLUMNS[column.name], expressions=[table])
    is_shown = isinstance(column.parent, exp.Select) and column.arg_key == "expressions"
    return exp.alias_(value, column.name, quoted=True) if is_shown else value


def _rewrite(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Identifier):
        node.set("this", node.this.lower())
        if node.this.startswith("#") or node.this in RESERVED:
            node.set("quoted", True)
    elif isinstance(node, exp.Anonymous):
        return rewrite_call(node)
    elif isinstance(node, exp.DataType) and node.this in TYPES:
        return exp.DataType.build(TYPES[node.this], dialect="postgres", udt=True)
    elif isinstance(node, exp.Cast):  # TRY_CAST is one, too
        return rewrite_try_cast(node) if isinstance(node, exp.TryCast) else rewrite_cast(node)
    elif isinstance(node, exp.Column) and node.name in PSEUDO_COLUMNS:
        return _of_file(node)
    return BY_KIND[type(node)](node) if type(node) in BY_KIND else node
