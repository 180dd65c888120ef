"""`delete_when`: one boolean expression over the SELECT's output, and nothing else."""

from __future__ import annotations

from collections.abc import Collection

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from metadata_sync.problems import Problem, did_you_mean, listed
from metadata_sync.sql.functions import function_name, is_aggregate, is_clock, is_refused
from metadata_sync.sql.parse import WINDOW_MARKER, folded

_REMEDY = "Write one condition over the SELECT's output columns, e.g. operation = 'D'."


def delete_when_problems(text: str, dialect: str, columns: Collection[str] | None) -> tuple[Problem, ...]:
    """Find what is wrong with a `delete_when`.

    Args:
        text: The condition as the row holds it.
        dialect: The warehouse's SQL.
        columns: The SELECT's output columns, or None when they are not known.
    """
    tree = _parse(text, dialect)
    if isinstance(tree, Problem):
        return (tree,)
    problems = [problem for node in tree.walk() if (problem := _node_problem(node)) is not None]
    if columns is not None:
        for name in sorted({folded(column.this) for column in tree.find_all(exp.Column)} - set(columns)):
            hint = did_you_mean(name, columns)
            message = f"The condition reads {name}, which the SELECT does not yield (yields: {listed(columns)})."
            problems.append(Problem("unknown_column", message, hint or "Use an output column.", name))
    return tuple(dict.fromkeys(problems))


def _parse(text: str, dialect: str) -> exp.Paren | Problem:
    wrong = Problem("delete_when", "It is not one boolean expression.", _REMEDY)
    if WINDOW_MARKER in text.lower():
        return Problem("window_marker", f"It holds the words {WINDOW_MARKER!r}.", "Remove them.")
    try:
        tokens = sqlglot.tokenize(f"({text})", dialect=dialect)
        if any(token.token_type is TokenType.SEMICOLON for token in tokens):
            return wrong
        statements = sqlglot.parse(f"({text})", dialect=dialect)
    except (SqlglotError, RecursionError):
        return wrong
    if any(token.comments for token in tokens):
        return Problem("delete_when", "It holds a comment.", "Put comments beside it, into the YAML file.")
    if len(statements) != 1 or not isinstance(statements[0], exp.Paren):
        return wrong
    return statements[0]


def _node_problem(node: exp.Expr) -> Problem | None:
    name = function_name(node)
    fault: str | None = None
    remedy = _REMEDY
    if isinstance(node, exp.Query | exp.Table | exp.DML | exp.DDL | exp.Command):
        fault, remedy = "It holds a subquery.", "Join what it needs in the SELECT and yield a column."
    elif isinstance(node, exp.Placeholder | exp.Parameter | exp.Alias):
        fault = "It is not one boolean expression."
    elif isinstance(node, exp.Window) or is_aggregate(node):
        fault = "It looks at more than one row."
    elif is_clock(node):
        fault = "It depends on the clock or on chance."
    elif name is not None and is_refused(name):
        fault = f"It calls {name}()."
    elif isinstance(node, exp.Column) and node.table:
        fault, remedy = f"It qualifies the column {node.sql()}.", "Name output columns alone."
    return Problem("delete_when", fault, remedy) if fault else None


def is_type(text: str, dialect: str) -> bool:
    """Tell whether text is a data type of the warehouse, and nothing more.

    >>> is_type("varchar(10)", "duckdb"), is_type("int) as x, (select 1", "duckdb"), is_type("varchr", "duckdb")
    (True, False, False)
    """
    try:
        tokens = sqlglot.tokenize(text, dialect=dialect)
        if any(token.comments or token.token_type is TokenType.SEMICOLON for token in tokens):
            return False
        cast = sqlglot.parse_one(f"cast(null as {text})", dialect=dialect)
    except (SqlglotError, RecursionError):
        return False
    if not isinstance(cast, exp.Cast) or any(value for name, value in cast.args.items() if name not in {"this", "to"}):
        return False
    kinds = [*cast.to.find_all(exp.DataType)]
    is_known = dialect != "duckdb" or not any(kind.this is exp.DataType.Type.USERDEFINED for kind in kinds)
    return is_known and cast.find(exp.Query, exp.Column) is None
