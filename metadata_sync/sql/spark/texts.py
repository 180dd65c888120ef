"""Functions of text, by code points and by the warehouse's own table of letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.expressions import Expressions, rule
from metadata_sync.sql.spark.kinds import BIGINT, BOOLEAN, INTEGER, VARCHAR
from metadata_sync.sql.spark.value import Refusal, Value, call, cast, spark

_BLANKS: Final = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
"""What the warehouse's trim() takes away: Unicode's spaces, no tab and no line break."""

_NEW_UPPER: Final = "ⰯꟀꟐꟖꟘ𐕰𐕱𐕲𐕳𐕴𐕵𐕶𐕷𐕸𐕹𐕺𐕼𐕽𐕾𐕿𐖀𐖁𐖂𐖃𐖄𐖅𐖆𐖇𐖈𐖉𐖊𐖌𐖍𐖎𐖏𐖐𐖑𐖒𐖔𐖕"
_NEW_LOWER: Final = "ⱟꟁꟑꟗꟙ𐖗𐖘𐖙𐖚𐖛𐖜𐖝𐖞𐖟𐖠𐖡𐖣𐖤𐖥𐖦𐖧𐖨𐖩𐖪𐖫𐖬𐖭𐖮𐖯𐖰𐖱𐖳𐖴𐖵𐖶𐖷𐖸𐖹𐖻𐖼"
"""Letters of a newer Unicode than Java 17's."""
_TITLED: Final = "ᾀᾁᾂᾃᾄᾅᾆᾇᾐᾑᾒᾓᾔᾕᾖᾗᾠᾡᾢᾣᾤᾥᾦᾧᾳῃῳ"
_TITLES: Final = "ᾈᾉᾊᾋᾌᾍᾎᾏᾘᾙᾚᾛᾜᾝᾞᾟᾨᾩᾪᾫᾬᾭᾮᾯᾼῌῼ"
"""Letters that become one letter in the warehouse and two on Spark."""
_WITHOUT_UPPER: Final = "ŉǰΐΰևẖẗẘẙẚὐὒὔὖᾲᾴᾶᾷῂῄῆῇῒΐῖῗῢΰῤῦῧῲῴῶῷﬀﬁﬂﬃﬄﬅﬆﬓﬔﬕﬖﬗ"
"""Letters that the warehouse leaves and that become several on Spark."""
_KEPT: Final = _TITLES + _WITHOUT_UPPER
_STAND_INS: Final = "".join(chr(0x10FF00 + place) for place in range(len(_KEPT)))
"""Private characters that stand for letters while Spark's upper() looks at the others."""


def lowered(value: exp.Expr) -> exp.Expr:
    """Return a text in lower case, letter by letter: Spark looks at the end of a word for Σ and makes two of İ."""
    return spark("lower(translate({x}, {a}, {b}))", x=value, a="Σİ" + _NEW_UPPER, b="σi" + _NEW_LOWER)


def uppered(value: exp.Expr) -> exp.Expr:
    """Return a text in upper case, letter by letter: Spark makes SS of ß."""
    before = "ß" + _NEW_LOWER + _TITLED + _KEPT
    after = "ẞ" + _NEW_UPPER + _STAND_INS[: len(_TITLED)] + _STAND_INS
    odd = f"[{before}]"
    return spark(
        "if({x} rlike {odd}, translate(upper(translate({x}, {a}, {b})), {c}, {d}), upper({x}))",
        x=value, odd=odd, a=before, b=after, c=_STAND_INS, d=_KEPT,
    )  # fmt: skip


@rule(exp.Lower, args="this")
def _lower(self: Expressions, node: exp.Expr) -> Value:
    return Value(lowered(self.as_kind(node.this, VARCHAR)), VARCHAR)


@rule(exp.Upper, args="this")
def _upper(self: Expressions, node: exp.Expr) -> Value:
    return Value(uppered(self.as_kind(node.this, VARCHAR)), VARCHAR)


