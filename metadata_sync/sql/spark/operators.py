"""Operators: comparisons, logic, arithmetic, LIKE and membership."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.expressions import Expressions, common_kind, rule
from metadata_sync.sql.spark.intervals import is_span, moved, span_micros
from metadata_sync.sql.spark.kinds import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    FLOAT,
    NULL,
    VARCHAR,
    Kind,
    common_decimal,
    integer_kind,
    product_kind,
    sum_kind,
)
from metadata_sync.sql.spark.texts import lowered
from metadata_sync.sql.spark.value import Refusal, Value, call, cast, spark

_COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)


@rule(*_COMPARISONS)
def _comparison(self: Expressions, node: exp.Expr) -> Value:
    if is_span(node.this, self) or is_span(node.expression, self):
        left, right = span_micros(node.this, self), span_micros(node.expression, self)
        return Value(_same(node, left, right), BOOLEAN)
    (left, right), _ = self.common([node.this, node.expression], node)
    return Value(_same(node, left, right), BOOLEAN)


def _same(node: exp.Expr, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.NullSafeNEQ):
        return exp.Not(this=exp.paren(exp.NullSafeEQ(this=exp.paren(left), expression=exp.paren(right))))
    return type(node)(this=exp.paren(left), expression=exp.paren(right))


@rule(exp.Between, args="this low high")
def _between(self: Expressions, node: exp.Expr) -> Value:
    parts = [node.this, node.args["low"], node.args["high"]]
    if any(is_span(part, self) for part in parts):
        value, low, high = (span_micros(part, self) for part in parts)
    else:
        (value, low, high), _ = self.common(parts, node)
    return Value(spark("{x} between {low} and {high}", x=value, low=low, high=high), BOOLEAN)


@rule(exp.In, args="this expressions query")
def _in(self: Expressions, node: exp.Expr) -> Value:
    query = node.args.get("query")
    if query is not None:
        return _in_query(self, node, query)
    (value, *items), _ = self.common([node.this, *node.expressions], node)
    return Value(exp.In(this=exp.paren(value), expressions=items), BOOLEAN)


def _in_query(self: Expressions, node: exp.Expr, query: exp.Expr) -> Value:
    if not self.place.is_condition:
        raise Refusal(
            node,
            "is an IN (SELECT …) beside WHERE or below OR, where Spark takes NULL differently",
            "Write it as a condition of its own in WHERE, use EXISTS, or join.",
        )
    found, kinds, _ = self.queries.subquery(query, self.scope)
    value = self.value(node.this)
    if len(kinds) != 1 or common_kind([value, Value(exp.null(), kinds[0])], node) != kinds[0]:
        raise Refusal(node, f"compares {value.kind} with {kinds[0]}", "Cast the value to the type of the SELECT.")
    made = convert(value, kinds[0], node)
    return Value(exp.In(this=exp.paren(made), query=exp.Subquery(this=found)), BOOLEAN)


@rule(exp.Exists, args="this")
def _exists(self: Expressions, node: exp.Expr) -> Value:
    if not self.place.has_queries:
        raise Refusal(node, f"stands in {self.place.name}, where Spark takes no EXISTS", "Move it to WHERE or SELECT.")
    found, _, _ = self.queries.subquery(node.this, self.scope)
    return Value(exp.Exists(this=found), BOOLEAN)


@rule(exp.Subquery, args="this")
def _scalar(self: Expressions, node: exp.Expr) -> Value:
    if not self.place.has_queries:
        raise Refusal(node, f"is a SELECT in {self.place.name}, which Spark does not take", "Join it instead.")
    found, kinds, is_correlated = self.queries.subquery(node.this, self.scope)
    if is_correlated or len(kinds) != 1:
        raise Refusal(node, "reads the row outside of it, which Spark does not do alike", "Join it instead.")
    return Value(exp.Subquery(this=found), kinds[0])


@rule(exp.And, exp.Or)
def _connector(self: Expressions, node: exp.Expr) -> Value:
    left, right = self.as_kind(node.this, BOOLEAN), self.as_kind(node.expression, BOOLEAN)
    return Value(type(node)(this=exp.paren(left), expression=exp.paren(right)), BOOLEAN)


@rule(exp.Not, args="this")
def _not(self: Expressions, node: exp.Expr) -> Value:
    return Value(exp.Not(this=exp.paren(self.as_kind(node.this, BOOLEAN))), BOOLEAN)


@rule(exp.Is)
def _is(self: Expressions, node: exp.Expr) -> Value:
    right = node.expression
    if isinstance(right, exp.Null):
        inner = span_micros(node.this, self) if is_span(node.this, self) else self.value(node.this).sql
        return Value(exp.Is(this=exp.paren(inner), expression=exp.null()), BOOLEAN)
    if isinstance(right, exp.Boolean):
        value = self.as_kind(node.this, BOOLEAN)
        return Value(exp.Is(this=exp.paren(value), expression=right.copy()), BOOLEAN)
    raise Refusal(node, "is not known to mean the same on Spark")


@rule(exp.Like, exp.ILike, args="this expression negate")
def _like(self: Expressions, node: exp.Expr) -> Value:
    return _matched(self, node, "\\" if self.dialect != "duckdb" else None)


_LAST_OF_PLANE: Final = 0xFFFF
"""The last letter that Java holds as one character."""


@rule(exp.Escape)
def _escaped(self: Expressions, node: exp.Expr) -> Value:
    inner, sign = node.this, node.expression
    if not isinstance(inner, exp.Like | exp.ILike) or not (isinstance(sign, exp.Literal) and len(sign.this) == 1):
        raise Refusal(node, "escapes by something else than one character", "Write ESCAPE '!'.")
    return _matched(self, inner, str(sign.this))


def _matched(self: Expressions, node: exp.Expr, escape: str | None) -> Value:
    """Spark's LIKE escapes by a backslash, the warehouse's by nothing unless ESCAPE says so."""
    value = self.as_kind(node.this, VARCHAR)
    pattern = node.expression
    if isinstance(pattern, exp.Literal) and all(ord(letter) <= _LAST_OF_PLANE for letter in str(pattern.this)):
        made: exp.Expr = exp.Literal.string(_pattern(str(pattern.this), escape, node))
        if isinstance(node, exp.ILike):
            value, made = lowered(value), lowered(made)
        found: exp.Expr = exp.Like(this=exp.paren(value), expression=exp.paren(made))
    elif escape is None:
        made = self.as_kind(pattern, VARCHAR)
        if isinstance(node, exp.ILike):
            value, made = lowered(value), lowered(made)
        found = spark("{x} rlike {pattern}", x=value, pattern=_expression_of(made))
    else:
        reason = "escapes in a pattern that is not written out in letters up to U+FFFF"
        raise Refusal(node, reason, "Write the pattern as a text, or compare with starts_with() or contains().")
    return Value(exp.Not(this=exp.paren(found)) if node.args.get("negate") else found, BOOLEAN)


def _expression_of(pattern: exp.Expr) -> exp.Expr:
    """Write a pattern without an escape as a regular expression, which has no escape of its own to be doubled."""
    plain = call("regexp_replace", pattern, r"[\\.\[\]{}()*+?^$|]", r"\\$0")
    made = call("replace", call("replace", plain, "%", ".*"), "_", ".")
    return call("concat", r"(?s)\A", made, r"\z")


def _pattern(pattern: str, escape: str | None, node: exp.Expr) -> str:
    """Write a pattern with backslashes as the escape."""
    made, characters = [], iter(pattern)
    for character in characters:
        if escape is not None and character == escape:
            following = next(characters, None)
            if following is None:
                raise Refusal(node, "ends with its escape", "Write the character twice.")
            made.append(f"\\{following}" if following in "%_\\" else following)
        else:
            made.append("\\\\" if character == "\\" else character)
    return "".join(made)


@rule(exp.Neg, args="this")
def _negative(self: Expressions, node: exp.Expr) -> Value:
    value = self.value(node.this)
    if value.number is not None:
        kind = integer_kind(-value.number)
        return Value(cast(exp.Literal.string(str(-value.number)), kind), kind, number=-value.number)
    if not value.kind.is_number:
        raise Refusal(node, f"negates {value.kind}")
    if value.kind.name == "decimal":  # Spark 4 rounds a negated decimal to 34 digits
        nothing = cast(exp.Literal.number(0), value.kind)
        return Value(cast(exp.Sub(this=nothing, expression=exp.paren(value.sql)), value.kind), value.kind)
    return Value(cast(exp.Neg(this=exp.paren(value.sql)), value.kind), value.kind)


@rule(exp.Add, exp.Sub)
def _sum(self: Expressions, node: exp.Expr) -> Value:
    found = moved(node, self)
    if found is not None:
        return found
    left, right = self.value(node.this), self.value(node.expression)
    days = _day_arithmetic(node, left, right)
    if days is not None:
        return days
    kind = _arithmetic_kind(left, right, node)
    if kind.name == "decimal":
        return Value(cast(_operated(node, _exact(left, node), _exact(right, node)), kind), kind)
    made = _operated(node, convert(left, kind, node), convert(right, kind, node))
    return Value(cast(made, kind), kind)


def _day_arithmetic(node: exp.Expr, left: Value, right: Value) -> Value | None:
    if left.kind == DATE and right.kind == DATE and isinstance(node, exp.Sub):
        return Value(cast(call("datediff", left.sql, right.sql), BIGINT), BIGINT)
    if left.kind == DATE and right.kind.name in ("integer", "smallint", "tinyint"):
        name = "date_sub" if isinstance(node, exp.Sub) else "date_add"
        return Value(call(name, left.sql, right.sql), DATE)
    if right.kind == DATE and left.kind.name == "integer" and isinstance(node, exp.Add):
        return Value(call("date_add", right.sql, left.sql), DATE)
    return None


@rule(exp.Mul)
def _product(self: Expressions, node: exp.Expr) -> Value:
    left, right = self.value(node.this), self.value(node.expression)
    kind = _arithmetic_kind(left, right, node)
    if kind.name == "decimal":
        return Value(cast(_operated(node, _exact(left, node), _exact(right, node)), kind), kind)
    return Value(cast(_operated(node, convert(left, kind, node), convert(right, kind, node)), kind), kind)


def _arithmetic_kind(left: Value, right: Value, node: exp.Expr) -> Kind:
    """Return the type of a sum, difference or product."""
    if left.text is not None or right.text is not None:
        raise Refusal(node, "computes with a text", "Cast the text to a number.")
    common = common_kind([left, right], node)
    if common == NULL or not common.is_number:
        raise Refusal(node, f"computes with {common}", "Cast both sides to numbers.")
    if common.name != "decimal":
        return common
    if not isinstance(node, exp.Mul):
        return sum_kind(left.kind, right.kind)
    kind = product_kind(left.kind, right.kind)
    if kind is None:
        raise Refusal(node, "has more than 38 digits behind the point", "Cast both sides to decimals of fewer digits.")
    return kind


def _exact(value: Value, node: exp.Expr) -> exp.Expr:
    """Return an exact number as the decimal that holds it, so that no digit is lost before the operation."""
    return convert(value, common_decimal([value.kind]), node) if value.kind.is_integer else value.sql


def _operated(node: exp.Expr, left: exp.Expr, right: exp.Expr) -> exp.Expr:
    return type(node)(this=exp.paren(left), expression=exp.paren(right))


@rule(exp.Div, args="this expression typed safe")
def _division(self: Expressions, node: exp.Expr) -> Value:
    left, right = self.value(node.this), self.value(node.expression)
    common = common_kind([left, right], node)
    if not common.is_number:
        raise Refusal(node, f"divides {common}", "Cast both sides to numbers.")
    if self.dialect != "duckdb":
        return _server_division(left, right, common, node)
    kind = FLOAT if common == FLOAT else DOUBLE
    made = divided(_as_double(left, kind, node), _as_double(right, kind, node))
    return Value(cast(made, kind), kind)


def _as_double(value: Value, kind: Kind, node: exp.Expr) -> exp.Expr:
    return cast(convert(value, kind, node), DOUBLE)


def divided(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """Divide doubles; by zero to an infinity or NaN, as the warehouse does, where Spark raises an error."""
    return spark("if({y} = 0, {x} * power({y}, -1), {x} / {y})", x=left, y=right)


def _server_division(left: Value, right: Value, common: Kind, node: exp.Expr) -> Value:
    if common.is_integer:
        made = spark("{x} div {y}", x=convert(left, common, node), y=convert(right, common, node))
        return Value(cast(made, common), common)
    if common == DOUBLE:
        return Value(_operated(node, convert(left, DOUBLE, node), convert(right, DOUBLE, node)), DOUBLE)
    raise Refusal(node, "divides decimals, whose digits the engines choose differently", "Cast both sides to double.")


@rule(exp.IntDiv)
def _whole_division(self: Expressions, node: exp.Expr) -> Value:
    (left, right), kind = self.common([node.this, node.expression], node)
    if not kind.is_integer:
        raise Refusal(node, f"divides {kind} by //, which keeps the fraction in the warehouse", "Use / or floor().")
    return Value(cast(spark("{x} div {y}", x=left, y=right), kind), kind)


@rule(exp.Mod)
def _remainder(self: Expressions, node: exp.Expr) -> Value:
    left, right = self.value(node.this), self.value(node.expression)
    if left.text is not None or right.text is not None:
        raise Refusal(node, "computes with a text", "Cast the text to a number.")
    kind = common_kind([left, right], node)
    if not kind.is_number or kind == FLOAT:
        raise Refusal(node, f"takes the remainder of {kind}", "Cast both sides to integer or double.")
    x, y = convert(left, kind, node), convert(right, kind, node)
    if kind == DOUBLE:
        return Value(spark("if({y} = 0, {x} * cast('NaN' as double), {x} % {y})", x=x, y=y), kind)
    return Value(cast(exp.Mod(this=exp.paren(x), expression=exp.paren(y)), kind), kind)


@rule(exp.BitwiseAnd, exp.BitwiseOr)
def _bits(self: Expressions, node: exp.Expr) -> Value:
    (left, right), kind = self.common([node.this, node.expression], node)
    if not kind.is_integer or kind.name == "hugeint":
        raise Refusal(node, f"takes the bits of {kind}", "Cast both sides to bigint.")
    return Value(_operated(node, left, right), kind)


@rule(exp.DPipe, args="this expression safe")
def _joined(self: Expressions, node: exp.Expr) -> Value:
    parts = [as_text(self, node.this), as_text(self, node.expression)]
    return Value(exp.Anonymous(this="concat", expressions=parts), VARCHAR)


def as_text(self: Expressions, node: exp.Expr) -> exp.Expr:
    """Translate an argument of a concatenation to text."""
    value = self.value(node)
    return convert(value, VARCHAR, node)
