"""`delete_when`, one boolean expression over the SELECT's output, and expressions of `recompute_by` over a source."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from metadata_sync.problems import Problem, did_you_mean, listed
from metadata_sync.sql.checks import unknown_function
from metadata_sync.sql.functions import is_aggregate, is_clock, is_known
from metadata_sync.sql.parse import WINDOW_MARKER, escape_problem, folded, is_balanced

_MAX_CONDITION: Final = 10_000
"""Characters of a condition."""
_TYPE: Final = re.compile(r"""[\w\s(),\[\].'"<>-]{1,2000}""")
_BIT_VARYING: Final = re.compile(r"bit varying( ?\(\d+\))?(\[\])*", re.IGNORECASE)
"""A type that sqlglot does not parse."""
_REMEDY: Final = "Write one condition over the SELECT's output columns, e.g. operation = 'D'."


_NO_VALUES: Final = (
    exp.Alias,
    exp.Aliases,
    exp.Columns,
    exp.Kwarg,
    exp.Operator,
    exp.Parameter,
    exp.Placeholder,
    exp.PropertyEQ,
    exp.SessionParameter,
    exp.Star,
)
"""Expressions that do not compute a value from one row."""


def delete_when_problems(
    text: str, dialect: str, columns: Collection[str] | None, allowed: Collection[str] = ()
) -> tuple[Problem, ...]:
    """Find what is wrong with a `delete_when`.

    Args:
        text: The condition as the row holds it.
        dialect: The warehouse's SQL.
        columns: The SELECT's output columns, or None when they are not known.
        allowed: Functions that the team allows beside the known ones.
    """
    try:
        return _condition_problems(text, dialect, columns, allowed)
    except RecursionError:
        return (Problem("delete_when", "It is nested too deeply.", _REMEDY),)


def _condition_problems(
    text: str, dialect: str, columns: Collection[str] | None, allowed: Collection[str]
) -> tuple[Problem, ...]:
    tree = _parse(text, dialect)
    if isinstance(tree, Problem):
        return (tree,)
    problems = [problem for node in tree.walk() if (problem := _node_problem(node, dialect, allowed)) is not None]
    if columns is not None:
        known = set(columns) if dialect == "postgres" else {name.lower() for name in columns}
        read = {folded(column.this) for column in tree.find_all(exp.Column)}
        for name in sorted(read - known if dialect == "postgres" else {name.lower() for name in read} - known):
            hint = did_you_mean(name, columns)
            message = f"The condition reads {name}, which the SELECT does not yield (yields: {listed(columns)})."
            problems.append(Problem("unknown_column", message, hint or "Use an output column.", name))
    return tuple(dict.fromkeys(problems))


def group_expression_problems(text: str, dialect: str, allowed: Collection[str] = ()) -> tuple[Problem, ...]:
    """Find what is wrong with an expression of `recompute_by`: it gives one value of one row, whenever it is asked.

    Args:
        text: The expression as the row holds it.
        dialect: The warehouse's SQL.
        allowed: Functions that the team allows beside the known ones.
    """
    remedy = "Write one expression over the source's columns, e.g. date_trunc('day', landed_at)."
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect)
        is_plain = is_balanced(tokens) and not any(token.comments for token in tokens)
        is_plain = is_plain and escape_problem(tokens) is None and WINDOW_MARKER not in text.lower()
        tree = sqlglot.parse_one(f"({text})", dialect=dialect) if is_plain and len(text) <= _MAX_CONDITION else None
        if not isinstance(tree, exp.Paren):
            return (Problem("recompute_by", "It is not one expression.", remedy, text),)
        found = [problem for node in tree.walk() if (problem := _node_problem(node, dialect, allowed)) is not None]
    except (SqlglotError, RecursionError):
        return (Problem("recompute_by", "It is not one expression.", remedy, text),)
    return tuple(dict.fromkeys(replace(item, rule="recompute_by", remedy=remedy, value=text) for item in found))


