"""A translated expression with its type, and how Spark SQL is written around it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import sqlglot
from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.sql.spark.kinds import Kind

REMEDY: Final = "Write it another way, or use engine: warehouse."
_SIMPLE: Final = (exp.Column, exp.Literal, exp.Func, exp.Paren, exp.Null, exp.Boolean)
"""What needs no parentheses."""
_SHOWN: Final = 60
"""Characters of an expression in a sentence."""


@dataclass(frozen=True, slots=True)
class Value:
    """An expression in Spark's SQL.

    Attributes:
        sql: The expression.
        kind: Its type, the same on both engines.
        number: The value of a whole number that is written out: it takes the type of what stands beside it.
        text: The value of a text that is written out: it is read as the type of what stands beside it.
    """

    sql: exp.Expr
    kind: Kind
    number: int | None = None
    text: str | None = None


class Refusal(Exception):  # noqa: N818 - no error: the answer that a construct is not proved to be equal
    """A construct that is not proved to mean the same on Spark.

    Args:
        node: The construct.
        reason: What is wrong with it, as the rest of a sentence that begins with the construct; None: it was told.
        remedy: What to write instead.
    """

    def __init__(self, node: exp.Expr, reason: str | None, remedy: str = REMEDY) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason
        self.remedy = remedy

    @property
    def problem(self) -> Problem:
        """The problem as validate tells it."""
        return Problem("spark_select", f"Line {line_of(self.node)}: {shown(self.node)} {self.reason}.", self.remedy)


def line_of(node: exp.Expr) -> int:
    """Return the line where a construct stands, or the nearest one that is known."""
    found: exp.Expr | None = node
    while found is not None:
        line = next((part.meta["line"] for part in found.walk() if "line" in part.meta), None)
        if line is not None:
            return int(line)
        found = found.parent
    return 1


def shown(node: exp.Expr, dialect: str = "duckdb") -> str:
    """Return a construct as it is written, shortened to what fits into a sentence."""
    text = node.sql(dialect, comments=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def spark(template: str, **parts: exp.Expr | str | int) -> exp.Expr:
    """Write Spark SQL around expressions: each `{name}` is replaced by a part, in parentheses where it needs them.

    Args:
        template: Spark SQL.
        **parts: Expressions; a text becomes a literal, a number one too.
    """
    tree = exp.paren(_parsed(template).copy())
    for paren in [item for item in tree.find_all(exp.Paren) if isinstance(item.this, exp.Column)]:
        name = paren.this.name.removeprefix("sluice_part_")
        if name in parts:
            part = parts[name]
            made = _literal(part) if isinstance(part, str | int) else part.copy()
            paren.replace(made if isinstance(made, _SIMPLE) else exp.paren(made, copy=False))
    return tree.this.pop() if isinstance(tree.this, _SIMPLE) else tree


def call(name: str, *arguments: exp.Expr | str | int) -> exp.Expr:
    """Return the call of a function of Spark, by the name that Spark knows."""
    made = [_literal(item) if isinstance(item, str | int) else item.copy() for item in arguments]
    return exp.Anonymous(this=name, expressions=made)


def cast(value: exp.Expr, kind: Kind | str) -> exp.Expr:
    """Return a plain cast of Spark."""
    to = exp.DataType.build(kind if isinstance(kind, str) else kind.spark, dialect="spark")
    if isinstance(value, exp.Cast) and value.args["to"] == to:
        return value.copy()
    return exp.Cast(this=value.copy(), to=to)


def _literal(part: str | int) -> exp.Expr:
    return exp.Literal.string(part) if isinstance(part, str) else exp.Literal.number(part)


@cache
def _parsed(template: str) -> exp.Expr:
    text = template.replace("{", "(sluice_part_").replace("}", ")")
    return sqlglot.parse_one(text, read="spark")
