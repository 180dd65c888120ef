"""Correlated subqueries that Redshift cannot decorrelate.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_correlated_subqueries.html
"""

from __future__ import annotations

from sqlglot import exp

from metadata_sync.sql.redshift.rule import function_name

_WHOLE_AGGREGATES = (exp.Min, exp.Max)


def unsupported_correlation(node: exp.Expr) -> str | None:
    """Say which of AWS's patterns a subquery follows, or None."""
    outer = node.parent_select if isinstance(node, exp.Select) else None
    if not isinstance(node, exp.Select) or outer is None or isinstance(node.parent, exp.CTE):
        return None
    depth = _depth(node)
    patterns = {
        "a grouped aggregate after IN": _is_grouped_in(node),
        "a reference that skips a query block": depth > 1,
        "a reference in ON of an outer join": depth > 0 and _is_in_outer_join(node),
        "a reference beside a window function": depth > 0
        and any(window.parent_select is node for window in node.find_all(exp.Window)),
        "a result in GROUP BY": depth > 0 and _is_grouped_by(node.parent, outer),
    }
    return next((pattern for pattern, is_met in patterns.items() if is_met), None)


def _is_in_outer_join(node: exp.Select) -> bool:
    join = node.find_ancestor(exp.Join, exp.Select)
    return isinstance(join, exp.Join) and bool(join.side) and join.args.get("on") is not None


def _is_grouped_in(node: exp.Select) -> bool:
    is_after_in = isinstance(node.parent, exp.In) or isinstance(getattr(node.parent, "parent", None), exp.In)
    if not is_after_in or node.args.get("group") is None:
        return False
    return any(
        isinstance(item.unalias(), exp.AggFunc) and not isinstance(item.unalias(), _WHOLE_AGGREGATES)
        for item in node.expressions
    )


def _depth(node: exp.Select) -> int:
    """Return how many blocks the farthest reference of a subquery's own reaches out."""
    blocks = [_names(node)]
    around = node.parent_select
    while around is not None:
        blocks.append(_names(around))
        around = around.parent_select
    farthest = 0
    for column in node.find_all(exp.Column):
        if column.table and column.parent_select is node:
            reached = next((depth for depth, names in enumerate(blocks) if column.table.lower() in names), 0)
            farthest = max(farthest, reached)
    return farthest


def _names(select: exp.Select) -> set[str]:
    places = [select.args.get("from_") or select.args.get("from"), *(select.args.get("joins") or ())]
    sources = [place.this for place in places if place is not None]
    return {source.alias_or_name.lower() for source in sources if source is not None}


def _is_grouped_by(subquery: exp.Expr | None, outer: exp.Select) -> bool:
    group = outer.args.get("group")
    alias = (
        subquery.parent.alias if isinstance(subquery, exp.Subquery) and isinstance(subquery.parent, exp.Alias) else ""
    )
    columns = group.expressions if group is not None else ()
    return bool(alias) and any(isinstance(item, exp.Column) and item.name == alias for item in columns)


def too_many_arguments(node: exp.Expr) -> str | None:
    """Calls with more arguments than Redshift's function takes."""
    most = len(("first", "second"))
    if isinstance(node, exp.Concat) and len(node.expressions) > most:
        return "concat() of more than two texts"
    if isinstance(node, exp.Lag | exp.Lead) and node.args.get("default") is not None:
        return f"{function_name(node)}() with a default"
    if isinstance(node, exp.Log) and node.expression is not None:
        return "log() with a base"
    return None


def changing_cte(node: exp.Expr) -> str | None:
    """A common table expression that changes rows."""
    is_change = isinstance(node, exp.CTE) and isinstance(node.this, exp.Insert | exp.Update | exp.Delete | exp.Merge)
    return f"{node.this.key.upper()} in WITH" if is_change else None
