"""Casts between every pair of types: written so that Spark gives the warehouse's value, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.kinds import (
    BIGINT,
    DOUBLE,
    HUGEINT,
    INTEGER,
    Kind,
    decimal,
)
from metadata_sync.sql.spark.value import Refusal, Value, call, cast, spark

_LONG_DIGITS: Final = 18
"""Digits that 64 bits hold."""
_WHITESPACE: Final = "\t\n\u000b\f\r "


def convert(value: Value, to: Kind, node: exp.Expr) -> exp.Expr:
    """Cast a value as the warehouse does.

    Args:
        value: The value.
        to: Its new type.
        node: Where it stands, for the message.

    Returns:
        Spark SQL of exactly the type `to`.

    Raises:
        Refusal: When Spark cannot give the same.
    """
    if value.kind == to:
        return value.sql
    if value.kind.name == "null":
        return cast(value.sql, to)
    rule = _RULES.get((_family(value.kind), _family(to)))
    if rule is None:
        reason, remedy = _REASONS.get(
            (_family(value.kind), _family(to)),
            (f"casts {value.kind} to {to}, which is not proved to give the same on Spark", "Cast it another way."),
        )
        raise Refusal(node, reason, remedy)
    return rule(value, to, node)


def _family(kind: Kind) -> str:
    return "integer" if kind.is_integer else kind.name


def _plain(value: Value, to: Kind, _: exp.Expr) -> exp.Expr:
    return cast(value.sql, to)


def _through_integer(value: Value, to: Kind, _: exp.Expr) -> exp.Expr:
    return cast(cast(value.sql, INTEGER), to)


def _fraction_to_integer(value: Value, to: Kind, _: exp.Expr) -> exp.Expr:
    """Both round to even; Spark's own cast cuts off."""
    return cast(spark("rint({x})", x=cast(value.sql, DOUBLE)), to)


def _decimal_to_integer(value: Value, to: Kind, _: exp.Expr) -> exp.Expr:
    return cast(spark("round({x})", x=value.sql), to)


def _fraction_to_decimal(value: Value, to: Kind, node: exp.Expr) -> exp.Expr:
    """The warehouse multiplies in binary and rounds half away from zero; Spark rounds the decimal digits."""
    if to.precision > _LONG_DIGITS:
        raise Refusal(
            node,
            f"casts {value.kind} to {to}: beyond {_LONG_DIGITS} digits the engines round differently",
            f"Cast it to a decimal of at most {_LONG_DIGITS} digits.",
        )
    scaled = spark("{x} * {factor}", x=cast(value.sql, DOUBLE), factor=power_of_ten(to.scale))
    whole = cast(cast(half_away(scaled), BIGINT), decimal(19, 0))
    unit = cast(exp.Literal.string(f"{10**-to.scale:.{to.scale}f}"), decimal(max(to.scale, 1), to.scale))
    return cast(spark("{x} * {unit}", x=whole, unit=unit) if to.scale else whole, to)


def _text_to_integer(value: Value, to: Kind, node: exp.Expr) -> exp.Expr:
    """The warehouse takes fractions and exponents and rounds them half away from zero."""
    if re.match(r"\s*[+-]?0[xXbBoO]", value.text or ""):
        raise Refusal(node, f"reads {value.text}, which Spark does not", "Write the number in decimal digits.")
    return cast(spark("round({x})", x=cast(_numeral(value, node), decimal(38, 0 if to == HUGEINT else 15))), to)


def _text_to_number(value: Value, to: Kind, node: exp.Expr) -> exp.Expr:
    return cast(_numeral(value, node, has_words=to.is_fraction), to)


def _numeral(value: Value, node: exp.Expr, *, has_words: bool = False) -> exp.Expr:
    """Write a text that is a number for the warehouse as one for Spark, which takes `1d` and digits of all scripts."""
    words = f"|[+-]?{_WORDS}" if has_words else ""
    text = _only(value, f"[{_WHITESPACE}]*(?:{_NUMERAL}{words})[{_WHITESPACE}]*", node)
    return spark("replace(trim(BOTH {blanks} FROM {x}), '_', '')", blanks=_WHITESPACE, x=text)


def _text_to_boolean(value: Value, to: Kind, node: exp.Expr) -> exp.Expr:
    return cast(_only(value, f"[^{_WHITESPACE}]*", node), to)


def _text_to_instant(value: Value, to: Kind, node: exp.Expr) -> exp.Expr:
    """The warehouse takes slashes and blanks, too, and hours without seconds before a zone; Spark wants dashes."""
    blanks, clock = f"[{_WHITESPACE}]*", f"{_CLOCK}{_ZONE if to.name == 'date' else _NAMED_ZONE}"
    time = f"(?:{clock})?{blanks}" if to.name == "date" else f"(?:{clock}{blanks})?"
    text = spark("trim(BOTH {blanks} FROM {x})", blanks=_WHITESPACE, x=_only(value, blanks + _DAY + time, node))
    return cast(_dashed(text), to)