@rule(exp.Trim, args="this expression position")
def _trim(self: Expressions, node: exp.Expr) -> Value:
    value = self.as_kind(node.this, VARCHAR)
    given = node.args.get("expression")
    if given is None:
        signs: exp.Expr = exp.Literal.string(_BLANKS if self.dialect == "duckdb" else " ")
    else:
        signs = self.as_kind(given, VARCHAR)
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper())
    if name is None:
        return Value(spark("trim(BOTH {signs} FROM {x})", signs=signs, x=value), VARCHAR)
    return Value(call(name, signs, value), VARCHAR)


@rule(exp.Length, args="this")
def _length(self: Expressions, node: exp.Expr) -> Value:
    return Value(cast(call("length", self.as_kind(node.this, VARCHAR)), BIGINT), BIGINT)


@rule(exp.Concat, args="expressions safe coalesce")
def _concat(self: Expressions, node: exp.Expr) -> Value:
    parts = []
    for item in node.expressions:
        value = self.value(item)
        text = convert(value, VARCHAR, item)
        parts.append(call("coalesce", text, "") if self.dialect != "redshift" and node.args.get("coalesce") else text)
    return Value(exp.Anonymous(this="concat", expressions=parts), VARCHAR)


@rule(exp.ConcatWs, args="expressions safe coalesce")
def _concat_ws(self: Expressions, node: exp.Expr) -> Value:
    parts = [convert(self.value(item), VARCHAR, item) for item in node.expressions]
    return Value(exp.Anonymous(this="concat_ws", expressions=parts), VARCHAR)


@rule(exp.Replace, args="this expression replacement")
def _replace(self: Expressions, node: exp.Expr) -> Value:
    parts = [node.this, node.expression, node.args.get("replacement") or exp.Literal.string("")]
    return Value(call("replace", *[self.as_kind(part, VARCHAR) for part in parts]), VARCHAR)


@rule(exp.Substring, args="this start length")
def _substring(self: Expressions, node: exp.Expr) -> Value:
    value = self.as_kind(node.this, VARCHAR)
    start, length = self.value(node.args["start"]), None
    if node.args.get("length") is not None:
        length = self.value(node.args["length"])
    sizes = [start] if length is None else [start, length]
    if any(not size.kind.is_integer or size.kind.name == "hugeint" for size in sizes):
        raise Refusal(node, "takes a part from a place that is no whole number", "Cast the place to integer.")
    if (start.number or 0) > 0 and (length is None or (length.number or -1) >= 0):
        return Value(call("substring", value, *[size.sql for size in sizes]), VARCHAR)
    if self.dialect != "duckdb":
        raise Refusal(node, "counts from 0 or from the end", "Write a place from 1 and a length.")
    part = _window(value, start, length)
    return Value(_unless_null(part, [size.sql for size in sizes]), VARCHAR)


def _unless_null(made: exp.Expr, sizes: Sequence[exp.Expr]) -> exp.Expr:
    """Return NULL where a size is NULL: greatest() and least() leave it out."""
    for size in sizes:
        if not isinstance(size, exp.Literal):
            made = spark("if({size} is null, null, {made})", size=size, made=made)
    return made


def _window(value: exp.Expr, start: Value, length: Value | None) -> exp.Expr:
    """Take a part as the warehouse does: from the end below 0, and backwards for a length below 0."""
    begin = spark("if({s} < 0, length({x}) + {s}, {s} - 1)", x=value, s=cast(start.sql, BIGINT))
    if length is None:
        return spark("substring({x}, cast(greatest({b}, 0) + 1 as int))", x=value, b=begin)
    count = cast(length.sql, BIGINT)
    first = spark("greatest(if({n} < 0, {b} + {n}, {b}), 0)", b=begin, n=count)
    last = spark("if({n} < 0, {b}, {b} + {n})", b=begin, n=count)
    return spark(
        "substring({x}, cast({first} + 1 as int), cast(greatest({last} - {first}, 0) as int))",
        x=value, first=first, last=last,
    )  # fmt: skip