def _parse(text: str, dialect: str) -> exp.Paren | Problem:
    if len(text) > _MAX_CONDITION:
        return Problem("delete_when", f"It has {len(text):,} characters, more than {_MAX_CONDITION:,}.", _REMEDY)
    if WINDOW_MARKER in text.lower():
        return Problem("window_marker", f"It holds the words {WINDOW_MARKER!r}.", "Remove them.")
    try:
        tokens = sqlglot.tokenize(f"({text})", dialect=dialect)
        is_plain = is_balanced(tokens[1:-1]) and escape_problem(tokens) is None
        statements = sqlglot.parse(f"({text})", dialect=dialect) if is_plain else []
    except (SqlglotError, RecursionError):
        tokens, statements = [], []
    if any(token.comments for token in tokens):
        return Problem("delete_when", "It holds a comment.", "Put comments beside it, into the YAML file.")
    if len(statements) == 1 and isinstance(statements[0], exp.Paren) and _is_condition(statements[0].unnest()):
        return statements[0]
    return Problem("delete_when", "It is not one boolean expression.", _REMEDY)


def _is_condition(node: exp.Expr) -> bool:
    """Whether an expression may be true or false: not a number, a text, a sum or an assignment."""
    if isinstance(node, exp.Predicate | exp.Connector | exp.Not | exp.Boolean | exp.Column | exp.Func | exp.Dot):
        return not isinstance(node, exp.PropertyEQ)
    return isinstance(node, exp.Paren | exp.Bracket | exp.Collate) and not isinstance(node, exp.PropertyEQ)


def _node_problem(node: exp.Expr, dialect: str, allowed: Collection[str]) -> Problem | None:
    fault: str | None = None
    remedy = _REMEDY
    if isinstance(node, exp.Query | exp.Table | exp.DML | exp.DDL | exp.Command):
        fault, remedy = "It holds a subquery.", "Join what it needs in the SELECT and yield a column."
    elif isinstance(node, _NO_VALUES):
        fault = "It is not one boolean expression."
    elif isinstance(node, exp.Window) or is_aggregate(node):
        fault = "It reads more than one row."
    elif is_clock(node):
        fault = "It depends on the clock or on random numbers."
    elif not is_known(node, dialect, allowed):
        return replace(unknown_function(node, dialect), rule="delete_when")
    elif isinstance(node, exp.Column) and node.table:
        fault, remedy = f"It qualifies the column {node.sql()}.", "Name output columns alone."
    return Problem("delete_when", fault, remedy) if fault else None


@lru_cache(maxsize=2_000)
def is_type(text: str, dialect: str) -> bool:
    """Tell whether text is a data type of the warehouse, and nothing more.

    >>> is_type("varchar(10)", "duckdb"), is_type("int) as x, (select 1", "duckdb"), is_type("varchr", "duckdb")
    (True, False, False)
    """
    if dialect == "postgres" and _BIT_VARYING.fullmatch(text):
        return True
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect)
        if _TYPE.fullmatch(text) is None or any(token.comments for token in tokens) or not is_balanced(tokens):
            return False
        cast = sqlglot.parse_one(f"cast(null as {text})", dialect=dialect)
    except (SqlglotError, RecursionError):
        return False
    if not isinstance(cast, exp.Cast) or any(value for name, value in cast.args.items() if name not in {"this", "to"}):
        return False
    kinds = [*cast.to.find_all(exp.DataType)]
    if dialect == "duckdb":
        own = (kind for kind in kinds if kind.this is exp.DataType.Type.USERDEFINED)
        is_known = all(str(kind.args.get("kind")).lower() == "timestamptz_ns" for kind in own)
    else:
        is_known = not any(literal.is_string for literal in cast.to.find_all(exp.Literal))
    return is_known and cast.find(exp.Query, exp.Column) is None
