"""Quotients and means of decimals have the precision and scale that Redshift gives them.

Where the size of an operand is not known (a column of a view that computes it, a function without a rule here), the
result has PostgreSQL's scale. Digits beyond the scale are cut off; AWS's pages do not say whether they are rounded.

Source: https://docs.aws.amazon.com/redshift/latest/dg/r_numeric_computations201.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sqlglot import exp

from tests.redshift_standin.expressions.queries import Columns, of_source, sources
from tests.redshift_standin.protocol.wire import Column

MOST_DIGITS = 38
LEAST_SCALE = 4
MEAN_DIGITS = 19  # of a decimal that fits 64 bits (r_AVG.html)
WHOLE = {21: 5, 23: 10, 20: 19}
"""PostgreSQL's number of SMALLINT, INTEGER and BIGINT → the digits that such an operand counts."""
NUMERIC = 1700
BY_NAME = {exp.DataType.Type.SMALLINT: 5, exp.DataType.Type.INT: 10, exp.DataType.Type.BIGINT: 19}
MOST_INTEGER = 2**31 - 1


class Size(NamedTuple):
    """Digits of a number, those after the point, and whether it is a decimal or a whole number."""

    precision: int
    scale: int
    is_decimal: bool = True

    def over(self, other: Size) -> Size:
        """The size of a quotient."""
        scale = max(LEAST_SCALE, self.scale + other.precision - other.scale + 1)
        whole = self.precision - self.scale + other.scale
        if whole + scale > MOST_DIGITS:
            scale = max(LEAST_SCALE, MOST_DIGITS - whole)
        return Size(min(whole + scale, MOST_DIGITS), scale)

    def times(self, other: Size) -> Size:
        return _capped(self.precision + other.precision + 1, self.scale + other.scale)

    def plus(self, other: Size) -> Size:
        scale = max(self.scale, other.scale)
        return _capped(max(self.precision - self.scale, other.precision - other.scale) + 1 + scale, scale)


def _capped(precision: int, scale: int) -> Size:
    return Size(min(precision, MOST_DIGITS), min(scale, MOST_DIGITS - 1))


def rewrite_decimals(tree: exp.Expr, columns: Columns) -> exp.Expr:
    """Give the quotients and means of a statement their sizes, what lies within first; returns the statement."""
    sizes = _Sizes(columns)
    for node in reversed(list(tree.find_all(exp.Div, exp.Avg))):
        sized = _quotient(node, sizes) if isinstance(node, exp.Div) else _mean(node.this, sizes)
        whole = node.parent if isinstance(node.parent, exp.Window) and node.arg_key == "this" else node
        if sized is None or whole is None:
            continue
        value = _cut(sized, whole, node)
        if whole is tree:
            tree = value
        else:
            whole.replace(value)
    return tree


def _quotient(node: exp.Div, sizes: _Sizes) -> Size | None:
    left, right = sizes.of(node.left), sizes.of(node.right)
    if left is None or right is None or not (left.is_decimal or right.is_decimal):
        return None
    return left.over(right)


def _mean(averaged: exp.Expr, sizes: _Sizes) -> Size | None:
    """As many digits after the point as what is averaged (r_AVG.html)."""
    value = averaged.expressions[0] if isinstance(averaged, exp.Distinct) else averaged
    size = sizes.of(value)
    if size is None or not size.is_decimal:
        return None
    return Size(MEAN_DIGITS if size.precision <= MEAN_DIGITS else MOST_DIGITS, size.scale)


def _cut(size: Size, whole: exp.Expr, node: exp.Expr) -> exp.Expr:
    scale = exp.Literal.number(size.scale)
    if isinstance(node, exp.Div):
        call = exp.Anonymous(this="rs_catalog.quotient", expressions=[node.left.copy(), node.right.copy(), scale])
    else:
        call = exp.Anonymous(this="trunc", expressions=[whole.copy(), scale])
    return exp.Cast(this=call, to=exp.DataType.build(f"decimal({size.precision}, {size.scale})"))


