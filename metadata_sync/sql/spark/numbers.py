"""Functions of numbers: rounding in binary as the warehouse does it, and what NaN and infinity give."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.casts import half_away, power_of_ten
from metadata_sync.sql.spark.expressions import Expressions, rule
from metadata_sync.sql.spark.kinds import DOUBLE, FLOAT, TINYINT, decimal
from metadata_sync.sql.spark.value import Refusal, Value, call, cast, spark

_MOST_PLACES: Final = 15
"""Places behind the point to which doubles are rounded alike."""


def _number(self: Expressions, node: exp.Expr) -> Value:
    value = self.value(node.this)
    if not value.kind.is_number:
        raise Refusal(node, f"takes {value.kind}, no number", "Cast it to a number.")
    return value


@rule(exp.Abs, args="this")
def _abs(self: Expressions, node: exp.Expr) -> Value:
    value = _number(self, node)
    return Value(cast(call("abs", value.sql), value.kind), value.kind)


@rule(exp.Ceil, exp.Floor, args="this")
def _whole(self: Expressions, node: exp.Expr) -> Value:
    value = _number(self, node)
    name = "ceil" if isinstance(node, exp.Ceil) else "floor"
    if value.kind.name == "decimal":
        kind = decimal(value.kind.precision, 0)
        return Value(cast(call(name, value.sql), kind), kind)
    if self.dialect != "duckdb":
        raise Refusal(node, f"takes {value.kind}, whose result has another type", "Cast it to a decimal.")
    if value.kind.is_integer:
        if value.kind.name == "hugeint":
            raise Refusal(node, "rounds a whole number", "Leave the call out.")
        return Value(cast(value.sql, DOUBLE), DOUBLE)
    return Value(cast(_whole_fraction(cast(value.sql, DOUBLE), name), value.kind), value.kind)


def _whole_fraction(value: exp.Expr, name: str) -> exp.Expr:
    """Round a double up or down to a double: Spark gives a bigint, and 0 for NaN."""
    is_zero = "{x} <= 0 and {x} > -1" if name == "ceil" else "{x} >= 0 and {x} < 1"
    template = f"if({is_zero}, {{x}} * 0.0D, if(abs({{x}}) < 4503599627370496, cast({name}({{x}}) as double), {{x}}))"
    return spark(template, x=value)


@rule(exp.Round, args="this decimals")
def _round(self: Expressions, node: exp.Expr) -> Value:
    value = _number(self, node)
    places = node.args.get("decimals")
    if places is not None and not (isinstance(places, exp.Literal) and not places.is_string):
        raise Refusal(node, "rounds to a number of places that is not written out or negative", "Write it, from 0.")
    count = 0 if places is None else int(str(places.this))
    if value.kind.is_integer:
        return Value(value.sql, value.kind)
    if value.kind.name == "decimal":
        scale = min(count, value.kind.scale)
        kind = decimal(value.kind.precision, scale)
        return Value(cast(call("round", value.sql, scale), kind), kind)
    if self.dialect != "duckdb" or count > _MOST_PLACES or value.kind == FLOAT:
        raise Refusal(node, f"rounds {value.kind}, where the engines may differ", "Cast it to a decimal.")
    return Value(_rounded(value.sql, count), DOUBLE)


def _rounded(value: exp.Expr, places: int) -> exp.Expr:
    """Round a double as the warehouse does: times a power of ten, half away from zero, divided by it."""
    if not places:
        return half_away(value)
    power = power_of_ten(places)
    made = spark("{r} / {p}", r=half_away(spark("{x} * {p}", x=value, p=power)), p=power)
    return spark("if(abs({x} * {p}) < cast('Infinity' as double), {made}, {x})", x=value, p=power, made=made)


@rule(exp.Sign, args="this")
def _sign(self: Expressions, node: exp.Expr) -> Value:
    value = _number(self, node)
    if self.dialect != "duckdb":
        raise Refusal(node, "has another type on Redshift", "Write CASE WHEN … > 0 THEN 1 … END.")
    made = (
        spark("if(isnan(cast({x} as double)), 0, signum({x}))", x=value.sql)
        if value.kind.is_fraction
        else call("signum", value.sql)
    )
    return Value(cast(made, TINYINT), TINYINT)


@rule(exp.Sqrt, args="this")
def _sqrt(self: Expressions, node: exp.Expr) -> Value:
    return Value(call("sqrt", self.as_kind(node.this, DOUBLE, *_NUMBERS)), DOUBLE)


_NUMBERS: Final = ("tinyint", "smallint", "integer", "bigint", "decimal", "float")
