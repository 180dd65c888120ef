"""Aggregates and window functions: exact sums, averages divided as in the warehouse, frames that both engines have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.casts import convert, power_of_ten
from metadata_sync.sql.spark.expressions import Expressions, Place, rule
from metadata_sync.sql.spark.kinds import BIGINT, BOOLEAN, DOUBLE, HUGEINT, MOST_DIGITS, Kind, decimal
from metadata_sync.sql.spark.value import Refusal, Value, call, cast, spark

Over = Callable[[exp.Expr], exp.Expr]
"""Puts an aggregate over a window, or leaves it as it is."""
_AGGREGATES: Final = (exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.LogicalAnd, exp.LogicalOr, exp.CountIf)
_RANKS: Final[dict[type[exp.Expr], tuple[str, Kind]]] = {
    exp.RowNumber: ("row_number", BIGINT),
    exp.Rank: ("rank", BIGINT),
    exp.DenseRank: ("dense_rank", BIGINT),
    exp.PercentRank: ("percent_rank", DOUBLE),
    exp.CumeDist: ("cume_dist", DOUBLE),
}
_MEAN_DIGITS: Final = 36
"""Digits of a decimal that is averaged, those behind the point counted twice: it is multiplied by them."""
_SUMMED: Final = (
    "adds binary fractions, whose sum depends on the order of the rows",
    "Cast them to a decimal, e.g. sum(cast(… as decimal(18, 6))).",
)


@rule(*_AGGREGATES, args="this big_int")
def _aggregate(self: Expressions, node: exp.Expr) -> Value:
    return _aggregated(self, node, None, lambda made: made)


@rule(exp.Filter)
def _filtered(self: Expressions, node: exp.Expr) -> Value:
    if not isinstance(node.this, _AGGREGATES):
        raise Refusal(node, "filters what is no aggregate that is known on Spark")
    return _aggregated(self, node.this, node.expression.this, lambda made: made)


def _aggregated(self: Expressions, node: exp.Expr, condition: exp.Expr | None, over: Over) -> Value:
    """Translate an aggregate; its filter becomes a CASE around what it reads, as Spark filters no windows."""
    odd = sorted(name for name, part in node.args.items() if part and name not in ("this", "big_int"))
    if odd:
        raise Refusal(node, f"has {' and '.join(odd)}, which is not known to mean the same on Spark")
    argument, is_distinct = node.this, False
    if isinstance(argument, exp.Distinct):
        if len(argument.expressions) != 1 or argument.args.get("on"):
            raise Refusal(node, "counts distinct rows of several columns", "Count a subquery: SELECT DISTINCT ….")
        argument, is_distinct = argument.expressions[0], True
    outer, self.place = self.place, Place("an aggregate")
    try:
        test = None if condition is None else self.as_kind(condition, BOOLEAN)
        if isinstance(argument, exp.Star):
            return Value(over(_count_rows(test)), BIGINT)
        value = self.value(argument)
    finally:
        self.place = outer
    if test is not None:
        value = Value(spark("case when {test} then {x} end", test=test, x=value.sql), value.kind)
    return _by_kind(self, node, value, is_distinct, over)


def _count_rows(test: exp.Expr | None) -> exp.Expr:
    return call("count", 1) if test is None else call("count", spark("case when {test} then 1 end", test=test))


def _by_kind(self: Expressions, node: exp.Expr, value: Value, is_distinct: bool, over: Over) -> Value:
    def made(name: str, argument: exp.Expr) -> exp.Expr:
        expressions: list[exp.Expr] = [exp.Distinct(expressions=[argument])] if is_distinct else [argument]
        return over(exp.Anonymous(this=name, expressions=expressions))

    if value.kind.name in ("unknown", "null"):
        raise Refusal(node, None if value.kind.name == "unknown" else "aggregates NULL", "Cast NULL to a type.")
    if isinstance(node, exp.Count):
        return Value(made("count", value.sql), BIGINT)
    if isinstance(node, exp.Min | exp.Max):
        return Value(made("min" if isinstance(node, exp.Min) else "max", value.sql), value.kind)
    if isinstance(node, exp.LogicalAnd | exp.LogicalOr | exp.CountIf):
        return _logical(node, value, made)
    if not value.kind.is_number:
        raise Refusal(node, f"adds {value.kind}", "Cast it to a number.")
    if value.kind.is_fraction:
        raise Refusal(node, *_SUMMED)
    if isinstance(node, exp.Avg):
        return _mean(self, node, value, made)
    return _total(self, value, made)


def _logical(node: exp.Expr, value: Value, made: Callable[[str, exp.Expr], exp.Expr]) -> Value:
    if value.kind != BOOLEAN:
        raise Refusal(node, f"takes {value.kind}, no condition", "Compare it: … <> 0.")
    if isinstance(node, exp.CountIf):
        return Value(cast(made("sum", spark("if({x}, 1, 0)", x=value.sql)), HUGEINT), HUGEINT)
    name = "bool_and" if isinstance(node, exp.LogicalAnd) else "bool_or"
    return Value(made(name, value.sql), BOOLEAN)


def _exact_sum(value: Value, made: Callable[[str, exp.Expr], exp.Expr]) -> exp.Expr:
    """Sum exactly: numbers below a bigint as bigints, bigints as decimals."""
    if value.kind.name == "decimal":
        return made("sum", value.sql)
    wide = decimal(20, 0) if value.kind.name == "bigint" else value.kind if value.kind == HUGEINT else BIGINT
    return made("sum", cast(value.sql, wide))


def _total(self: Expressions, value: Value, made: Callable[[str, exp.Expr], exp.Expr]) -> Value:
    kind = decimal(MOST_DIGITS, value.kind.scale) if value.kind.name == "decimal" else HUGEINT
    if self.dialect != "duckdb" and value.kind.is_integer:
        kind = decimal(MOST_DIGITS, 0) if value.kind.name == "bigint" else BIGINT
    return Value(cast(_exact_sum(value, made), kind), kind)


def _mean(self: Expressions, node: exp.Expr, value: Value, made: Callable[[str, exp.Expr], exp.Expr]) -> Value:
    """The warehouse sums exactly, without the point, and divides once, to a double."""
    if self.dialect != "duckdb":
        reason = "cuts fractions off on Redshift, by rules of its own"
        raise Refusal(node, reason, "Divide the sum by the count, both cast to double.")
    if value.kind == HUGEINT:
        raise Refusal(node, "averages sums of whole numbers", "Cast them to bigint.")
    precision, scale = value.kind.precision, value.kind.scale
    if precision + scale > _MEAN_DIGITS:
        remedy = f"Cast it to a decimal with at most {_MEAN_DIGITS} digits, those behind the point counted twice."
        raise Refusal(node, f"averages {value.kind}, whose sum has too many digits for Spark", remedy)
    if scale:
        factor = cast(exp.Literal.string(str(10**scale)), decimal(scale + 1, 0))
        whole = cast(spark("{x} * {factor}", x=value.sql, factor=factor), decimal(precision, 0))
        value = Value(whole, decimal(precision, 0))
    total = cast(cast(_exact_sum(value, made), decimal(MOST_DIGITS, 0)), DOUBLE)
    count = spark("{n} * {unit}", n=cast(made("count", value.sql), DOUBLE), unit=power_of_ten(scale))
    return Value(spark("{total} / nullif({n}, 0D)", n=count, total=total), DOUBLE)


@rule(exp.Window, args="this partition_by order spec alias over")
def _window(self: Expressions, node: exp.Expr) -> Value:
    if self.place.name != "SELECT":
        raise Refusal(node, f"is a window in {self.place.name}", "Compute it in a subquery.")
    if node.args.get("alias") is not None:
        node = _named(self, node)
    function, condition = node.this, None
    if isinstance(function, exp.Filter):
        function, condition = function.this, function.expression.this
    partition = [self.value(item).sql for item in node.args.get("partition_by") or []]
    order = node.args.get("order")
    ordered = [ordered_by(self, item) for item in order.expressions] if order is not None else []

    def over(made: exp.Expr, *, has_frame: bool = True) -> exp.Expr:
        spec = _frame(node) if has_frame else None
        by = exp.Order(expressions=[item.copy() for item in ordered]) if ordered else None
        return exp.Window(this=made, partition_by=[item.copy() for item in partition], order=by, spec=spec, over="OVER")

    if isinstance(function, _AGGREGATES):
        if isinstance(function.this, exp.Distinct):
            raise Refusal(node, "aggregates distinct values over a window, which Spark cannot", "Use dense_rank().")
        return _aggregated(self, function, condition, over)
    if condition is not None:
        raise Refusal(node, "filters a window function", "Filter in a subquery.")
    if not ordered:
        raise Refusal(node, "has no ORDER BY, without which Spark numbers no rows", "Order by columns that differ.")
    return _ranked(self, function, node, over)


def _named(self: Expressions, node: exp.Expr) -> exp.Expr:
    """Replace the name of a window by what it stands for."""
    found = self.windows.get(node.args["alias"].name.lower())
    if found is None or any(node.args.get(part) for part in ("partition_by", "order", "spec")):
        raise Refusal(node, "extends a named window", "Write the window out.")
    return exp.Window(**{**found.args, "this": node.this, "alias": None, "over": "OVER"})


def _ranked(self: Expressions, function: exp.Expr, node: exp.Expr, over: Callable[..., exp.Expr]) -> Value:
    ignores, inner = isinstance(function, exp.IgnoreNulls), function
    if ignores:
        inner = function.this
    if type(inner) in _RANKS and not ignores and not inner.args.get("expressions"):
        name, kind = _RANKS[type(inner)]
        return Value(cast(over(call(name), has_frame=False), kind), kind)
    if isinstance(inner, exp.Ntile) and not ignores and isinstance(inner.this, exp.Literal):
        return Value(cast(over(call("ntile", int(str(inner.this.this))), has_frame=False), BIGINT), BIGINT)
    if isinstance(inner, exp.Lag | exp.Lead) and not ignores:
        return _neighbour(self, inner, over)
    names: dict[type[exp.Expr], str] = {
        exp.FirstValue: "first_value",
        exp.LastValue: "last_value",
        exp.NthValue: "nth_value",
    }
    name = names.get(type(inner), "")
    offset = inner.args.get("offset")
    if not name or (ignores and offset is not None) or (offset is not None and not isinstance(offset, exp.Literal)):
        raise Refusal(node, "is a window function that is not known to mean the same on Spark")
    value = self.value(inner.this)
    made = call(name, value.sql, *([] if offset is None else [int(str(offset.this))]))
    return Value(over(exp.IgnoreNulls(this=made) if ignores else made), value.kind)


def _neighbour(self: Expressions, node: exp.Expr, over: Callable[..., exp.Expr]) -> Value:
    value, offset = self.value(node.this), node.args.get("offset") or exp.Literal.number(1)
    if not isinstance(offset, exp.Literal):
        raise Refusal(node, "looks a number of rows away that is not written out or negative", "Write the number.")
    parts = [value.sql, exp.Literal.number(str(offset.this))]
    default = node.args.get("default")
    if default is not None:
        parts.append(_default(self.value(default), value.kind, node))
    name = "lag" if isinstance(node, exp.Lag) else "lead"
    return Value(over(exp.Anonymous(this=name, expressions=parts), has_frame=False), value.kind)


def _default(value: Value, kind: Kind, node: exp.Expr) -> exp.Expr:
    return convert(Value(value.sql, value.kind), kind, node)


def _frame(node: exp.Expr) -> exp.Expr | None:
    spec = node.args.get("spec")
    if spec is None:
        return None
    kind = str(spec.args.get("kind")).upper()
    bounds = [spec.args.get("start"), spec.args.get("end")]
    is_plain = all(
        bound is None or isinstance(bound, str) or (isinstance(bound, exp.Literal) and kind == "ROWS")
        for bound in bounds
    )
    if spec.args.get("exclude") is not None or kind not in ("ROWS", "RANGE") or not is_plain:
        raise Refusal(node, "has a frame that Spark does not have", "Use ROWS BETWEEN with numbers of rows.")
    return spec.copy()  # type: ignore[no-any-return]


def ordered_by(self: Expressions, item: exp.Expr) -> exp.Expr:
    """Translate an item of ORDER BY, with the place of NULL written out.

    Raises:
        Refusal: When it is not proved to order alike.
    """
    value = self.value(item.this)
    is_descending, nulls_first = bool(item.args.get("desc")), bool(item.args.get("nulls_first"))
    odd = [name for name, part in item.args.items() if part and name not in ("this", "desc", "nulls_first")]
    if odd or value.kind.name == "unknown":
        raise Refusal(item, None if value.kind.name == "unknown" else "orders in a way that Spark does not have")
    return exp.Ordered(this=value.sql, desc=is_descending, nulls_first=nulls_first)
