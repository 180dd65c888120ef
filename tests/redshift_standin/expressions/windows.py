"""Windows that PostgreSQL lacks: IGNORE NULLS, LISTAGG and percentiles with OVER, RATIO_TO_REPORT."""

from __future__ import annotations

from sqlglot import exp

from tests.redshift_standin.errors import not_known


def rewrite_window(node: exp.Window) -> exp.Expr:
    """One function with OVER, as PostgreSQL computes it.

    Raises:
        RedshiftError: When it has no counterpart.
    """
    call = node.this
    if isinstance(call, exp.RespectNulls):
        node.set("this", call.this)
    elif isinstance(call, exp.IgnoreNulls):
        return _without_nulls(node, call.this)
    elif isinstance(call, exp.WithinGroup):
        return _ordered_set(node, call)
    elif isinstance(call, exp.Median):
        return _percentile(node, True, call.this, exp.Literal.number("0.5"))
    elif isinstance(call, exp.Anonymous) and call.name.lower() == "listagg":
        node.set("this", _joined(call))
    elif isinstance(call, exp.Anonymous) and call.name.lower() == "ratio_to_report":
        return _ratio(node, call.expressions[0])
    return node


def _ratio(node: exp.Window, value: exp.Expr) -> exp.Expr:
    """A value over the sum of its partition (r_WF_RATIO_TO_REPORT.html)."""
    node.set("this", exp.Sum(this=value.copy()))
    total = exp.func("nullif", exp.cast(node.copy(), "double precision"), exp.Literal.number(0))
    return exp.Paren(this=exp.Div(this=exp.cast(value.copy(), "double precision"), expression=total, typed=True))


def _without_nulls(node: exp.Window, call: exp.Expr) -> exp.Expr:
    value = call.this.copy()
    if isinstance(call, exp.FirstValue | exp.LastValue):
        name = "first_not_null" if isinstance(call, exp.FirstValue) else "last_not_null"
        node.set("this", exp.Anonymous(this=f"rs_catalog.{name}", expressions=[value]))
        return node
    if not isinstance(call, exp.Lag | exp.Lead | exp.NthValue):
        raise not_known(f"IGNORE NULLS of {type(call).__name__}")
    offset = call.args.get("offset") or exp.Literal.number(1)
    name = "not_nulls_reversed" if isinstance(call, exp.Lag) else "not_nulls"
    node.set("this", exp.Anonymous(this=f"rs_catalog.{name}", expressions=[value]))
    if isinstance(call, exp.Lag):
        _set_rows(node, "UNBOUNDED", "PRECEDING", "1", "PRECEDING")
    elif isinstance(call, exp.Lead):
        _set_rows(node, "1", "FOLLOWING", "UNBOUNDED", "FOLLOWING")
    return exp.Anonymous(this="rs_catalog.item", expressions=[node.copy(), exp.cast(offset.copy(), "bigint")])


def _set_rows(node: exp.Window, start: str, start_side: str, end: str, end_side: str) -> None:
    spec = exp.WindowSpec(kind="ROWS", start=start, start_side=start_side, end=end, end_side=end_side)
    node.set("spec", spec)


def _ordered_set(node: exp.Window, call: exp.WithinGroup) -> exp.Expr:
    function, order = call.this, call.expression
    if isinstance(function, exp.Anonymous) and function.name.lower() == "listagg":
        node.set("this", _joined(function))
        node.set("order", order.copy())
        _set_rows(node, "UNBOUNDED", "PRECEDING", "UNBOUNDED", "FOLLOWING")
        return node
    if not isinstance(function, exp.PercentileCont | exp.PercentileDisc):
        raise not_known(f"{type(function).__name__} WITHIN GROUP … OVER")
    term = order.expressions[0]
    share = function.this.copy()
    if term.args.get("desc"):
        share = exp.Sub(this=exp.Literal.number(1), expression=share)
    return _percentile(node, isinstance(function, exp.PercentileCont), term.this, share)


def _percentile(node: exp.Window, is_between: bool, value: exp.Expr, share: exp.Expr) -> exp.Expr:
    argument = exp.cast(value.copy(), "decimal") if is_between else value.copy()
    node.set("this", exp.Anonymous(this="rs_catalog.not_nulls", expressions=[argument]))
    name = "rs_catalog.share_between" if is_between else "rs_catalog.share_at"
    return exp.Anonymous(this=name, expressions=[node.copy(), exp.cast(share, "decimal(5, 4)")])


def _joined(listagg: exp.Anonymous) -> exp.Expr:
    value, *separators = listagg.expressions
    if isinstance(value, exp.Distinct):
        raise not_known("LISTAGG(DISTINCT …) with OVER")
    text = exp.cast(value.copy(), "text")
    return exp.Anonymous(this="string_agg", expressions=[text, *(separators or [exp.Literal.string("")])])
