"""Calls of Redshift's functions as PostgreSQL computes the same."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from tests.redshift_standin.expressions.casts import is_of_a_relation
from tests.redshift_standin.expressions.dates import DATE_FUNCTIONS, extract, rewrite_date, truncate

SESSION_SETTINGS = frozenset({"query_group", "enable_result_cache_for_session", "wlm_query_slot_count"})
SUPER_ARGUMENTS = {"array_contains": 1, "array_position": 1, "array_positions": 1}
"""Functions with an argument that may be any value, and its place."""


def rewrite_call(node: exp.Anonymous) -> exp.Expr:
    """A call by its name."""
    name = node.name.lower()
    if name in DATE_FUNCTIONS:
        return rewrite_date(node, name)
    if name in SUPER_ARGUMENTS:
        place = SUPER_ARGUMENTS[name]
        node.expressions[place].replace(_to_super(node.expressions[place]))
    return BY_NAME[name](node) if name in BY_NAME else node


def _own(node: exp.Anonymous) -> exp.Expr:
    """A function that PostgreSQL has, too, with other answers."""
    node.set("this", f"rs_catalog.{node.name.lower()}")
    return node


def _sketch(node: exp.Anonymous) -> exp.Expr:
    node.expressions[0].replace(exp.cast(node.expressions[0].copy(), "text"))
    return node


def _object(node: exp.Anonymous) -> exp.Expr:
    return exp.Anonymous(this="rs_object", expressions=[_to_super(item) for item in node.expressions])


def _nvl2(node: exp.Anonymous) -> exp.Expr:
    value, given, missing = node.expressions
    return exp.Case(ifs=[exp.If(this=value.is_(exp.null()).not_(), true=given)], default=missing)


def _grouping(node: exp.Expr) -> exp.Expr:
    """GROUPING_ID is GROUPING of several columns (r_GROUP_BY_aggregation-extensions.html)."""
    return exp.Anonymous(this="grouping", expressions=[item.copy() for item in node.expressions])


def _setting(node: exp.Anonymous) -> exp.Expr:
    """Redshift's own settings are kept beside PostgreSQL's (r_CURRENT_SETTING.html)."""
    if node.expressions[0].name.lower() in SESSION_SETTINGS:
        return exp.Anonymous(this="rs_catalog.setting", expressions=[node.expressions[0].copy()])
    return node


def _average(node: exp.Expr) -> exp.Expr:
    """AVG of whole numbers is a whole number (r_AVG.html)."""
    call = exp.Anonymous(this="avg", expressions=[node.this])
    return exp.Dot(this=exp.to_identifier("rs_catalog"), expression=call)


def _now(node: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="rs_catalog.sysdate") if node.args.get("sysdate") else node


def _concat(node: exp.Expr) -> exp.Expr:
    """CONCAT with NULL is NULL (r_CONCAT.html)."""
    first, *rest = node.expressions
    joined: exp.Expr = exp.cast(first.copy(), "text")
    for text in rest:
        joined = exp.DPipe(this=joined, expression=text.copy())
    return exp.Paren(this=joined)


def _sized(node: exp.Expr) -> exp.Expr:
    """A constant that stands alone in the select list has the size that it is written with."""
    if not isinstance(node.parent, exp.Alias | exp.Select):
        return node
    if node.is_string:
        size = max(len(node.this.encode()), 1)
        return exp.cast(node.copy(), f"varchar({size})") if is_of_a_relation(node) else node
    whole, _, fraction = node.this.lstrip("0").partition(".")
    if not fraction or not (whole + fraction).isdigit():
        return node
    return exp.cast(node.copy(), f"decimal({len(whole) + len(fraction)}, {len(fraction)})")


def _into(node: exp.Expr) -> exp.Expr:
    """SELECT INTO #name makes a temporary table (r_SELECT_INTO.html)."""
    if node.this.name.startswith("#"):
        node.set("temporary", True)
    return node


def _to_super(value: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="rs_catalog.to_super", expressions=[value.copy()])


def _collate(node: exp.Anonymous) -> exp.Expr:
    value: exp.Expr
    value, name = node.expressions
    if name.name.lower() in ("case_sensitive", "cs"):
        return value
    return exp.Collate(this=value.copy(), expression=exp.to_identifier("rs_case_insensitive", quoted=True))


def _count_distinct(node: exp.Expr) -> exp.Expr:
    """An exact count in place of an approximate one."""
    return exp.Count(this=exp.Distinct(expressions=[node.this.copy()]))


def _array(node: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="rs_array", expressions=[_to_super(item) for item in node.expressions])


def _quantile(node: exp.Expr) -> exp.Expr:
    order = exp.Order(expressions=[exp.Ordered(this=node.this.copy())])
    return exp.WithinGroup(this=exp.PercentileDisc(this=node.args["quantile"].copy()), expression=order)


def _decode(node: exp.Anonymous) -> exp.Expr:
    """DECODE takes NULL for equal to NULL (r_DECODE_expression.html)."""
    value, *rest = node.expressions
    if len(rest) < len(("value", "result")):
        return node
    pairs = zip(rest[::2], rest[1::2], strict=False)
    ifs = [exp.If(this=exp.NullSafeEQ(this=value.copy(), expression=found), true=result) for found, result in pairs]
    return exp.Case(ifs=ifs, default=rest[-1] if len(rest) % 2 else None)


def _listagg(node: exp.Anonymous) -> exp.Expr:
    """LISTAGG is STRING_AGG, with no separator by default (r_LISTAGG.html)."""
    value, *separators = node.expressions
    if isinstance(value, exp.Distinct):
        separators = [*value.expressions[1:], *separators]
    kept = value.expressions[0] if isinstance(value, exp.Distinct) else value
    text = exp.cast(kept.copy(), "text")
    first = exp.Distinct(expressions=[text]) if isinstance(value, exp.Distinct) else text
    return exp.Anonymous(this="string_agg", expressions=[first, *(separators or [exp.Literal.string("")])])


def _within_group(node: exp.Expr) -> exp.Expr:
    """PostgreSQL orders the rows of STRING_AGG inside its brackets; with DISTINCT only by the text itself."""
    call, order = node.this, node.expression
    if not isinstance(call, exp.Anonymous) or call.name != "string_agg" or not isinstance(order, exp.Order):
        return node
    first, separator = call.expressions
    terms = [item.copy() for item in order.expressions]
    if isinstance(first, exp.Distinct):
        terms = [exp.Ordered(this=first.expressions[0].copy(), desc=item.args.get("desc")) for item in terms[:1]]
    return exp.Anonymous(this="string_agg", expressions=[first, exp.Order(this=separator, expressions=terms)])


BY_NAME: dict[str, Callable[[exp.Anonymous], exp.Expr]] = {
    "collate": _collate,
    "current_setting": _setting,
    "decode": _decode,
    "hll_create_sketch": _sketch,
    "listagg": _listagg,
    "nvl2": _nvl2,
    "object": _object,
    "to_date": _own,
}
BY_KIND: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.ApproxDistinct: _count_distinct,
    exp.ApproxQuantile: _quantile,
    exp.Array: _array,
    exp.Avg: _average,
    exp.Concat: _concat,
    exp.CurrentTimestamp: _now,
    exp.DateTrunc: truncate,
    exp.Extract: extract,
    exp.GroupingId: _grouping,
    exp.Hll: _count_distinct,
    exp.Into: _into,
    exp.Literal: _sized,
    exp.TimestampTrunc: truncate,
    exp.WithinGroup: _within_group,
}
