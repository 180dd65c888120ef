"""Intervals: never a column, only what moves an instant or what a distance of instants is compared with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.expressions import Expressions
from metadata_sync.sql.spark.kinds import BIGINT, DATE, TIMESTAMP, TIMESTAMPTZ
from metadata_sync.sql.spark.value import Refusal, Value, call, cast, spark

_DAY: Final = 86_400_000_000
_MICROS: Final = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": _DAY,
    "week": 7 * _DAY,
}
_MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
_PART: Final = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)
_MONTH_DAYS: Final = 30
"""Days of a month when intervals are compared."""


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time: calendar months, and microseconds.

    Attributes:
        months: How many months, as Spark SQL; None: none.
        micros: How many microseconds, as Spark SQL; None: none.
    """

    months: exp.Expr | None
    micros: exp.Expr | None


def is_span(node: exp.Expr, translator: Expressions) -> bool:
    """Whether an expression is an interval, or a distance of two instants."""
    node = node.unnest()
    if isinstance(node, exp.Interval | exp.ToDays):
        return True
    if isinstance(node, exp.Cast) and node.args["to"].is_type("interval"):
        return True
    if isinstance(node, exp.Mul):
        return is_span(node.this, translator) or is_span(node.expression, translator)
    return isinstance(node, exp.Sub) and _is_distance(node, translator)


def _is_distance(node: exp.Sub, translator: Expressions) -> bool:
    sides = [node.this, node.expression]
    if any(is_span(side, translator) for side in sides):
        return False
    kinds = [translator.value(side).kind for side in sides]
    return all(kind.is_instant for kind in kinds) and kinds != [DATE, DATE]


def span_micros(node: exp.Expr, translator: Expressions) -> exp.Expr:
    """Return an interval in microseconds, as intervals are compared: a month has 30 days.

    Raises:
        Refusal: When it is none, or is not written out.
    """
    span = _span(node, translator)
    parts = [span.micros] if span.micros is not None else []
    if span.months is not None:
        parts.append(spark(f"{{x}} * {_MONTH_DAYS * _DAY}", x=cast(span.months, BIGINT)))
    return parts[0] if len(parts) == 1 else spark("{x} + {y}", x=parts[0], y=parts[1])


def exact_micros(node: exp.Expr, translator: Expressions) -> exp.Expr:
    """Return an interval without months in microseconds.

    Raises:
        Refusal: When it is none, has months, or is not written out.
    """
    span = _span(node, translator)
    if span.months is not None or span.micros is None:
        raise Refusal(node, "has months, which are no number of seconds", "Take days, hours, minutes or seconds.")
    return span.micros


def moved(node: exp.Expr, translator: Expressions) -> Value | None:
    """Translate an instant plus or minus an interval; None: the node is another sum.

    Raises:
        Refusal: When it is a distance of instants, which is no column on Spark, or its interval is odd.
    """
    left, right = node.this, node.expression
    if is_span(right, translator):
        base, by = left, right
    elif is_span(left, translator) and isinstance(node, exp.Add):
        base, by = right, left
    else:
        if is_span(node, translator):
            remedy = "Compare it with an interval, or yield date_diff('second', …) or extract(epoch from …)."
            raise Refusal(node, "subtracts instants, which is not a number on Spark", remedy)
        return None
    if is_span(base, translator):
        raise Refusal(node, "adds intervals, which Spark does not do alike", "Add them to an instant one by one.")
    value = translator.value(base)
    if value.kind == DATE:
        value = Value(cast(value.sql, TIMESTAMP), TIMESTAMP)
    if value.kind not in (TIMESTAMP, TIMESTAMPTZ):
        raise Refusal(node, f"moves {value.kind} by an interval", "Cast it to timestamp.")
    return Value(_move(value.sql, _span(by, translator), node), value.kind)


