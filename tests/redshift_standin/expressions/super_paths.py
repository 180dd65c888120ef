"""Paths into SUPER values, as calls of super.sql's functions.

Which part of `a.b.c` names a table is known from the statement's own FROM: a name that is no table there is a column.
Source: https://docs.aws.amazon.com/redshift/latest/dg/query-super.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp

from metadata_sync.sql.redshift.from_paths import ELEMENTS, FromPath
from tests.redshift_standin.expressions.dialect import StandinRedshift

STATEMENTS = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create)
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between)
SUPER = "rs_catalog.super_"


def resolve_paths(tree: exp.Expr, paths: Sequence[FromPath]) -> None:
    """Rewrite a statement's paths, those in FROM first; it is changed.

    Args:
        tree: The statement.
        paths: What from_paths.py took out of its text.
    """
    if not isinstance(tree, STATEMENTS):
        return
    elements = _put_elements(tree, paths)
    names = _table_names(tree)
    for node in [node for node in tree.walk() if isinstance(node, exp.Column | exp.Dot | exp.Bracket)]:
        if not _is_step(node.parent, node):
            _resolve(node, elements, names)
    for compared in list(tree.find_all(*COMPARISONS, exp.Like, exp.ILike, exp.SimilarTo, exp.RegexpLike)):
        _match_text(compared)


def is_path(node: object) -> bool:
    """Whether a rewritten expression reads a SUPER value."""
    return isinstance(node, exp.Anonymous) and str(node.this).startswith(SUPER)


def _put_elements(tree: exp.Expr, paths: Sequence[FromPath]) -> set[str]:
    """Put each path's elements into FROM; returns their aliases."""
    elements: set[str] = set()
    for select in list(tree.find_all(exp.Select)):
        seen: set[str] = set()
        for holder in [select.args.get("from_"), *(select.args.get("joins") or [])]:
            if holder is None:
                continue
            source = holder.this
            found = _from_path(source, seen, elements, paths)
            alias = _alias(source)
            if found is not None:
                path, position, function = found
                elements.add(alias)
                holder.set("this", _elements(path, position, function, alias))
            seen.add(alias)
    return elements


def _from_path(
    source: exp.Expr, seen: set[str], elements: set[str], paths: Sequence[FromPath]
) -> tuple[exp.Expr, str | None, str] | None:
    if isinstance(source, exp.Unnest):
        return source.expressions[0].copy(), None, "super_elements"
    if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
        return None
    parts = [part.copy() for part in source.parts]
    first = parts[0].name.lower()
    if len(parts) == 1 and first.startswith(ELEMENTS):
        taken = paths[int(first.removeprefix(ELEMENTS))]
        function = "super_pairs" if taken.is_unpivot else "super_elements"
        return sqlglot.parse_one(taken.path, dialect=StandinRedshift), taken.position, function
    if first not in (seen if len(parts) > 1 else elements):
        return None
    return _column(parts), None, "super_elements"


def _elements(path: exp.Expr, position: str | None, function: str, alias: str) -> exp.Expr:
    call = exp.Anonymous(this=f"rs_catalog.{function}", expressions=[path])
    columns = [exp.to_identifier(alias, quoted=True), exp.to_identifier(position or f"rs_at_{alias}", quoted=True)]
    table = exp.TableAlias(this=exp.to_identifier(alias, quoted=True), columns=columns)
    return exp.Lateral(this=call, alias=table)


def _alias(source: exp.Expr) -> str:
    if isinstance(source, exp.Unnest):
        columns = source.args["alias"].args.get("columns") or []
        return str(columns[0].name if columns else source.alias).lower()
    return str(source.alias_or_name).lower()


def _table_names(tree: exp.Expr) -> set[tuple[str, ...]]:
    """Names of tables as columns may be qualified by them: (alias,) and (schema, table)."""
    names: set[tuple[str, ...]] = set()
    for source in tree.find_all(exp.Table, exp.Subquery, exp.CTE, exp.Lateral, exp.Values):
        names.add((source.alias_or_name.lower(),))
        if isinstance(source, exp.Table):
            parts = [part.name.lower() for part in source.parts]
            names |= {(source.name.lower(),), tuple(parts), tuple(parts[-2:])}
    names |= {(pivot.alias.lower(),) for pivot in tree.find_all(exp.Pivot) if pivot.alias}
    return names


def _is_step(parent: exp.Expr | None, node: exp.Expr) -> bool:
    """Whether a node is a step of a longer path, which is rewritten as a whole."""
    return isinstance(parent, exp.Dot | exp.Bracket) and parent.this is node


def _resolve(node: exp.Expr, elements: set[str], names: set[tuple[str, ...]]) -> None:
    steps = list(_steps(node))
    base, *rest = steps
    if isinstance(base, exp.Column):
        if isinstance(base.this, exp.Star):
            return
        parts = [part.copy() for part in base.parts]
        size = _base_size(parts, elements, names)
        if size == len(parts) and not rest:
            return
        if len(parts) > 1 and parts[0].name.lower() in elements:
            column, rest = _column([parts[0], parts[0].copy()]), [*parts[1:], *rest]
        else:
            column, rest = _column(parts[:size]), [*parts[size:], *rest]
    elif rest and not isinstance(base, exp.Identifier):
        column = base.copy()
    else:
        return
    _replace(node, column, rest)


def _base_size(parts: Sequence[exp.Expr], elements: set[str], names: set[tuple[str, ...]]) -> int:
    """How many parts of a dotted name are the column and its table."""
    words = tuple(part.name.lower() for part in parts)
    if len(words) == 1 or words[0] in elements:
        return 1
    for size in (3, 2, 1):
        if len(words) > size and words[:size] in names:
            return size + 1
    return 1 if names else len(words)


def _steps(node: exp.Expr) -> Iterator[exp.Expr]:
    """The base of a path, and then what is read of it: identifiers and subscripts."""
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Identifier):
        yield from _steps(node.this)
        yield node.expression
    elif isinstance(node, exp.Bracket):
        yield from _steps(node.this)
        yield from node.expressions
    else:
        yield node


def _replace(node: exp.Expr, column: exp.Expr, rest: Sequence[exp.Expr]) -> None:
    if not rest:
        node.replace(column)
        return
    path: exp.Expr = column
    for step in rest:
        is_name = isinstance(step, exp.Identifier)
        found = exp.Literal.string(step.name.lower()) if is_name else step.copy()
        path = exp.Anonymous(this=SUPER + ("attr" if is_name else "item"), expressions=[path, found])
    if isinstance(node.parent, exp.Select) and node.arg_key == "expressions":
        named = [step.name.lower() for step in [column, *rest] if not isinstance(step, exp.Literal) and step.name]
        path = exp.Alias(this=path, alias=exp.to_identifier(named[-1] if named else "?column?", quoted=True))
    node.replace(path)


def _column(parts: Sequence[exp.Expr]) -> exp.Expr:
    names = ("this", "table", "db", "catalog")
    return exp.Column(**dict(zip(names, reversed([part.copy() for part in parts]), strict=False)))


def _match_text(node: exp.Expr) -> None:
    """Compare a path with text as text: to PostgreSQL a bare literal would be JSON."""
    if not any(is_path(child) for child in node.iter_expressions()):
        return
    if isinstance(node, COMPARISONS):
        for child in list(node.iter_expressions()):
            if isinstance(child, exp.Literal) and child.is_string:
                child.replace(exp.cast(child.copy(), "text"))
    elif is_path(node.this):
        node.this.replace(exp.cast(node.this.copy(), "text"))