@dataclass
class _Sizes:
    columns: Columns

    def of(self, node: exp.Expr) -> Size | None:
        """The size of a number, where a rule here knows it."""
        for kinds, size in BY_KIND.items():
            if isinstance(node, kinds):
                return size(self, node)
        return None

    def inner(self, node: exp.Expr) -> Size | None:
        return self.of(node.this)

    def literal(self, node: exp.Expr) -> Size | None:
        if node.is_string:
            return None
        whole, point, fraction = node.name.partition(".")
        if not (whole + fraction).isdigit():
            return None
        if not point:
            return Size(10 if int(whole) <= MOST_INTEGER else 19, 0, is_decimal=False)
        return Size(max(len(whole.lstrip("0")) + len(fraction), 1), len(fraction))

    def cast(self, node: exp.Expr) -> Size | None:
        kind = node.args["to"]
        if kind.this in BY_NAME:
            return Size(BY_NAME[kind.this], 0, is_decimal=False)
        if kind.this is not exp.DataType.Type.DECIMAL:
            return None
        given = [int(part.name) for part in kind.expressions]
        precision, scale = [*given, 0][:2] if given else (18, 0)
        return Size(precision, scale)

    def computed(self, node: exp.Expr) -> Size | None:
        left, right = self.of(node.args["this"]), self.of(node.args["expression"])
        if left is None or right is None:
            return None
        if not (left.is_decimal or right.is_decimal):
            return max(left, right)
        return left.times(right) if isinstance(node, exp.Mul) else left.plus(right)

    def total(self, node: exp.Expr) -> Size | None:
        """SUM is as wide as can be (r_SUM.html)."""
        value = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
        size = self.of(value)
        if size is None:
            return None
        is_decimal = size.is_decimal or size.precision == BY_NAME[exp.DataType.Type.BIGINT]
        return Size(MOST_DIGITS if is_decimal else 19, size.scale, is_decimal)

    def count(self, node: exp.Expr) -> Size | None:
        return Size(19, 0, is_decimal=False)

    def widest(self, node: exp.Expr) -> Size | None:
        """The common type of values: whole digits and digits after the point, the most of each."""
        values = [node.this, *node.expressions] if not isinstance(node, exp.Case) else _results(node)
        sizes = [self.of(value) for value in values if not isinstance(value, exp.Null)]
        found = [size for size in sizes if size is not None]
        if not found or len(found) != len(sizes):
            return None
        scale = max(size.scale for size in found)
        whole = max(size.precision - size.scale for size in found)
        return Size(min(whole + scale, MOST_DIGITS), scale, any(size.is_decimal for size in found))

    def column(self, node: exp.Expr) -> Size | None:
        """A column by its table's type, or by what a query in FROM computes."""
        scope = node.find_ancestor(exp.Select, exp.Update)
        while isinstance(scope, exp.Select | exp.Update):
            for source in sources(scope):
                if node.text("table") and node.text("table").lower() != source.alias_or_name.lower():
                    continue
                found = [c for c in self.columns(of_source(source, scope)) if c.name.lower() == node.name.lower()]
                if found:
                    return _stored(found[0]) or self._projected(source, scope, node.name)
            scope = scope.find_ancestor(exp.Select, exp.Update)
        return None

    def _projected(self, source: exp.Expr, scope: exp.Select | exp.Update, name: str) -> Size | None:
        query = source.this if isinstance(source, exp.Subquery) else _common(source, scope)
        if not isinstance(query, exp.Select):
            return None
        found = [item for item in query.expressions if item.alias_or_name.lower() == name.lower()]
        return self.of(found[0].unalias()) if found else None


def _common(source: exp.Expr, scope: exp.Select | exp.Update) -> exp.Expr | None:
    """The query of WITH that a name in FROM means."""
    node: exp.Expr | None = scope
    while node is not None and isinstance(source, exp.Table) and not source.db:
        clause = node.args.get("with_")
        for cte in clause.expressions if clause is not None else []:
            if cte.alias.lower() == source.name.lower():
                return cte.this if isinstance(cte.this, exp.Expr) else None
        node = node.parent
    return None


def _results(case: exp.Case) -> list[exp.Expr]:
    default = case.args.get("default")
    return [*(branch.args["true"] for branch in case.args["ifs"]), *([default] if default is not None else [])]


def _stored(column: Column) -> Size | None:
    if column.kind in WHOLE:
        return Size(WHOLE[column.kind], 0, is_decimal=False)
    if column.kind != NUMERIC or column.modifier < 0:
        return None
    size = column.modifier - 4
    return Size(size >> 16, size & 0xFFFF)


BY_KIND: dict[type[exp.Expr] | tuple[type[exp.Expr], ...], Callable[[_Sizes, exp.Expr], Size | None]] = {
    exp.Literal: _Sizes.literal,
    exp.Cast: _Sizes.cast,
    exp.Column: _Sizes.column,
    (exp.Paren, exp.Neg, exp.Abs, exp.Min, exp.Max, exp.Window, exp.Round, exp.Nullif): _Sizes.inner,
    (exp.Add, exp.Sub, exp.Mul): _Sizes.computed,
    exp.Sum: _Sizes.total,
    (exp.Count, exp.RowNumber): _Sizes.count,
    (exp.Coalesce, exp.Greatest, exp.Least, exp.Case): _Sizes.widest,
}