def _move(value: exp.Expr, span: Span, node: exp.Expr) -> exp.Expr:
    operator = exp.Sub if isinstance(node, exp.Sub) else exp.Add
    if span.months is not None:
        value = operator(this=exp.paren(value), expression=call("make_ym_interval", 0, span.months))
    if span.micros is not None:
        seconds = spark(
            "cast(cast({x} as decimal(19, 0)) * cast('0.000001' as decimal(6, 6)) as decimal(18, 6))", x=span.micros
        )
        value = operator(this=exp.paren(value), expression=call("make_dt_interval", 0, 0, 0, seconds))
    return value


def _span(node: exp.Expr, translator: Expressions) -> Span:
    node = node.unnest()
    if isinstance(node, exp.Interval):
        return _interval(node, translator)
    if isinstance(node, exp.ToDays):
        return _scaled(node.this, "day", node, translator)
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
        return _written(str(node.this.this), node)
    if isinstance(node, exp.Mul):
        return _product(node, translator)
    if isinstance(node, exp.Sub) and _is_distance(node, translator):
        if any(translator.value(side).kind == TIMESTAMPTZ for side in (node.this, node.expression)):
            reason = "subtracts timestamptz, which the warehouse does in another way than timestamps"
            raise Refusal(node, reason, "Cast both to timestamp.")
        return Span(None, spark("{x} - {y}", x=micros(node.this, translator), y=micros(node.expression, translator)))
    raise Refusal(node, "is no interval that is known to mean the same on Spark", "Write interval '2' hour.")


def micros(node: exp.Expr, translator: Expressions) -> exp.Expr:
    """Return an instant as microseconds since 1970, in UTC."""
    value = translator.value(node)
    return call("unix_micros", cast(convert(value, TIMESTAMPTZ, node), TIMESTAMPTZ))


def _product(node: exp.Mul, translator: Expressions) -> Span:
    by, factor = (node.this, node.expression) if is_span(node.this, translator) else (node.expression, node.this)
    count = translator.value(factor)
    if not count.kind.is_integer:
        raise Refusal(node, f"multiplies an interval by {count.kind}", "Multiply by a whole number.")
    one = _span(by, translator)
    times = cast(convert(count, BIGINT, node), BIGINT)
    return Span(
        None if one.months is None else cast(spark("{x} * {n}", x=one.months, n=times), "INT"),
        None if one.micros is None else spark("{x} * {n}", x=one.micros, n=times),
    )


def _interval(node: exp.Interval, translator: Expressions) -> Span:
    unit, count = node.args.get("unit"), node.this
    if isinstance(count, exp.Literal):
        return _written(f"{count.this} {unit.name}" if unit is not None else str(count.this), node)
    if unit is None or count is None:
        raise Refusal(node, "has no unit", "Write interval '2' hour.")
    return _scaled(count, unit.name.lower(), node, translator)


def _scaled(count: exp.Expr, unit: str, node: exp.Expr, translator: Expressions) -> Span:
    value = translator.value(count)
    unit = unit.lower().removesuffix("s")
    if not value.kind.is_integer or unit not in _MICROS | _MONTHS:
        raise Refusal(node, f"is {value.kind} {unit}s", "Take a whole number of days, hours, minutes or seconds.")
    times = cast(convert(value, BIGINT, node), BIGINT)
    if unit in _MONTHS:
        return Span(cast(spark(f"{{x}} * {_MONTHS[unit]}", x=times), "INT"), None)
    return Span(None, spark(f"{{x}} * {_MICROS[unit]}", x=times))


def _written(text: str, node: exp.Expr) -> Span:
    """Read an interval that is written out: `1 month 2 days`."""
    months, micros_, position = 0, 0, 0
    while position < len(text):
        part = _PART.match(text, position)
        unit = "" if part is None else part[2].lower().removesuffix("s")
        if part is None or unit not in _MICROS | _MONTHS or "." in part[1]:
            raise Refusal(node, "is an interval that the engines may read differently", "Write interval '2' hour.")
        months += int(part[1]) * _MONTHS.get(unit, 0)
        micros_ += int(part[1]) * _MICROS.get(unit, 0)
        position = part.end()
    return Span(
        exp.Literal.number(months) if months else None,
        cast(exp.Literal.string(str(micros_)), BIGINT) if micros_ or not months else None,
    )