def _only(value: Value, pattern: str, node: exp.Expr) -> exp.Expr:
    """Let a text through that the warehouse's cast takes; to another one a sign is added that no cast takes.

    Raises:
        Refusal: When it is another one, and is written out.
    """
    if value.text is None:
        return call("regexp_replace", value.sql, rf"^(?!(?:{pattern})\z)", "!")
    if re.fullmatch(pattern, value.text) is None:
        remedy = "Write days and times as 2013-01-31 10:00:00, numbers in decimal digits."
        raise Refusal(node, f"reads '{value.text}', which Spark reads differently or not at all", remedy)
    return value.sql


_DIGITS: Final = "[0-9](?:_?[0-9])*"
_NUMERAL: Final = rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?[0-9]+)?"
_WORDS: Final = r"(?:[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN])"
_DAY: Final = r"(?!0+[-/ \\])[0-9]{1,6}([-/ \\])[0-9]{1,2}\1[0-9]{1,2}"
_CLOCK: Final = r"[T ](?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:\.[0-9]*)?)?"
_ZONE: Final = r"(?:Z| UTC|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?"
_NAMED_ZONE: Final = rf"(?:{_ZONE}| [A-Z][A-Za-z_]*(?:/[A-Z][A-Za-z_]*)*)"


def _dashed(text: exp.Expr) -> exp.Expr:
    """Write a day with dashes and four digits of the year or more, and a clock before a zone with its seconds."""
    day = exp.Literal.string(r"^([0-9]{1,6})[-/ \\]([0-9]{1,2})[-/ \\]([0-9]{1,2})")
    padded = call("regexp_replace", text, day, "000$1-$2-$3")
    plain = call("regexp_replace", padded, "^0+([0-9]{4,})-", "$1-")
    return call("regexp_replace", plain, "^([^:]+:[0-9]+)( ?[A-Z+-].*)$", "$1:00$2")


def _moment_to_text(value: Value, _: Kind, __: exp.Expr) -> exp.Expr:
    return _instant_text(value.sql, "")


def _instant_to_text(value: Value, _: Kind, __: exp.Expr) -> exp.Expr:
    return _instant_text(value.sql, "+00")


def _instant_text(value: exp.Expr, zone: str) -> exp.Expr:
    """Years beyond 9999 have a sign on Spark, and those before 1 have another number and no `(BC)`."""
    return spark(
        "if(year({x}) > 0, concat(ltrim('+', cast({x} as string)), {zone}),"
        " concat(lpad(cast(1 - year({x}) as string), greatest(4, length(cast(1 - year({x}) as string))), '0'),"
        " regexp_replace(cast({x} as string), '^-?[0-9]+(-[0-9]+-[0-9]+)', '$1 (BC)'), {zone}))",
        x=value,
        zone=zone,
    )


def half_away(value: exp.Expr) -> exp.Expr:
    """Round a double to a whole one, halves away from zero, in binary."""
    return spark(
        "if(abs({x}) < 4503599627370496 and abs({x} - floor({x})) = 0.5D,"
        " if({x} < 0, floor({x}), ceil({x})), rint({x}))",
        x=value,
    )


def power_of_ten(exponent: int) -> exp.Expr:
    """Return a power of ten as a double; up to 22 it is exact."""
    return cast(exp.Literal.string(f"1e{exponent}"), DOUBLE)


_Rule = Callable[[Value, Kind, exp.Expr], exp.Expr]
_RULES: Final[dict[tuple[str, str], _Rule]] = {
    ("integer", "integer"): _plain,
    ("integer", "decimal"): _plain,
    ("integer", "float"): _plain,
    ("integer", "double"): _plain,
    ("integer", "varchar"): _plain,
    ("integer", "boolean"): _plain,
    ("boolean", "integer"): _through_integer,
    ("boolean", "varchar"): _plain,
    ("boolean", "double"): _plain,
    ("decimal", "integer"): _decimal_to_integer,
    ("decimal", "decimal"): _plain,
    ("decimal", "double"): _plain,
    ("decimal", "varchar"): _plain,
    ("float", "integer"): _fraction_to_integer,
    ("float", "double"): _plain,
    ("double", "integer"): _fraction_to_integer,
    ("double", "float"): _plain,
    ("double", "decimal"): _fraction_to_decimal,
    ("float", "decimal"): _fraction_to_decimal,
    ("varchar", "integer"): _text_to_integer,
    ("varchar", "decimal"): _text_to_number,
    ("varchar", "double"): _text_to_number,
    ("varchar", "boolean"): _text_to_boolean,
    ("varchar", "date"): _text_to_instant,
    ("varchar", "timestamp"): _text_to_instant,
    ("varchar", "timestamptz"): _text_to_instant,
    ("date", "varchar"): _moment_to_text,
    ("timestamp", "varchar"): _moment_to_text,
    ("timestamptz", "varchar"): _instant_to_text,
    ("date", "timestamp"): _plain,
    ("date", "timestamptz"): _plain,
    ("timestamp", "date"): _plain,
    ("timestamp", "timestamptz"): _plain,
    ("timestamptz", "date"): _plain,
    ("timestamptz", "timestamp"): _plain,
}
_FRACTION_TEXT: Final = (
    "writes a number with a binary fraction as text, which Spark formats differently",
    "Cast it to a decimal first.",
)
_REASONS: Final = {("double", "varchar"): _FRACTION_TEXT, ("float", "varchar"): _FRACTION_TEXT}