@rule(exp.Left, exp.Right)
def _end(self: Expressions, node: exp.Expr) -> Value:
    value, count = self.as_kind(node.this, VARCHAR), self.value(node.expression)
    if not count.kind.is_integer:
        raise Refusal(node, f"takes {count.kind} characters", "Cast the number to integer.")
    if self.dialect != "duckdb" and (count.number is None or count.number < 0):
        raise Refusal(node, "may take a negative number of characters", "Write the number.")
    size = cast(count.sql, INTEGER)
    if isinstance(node, exp.Left):
        taken = spark("if({n} >= 0, {n}, greatest(length({x}) + {n}, 0))", x=value, n=size)
    else:
        taken = spark("if({n} >= 0, least({n}, length({x})), greatest(length({x}) + {n}, 0))", x=value, n=size)
    if isinstance(node, exp.Left):
        made = spark("substring({x}, 1, {n})", x=value, n=taken)
    else:
        made = spark("substring({x}, length({x}) - {n} + 1, {n})", x=value, n=taken)
    return Value(_unless_null(made, [count.sql]), VARCHAR)


@rule(exp.StrPosition, args="this substr")
def _position(self: Expressions, node: exp.Expr) -> Value:
    value, part = self.as_kind(node.this, VARCHAR), self.as_kind(node.args["substr"], VARCHAR)
    return Value(
        cast(spark("if({p} = '', if({x} is null, null, 1), instr({x}, {p}))", x=value, p=part), BIGINT), BIGINT
    )


@rule(exp.Contains, exp.StartsWith, exp.EndsWith)
def _contains(self: Expressions, node: exp.Expr) -> Value:
    names: dict[type[exp.Expr], str] = {
        exp.Contains: "contains",
        exp.StartsWith: "startswith",
        exp.EndsWith: "endswith",
    }
    parts = [self.as_kind(node.this, VARCHAR), self.as_kind(node.expression, VARCHAR)]
    return Value(call(names[type(node)], *parts), BOOLEAN)


@rule(exp.SplitPart, args="this delimiter part_index")
def _split_part(self: Expressions, node: exp.Expr) -> Value:
    index, delimiter = node.args["part_index"], node.args["delimiter"]
    is_plain = isinstance(index, exp.Literal) and int(str(index.this)) > 0
    if not is_plain or not isinstance(delimiter, exp.Literal) or not delimiter.this:
        raise Refusal(node, "takes a part by something else than a written text and a number from 1", "Write both.")
    value = self.as_kind(node.this, VARCHAR)
    return Value(call("split_part", value, str(delimiter.this), int(str(index.this))), VARCHAR)


@rule(exp.Pad, args="this expression fill_pattern is_left")
def _pad(self: Expressions, node: exp.Expr) -> Value:
    size, fill = node.expression, node.args.get("fill_pattern") or exp.Literal.string(" ")
    if not (isinstance(size, exp.Literal) and isinstance(fill, exp.Literal) and fill.this):
        raise Refusal(node, "pads by something else than a written number and text", "Write both.")
    name = "lpad" if node.args.get("is_left") else "rpad"
    value = self.as_kind(node.this, VARCHAR)
    return Value(call(name, value, int(str(size.this)), str(fill.this)), VARCHAR)


@rule(exp.Repeat, args="this times")
def _repeat(self: Expressions, node: exp.Expr) -> Value:
    times = self.as_kind(node.args["times"], INTEGER, "integer", "smallint", "tinyint")
    return Value(call("repeat", self.as_kind(node.this, VARCHAR), times), VARCHAR)


@rule(exp.MD5, args="this")
def _md5(self: Expressions, node: exp.Expr) -> Value:
    return Value(call("md5", cast(self.as_kind(node.this, VARCHAR), "BINARY")), VARCHAR)


@rule(exp.SHA2, args="this length")
def _sha256(self: Expressions, node: exp.Expr) -> Value:
    if str(node.args["length"]) != "256":
        raise Refusal(node, "is a hash that was not compared", "Use sha256() or md5().")
    return Value(call("sha2", cast(self.as_kind(node.this, VARCHAR), "BINARY"), 256), VARCHAR)
