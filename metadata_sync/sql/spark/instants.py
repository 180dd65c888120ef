"""Functions of dates and instants, in UTC."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.expressions import Expressions, rule
from metadata_sync.sql.spark.intervals import exact_micros, is_span, micros, moved
from metadata_sync.sql.spark.kinds import BIGINT, DATE, DOUBLE, INTEGER, TIMESTAMP, TIMESTAMPTZ, VARCHAR
from metadata_sync.sql.spark.value import Refusal, Value, call, cast, spark

_PARTS: Final = {
    "year": "year({x})",
    "quarter": "quarter({x})",
    "month": "month({x})",
    "day": "day({x})",
    "hour": "hour({x})",
    "minute": "minute({x})",
    "second": "second({x})",
    "dow": "dayofweek({x}) - 1",
    "dayofweek": "dayofweek({x}) - 1",
    "isodow": "weekday({x}) + 1",
    "doy": "dayofyear({x})",
    "dayofyear": "dayofyear({x})",
    "week": "weekofyear({x})",
}
_CLOCK: Final = ("hour", "minute", "second")
_TRUNCATED: Final = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond")
_STEPS: Final = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
}
_MONTHS: Final = {
    "month": "year({x}) * 12 + month({x})",
    "quarter": "year({x}) * 4 + quarter({x})",
    "year": "year({x})",
}
_ZONE: Final = re.compile(r"[A-Z][A-Za-z_]+(/[A-Za-z_]+(-[A-Z][a-z]+)*)+")
_FORMATS: Final = {"%Y": "yyyy", "%m": "MM", "%d": "dd", "%H": "HH", "%M": "mm", "%S": "ss"}
_PLAIN_SIGNS: Final = frozenset("-/:. T_")


def _instant(self: Expressions, node: exp.Expr) -> Value:
    value = self.value(node)
    if value.kind.is_instant:
        return value
    raise Refusal(node, f"is {value.kind}, no date or timestamp", "Cast it to timestamp.")


def _unit(unit: object) -> str:
    return str(getattr(unit, "name", unit)).lower().removesuffix("s")


def _part(self: Expressions, node: exp.Expr, unit: str, instant: exp.Expr) -> Value:
    template = _PARTS.get(unit)
    if template is None:
        reason = f"takes {unit.upper()} of an instant, which Spark counts differently"
        raise Refusal(node, reason, f"Take one of: {', '.join(sorted(_PARTS))}.")
    value = _instant(self, instant)
    if unit in _CLOCK and value.kind == DATE:
        value = Value(cast(value.sql, TIMESTAMP), TIMESTAMP)
    return Value(cast(spark(template, x=value.sql), BIGINT), BIGINT)


@rule(exp.Extract)
def _extract(self: Expressions, node: exp.Expr) -> Value:
    unit = _unit(node.this)
    if unit == "epoch":
        return _epoch(self, node, node.expression)
    return _part(self, node, unit, node.expression)


@rule(exp.Year, exp.Month, exp.Day, exp.DayOfMonth, exp.Quarter, exp.Hour, exp.Minute, exp.Second, args="this")
def _named_part(self: Expressions, node: exp.Expr) -> Value:
    name = "day" if isinstance(node, exp.DayOfMonth) else type(node).__name__.lower()
    return _part(self, node, name, node.this)


@rule(exp.DayOfWeek, exp.DayOfWeekIso, exp.DayOfYear, exp.Week, exp.WeekOfYear, args="this")
def _counted_part(self: Expressions, node: exp.Expr) -> Value:
    names: dict[type[exp.Expr], str] = {exp.DayOfWeek: "dow", exp.DayOfWeekIso: "isodow", exp.DayOfYear: "doy"}
    return _part(self, node, names.get(type(node), "week"), node.this)


@rule(exp.TimeToUnix, args="this")
def _time_to_unix(self: Expressions, node: exp.Expr) -> Value:
    return _epoch(self, node, node.this)


def _epoch(self: Expressions, node: exp.Expr, instant: exp.Expr) -> Value:
    if self.dialect != "duckdb":
        raise Refusal(node, "takes EPOCH, which has another type on Redshift", "Use date_diff('second', …).")
    if not is_span(instant, self):
        if _instant(self, instant).kind == TIMESTAMPTZ:
            raise Refusal(node, "takes EPOCH of a timestamptz, in another last digit on Spark", "Cast it to timestamp.")
        return Value(spark("cast({x} as double) / 1000000D", x=micros(instant, self)), DOUBLE)
    template = "cast({x} div 86400000000 * 86400 as double) + cast({x} % 86400000000 as double) / 1000000D"
    return Value(spark(template, x=exact_micros(instant, self)), DOUBLE)


@rule(exp.TimestampTrunc, exp.DateTrunc, args="this unit")
def _truncated(self: Expressions, node: exp.Expr) -> Value:
    unit = _unit(node.args.get("unit"))
    if unit not in _TRUNCATED:
        reason = f"cuts to {unit.upper()}, which Spark counts differently"
        raise Refusal(node, reason, f"Cut to one of: {', '.join(_TRUNCATED)}.")
    value = _instant(self, node.this)
    kind = TIMESTAMPTZ if value.kind == TIMESTAMPTZ else TIMESTAMP
    return Value(cast(call("date_trunc", unit.upper(), cast(value.sql, TIMESTAMPTZ)), kind), kind)


@rule(exp.DateDiff, args="this expression unit date_part_boundary")
def _date_diff(self: Expressions, node: exp.Expr) -> Value:
    unit = _unit(node.args.get("unit"))
    later, earlier = _instant(self, node.this), _instant(self, node.expression)
    if unit == "day":
        made = call("datediff", cast(later.sql, DATE), cast(earlier.sql, DATE))
    elif unit in _MONTHS:
        made = spark("{x} - {y}", x=spark(_MONTHS[unit], x=later.sql), y=spark(_MONTHS[unit], x=earlier.sql))
    elif unit in _STEPS:
        made = spark("{x} - {y}", x=_steps(self, node.this, unit), y=_steps(self, node.expression, unit))
    else:
        remedy = f"Count one of: {', '.join([*_STEPS, 'day', *_MONTHS])}."
        raise Refusal(node, f"counts {unit.upper()}, which Spark counts differently", remedy)
    return Value(cast(made, BIGINT), BIGINT)


def _steps(self: Expressions, node: exp.Expr, unit: str) -> exp.Expr:
    """Return how many whole units an instant is behind 1970, rounded down."""
    return spark("({x} - pmod({x}, {n})) div {n}", x=micros(node, self), n=cast(str_number(_STEPS[unit]), BIGINT))


def str_number(number: int) -> exp.Expr:
    """Return a whole number as a text that a cast reads: then Spark does not choose its type."""
    return exp.Literal.string(str(number))


@rule(exp.DateAdd, args="this expression unit")
def _date_add(self: Expressions, node: exp.Expr) -> Value:
    interval = node.expression
    if self.dialect != "duckdb" or not isinstance(interval, exp.Interval):
        raise Refusal(node, "moves a date by a number of units", "Write … + interval '1' day.")
    found = moved(exp.Add(this=node.this.copy(), expression=interval.copy()), self)
    assert found is not None
    return found


@rule(exp.LastDay, args="this")
def _last_day(self: Expressions, node: exp.Expr) -> Value:
    return Value(call("last_day", cast(_instant(self, node.this).sql, DATE)), DATE)


@rule(exp.DateFromParts, args="year month day")
def _date_from_parts(self: Expressions, node: exp.Expr) -> Value:
    parts = [_whole_part(self, node.args[name], node) for name in ("year", "month", "day")]
    return Value(call("make_date", *parts), DATE)


@rule(exp.TimestampFromParts, args="year month day hour min sec")
def _timestamp_from_parts(self: Expressions, node: exp.Expr) -> Value:
    names = ("year", "month", "day", "hour", "min", "sec")
    parts = [_whole_part(self, node.args[name], node) for name in names]
    seconds = cast(parts[-1], "DECIMAL(16, 6)")
    return Value(call("make_timestamp_ntz", *parts[:-1], seconds), TIMESTAMP)


def _whole_part(self: Expressions, node: exp.Expr, call_: exp.Expr) -> exp.Expr:
    value = self.value(node)
    if not value.kind.is_integer:
        raise Refusal(call_, f"is made of {value.kind}", "Cast each part to integer.")
    return convert(value, INTEGER, node)


@rule(exp.TimeToStr, args="this format")
def _strftime(self: Expressions, node: exp.Expr) -> Value:
    pattern = node.args["format"]
    text = str(pattern.this) if isinstance(pattern, exp.Literal) else "%?"
    made = re.sub("%.", lambda part: _FORMATS.get(part[0], "?"), text)
    others = re.sub("%.", "", text)
    if "?" in made or set(others) - _PLAIN_SIGNS or self.dialect != "duckdb":
        remedy = f"Use {' '.join(_FORMATS)} and signs between them."
        raise Refusal(node, "is time_to_str with a format that the engines write differently", remedy)
    value = _instant(self, node.this)
    written = "".join(f"'{sign}'" if sign in "T_" else sign for sign in re.split(r"([T_])", made))
    return Value(call("date_format", cast(value.sql, TIMESTAMPTZ), written), VARCHAR)


@rule(exp.AtTimeZone, args="this zone")
def _at_time_zone(self: Expressions, node: exp.Expr) -> Value:
    zone = node.args["zone"]
    name = str(zone.this) if isinstance(zone, exp.Literal) else ""
    if name != "UTC" and not _ZONE.fullmatch(name):
        reason = "names a time zone that the engines may read differently"
        raise Refusal(node, reason, "Write its IANA name as a text, e.g. 'Europe/Berlin'.")
    value = _instant(self, node.this)
    if value.kind == TIMESTAMPTZ:
        return Value(cast(call("from_utc_timestamp", value.sql, name), TIMESTAMP), TIMESTAMP)
    if value.kind == DATE:
        raise Refusal(node, "is a day, not a local time", "Cast it to timestamp.")
    if self.dialect != "duckdb":
        raise Refusal(node, "is a local time, which twice in a year has two instants", "Land instants: timestamptz.")
    return Value(_instant_of_local(cast(value.sql, TIMESTAMPTZ), name), TIMESTAMPTZ)


def _instant_of_local(local: exp.Expr, zone: str) -> exp.Expr:
    """Return the instant of a local time: when clocks go back, of the two the later one, not Spark's."""
    early = call("to_utc_timestamp", local, zone)
    offset = "(unix_micros(from_utc_timestamp({t}, {zone})) - unix_micros({t}))"
    following = spark("{e} + interval '26' hour", e=early)
    change = spark("{a} - {b}", a=spark(offset, t=early, zone=zone), b=spark(offset, t=following, zone=zone))
    late = spark("timestamp_micros(unix_micros({e}) + {change})", e=early, change=change)
    return spark(
        "if(from_utc_timestamp({late}, {zone}) = {local}, {late}, {e})", late=late, e=early, local=local, zone=zone
    )
