"""What no SELECT may do, whatever its increment mode: change anything, read files, hide tables from sync."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.sql.functions import TABLE_FUNCTIONS, function_name, is_known, name_text, qualified_name
from metadata_sync.sql.parse import ParsedSelect, folded

_STATEMENTS: Final = (
    exp.DDL,
    exp.DML,
    exp.Alter,
    exp.Analyze,
    exp.Attach,
    exp.Cache,
    exp.Command,
    exp.Comment,
    exp.Commit,
    exp.Copy,
    exp.Describe,
    exp.Detach,
    exp.Drop,
    exp.Execute,
    exp.Export,
    exp.Grant,
    exp.Into,
    exp.Kill,
    exp.LoadData,
    exp.Lock,
    exp.LockingStatement,
    exp.Merge,
    exp.Pragma,
    exp.Refresh,
    exp.Rollback,
    exp.Set,
    exp.Show,
    exp.Summarize,
    exp.Transaction,
    exp.TruncateTable,
    exp.Uncache,
    exp.Use,
)
_PLACEHOLDERS: Final = (exp.Placeholder, exp.Parameter, exp.SessionParameter)


def form_problems(select: ParsedSelect, allowed: Collection[str] = ()) -> tuple[Problem, ...]:
    """Find everything in a SELECT that is refused in every increment mode.

    Args:
        select: The parsed SELECT.
        allowed: Functions that the team allows beside the known ones.
    """
    problems = [problem for node in select.tree.walk() for problem in _node_problems(node, select.dialect, allowed)]
    if not select.tree.selects and not isinstance(select.tree, exp.Values | exp.Table):
        problems.append(Problem("no_columns", "The SELECT yields no column.", "Name the columns behind SELECT."))
    problems.extend(_qualified_column_problems(select))
    problems.extend(_placement_problems(select))
    return tuple(dict.fromkeys(problems))


def _node_problems(node: exp.Expr, dialect: str, allowed: Collection[str]) -> Iterator[Problem]:
    if isinstance(node, exp.Lock):
        yield Problem("not_a_select", "The query locks rows (FOR UPDATE).", "Remove the locking clause.")
    elif isinstance(node, _STATEMENTS) and not isinstance(node, exp.Query):
        kind = "SELECT … INTO" if isinstance(node, exp.Into) else type(node).__name__.upper()
        yield Problem("not_a_select", f"The query holds {kind}.", "A transformation only reads: keep SELECTs only.")
    elif isinstance(node, _PLACEHOLDERS):
        yield Problem("placeholder", "The query holds a parameter.", "Write the value, or a column of a lookup table.")
    elif isinstance(node, exp.TableSample):
        yield Problem("sample", "The query samples at random.", "Choose rows by a column instead.")
    elif isinstance(node, exp.Operator):
        yield Problem("operator", "The query names an operator by OPERATOR().", "Write the operator itself.")
    elif isinstance(node, exp.Table | exp.Lateral):
        yield from _table_function_problems(node, allowed)
    if not is_known(node, dialect, allowed) and not _is_table_function(node):
        yield unknown_function(node, dialect)


def unknown_function(node: exp.Expr, dialect: str) -> Problem:
    """Say that a function is not known, where it stands and what to do."""
    name = qualified_name(node) if isinstance(node, exp.Dot) else function_name(node)
    line = next((found.meta["line"] for found in node.walk() if "line" in found.meta), None)
    if isinstance(node, exp.Dot):
        remedy = "Call it by its name alone, with the value as the first argument; a team's own function is listed in "
    else:
        remedy = "Use another function, or declare what it reads as a source; a team's own function is listed in "
    place = "The query" if line is None else f"Line {line}"
    return Problem(
        "function",
        f"{place} calls {name}(), which is not a known function of {dialect}.",
        f"{remedy}SLUICE_ALLOWED_FUNCTIONS.",
        name,
    )


def _is_table_function(node: exp.Expr) -> bool:
    """Whether a call stands in FROM, where `_table_function_problems` looks at it."""
    parent = node.parent
    while isinstance(parent, exp.Dot):
        node, parent = parent, parent.parent
    return isinstance(parent, exp.Table | exp.Lateral) and parent.this is node


def _table_function_problems(node: exp.Table | exp.Lateral, allowed: Collection[str]) -> Iterator[Problem]:
    called = node.this
    if isinstance(called, exp.Identifier | exp.Query | exp.Values | exp.Unnest):
        return
    name = qualified_name(called) if isinstance(called, exp.Dot) else function_name(called)
    name = name or type(called).__name__.lower()
    schema = node.args.get("db")
    name = name if schema is None else f"{name_text(schema)}.{name}"
    if name not in allowed and (schema is not None or name not in TABLE_FUNCTIONS):
        yield Problem(
            "table_function",
            f"The query reads from {name}(), which is not an allowed table function.",
            f"Read a declared table, or one of: {', '.join(sorted(TABLE_FUNCTIONS))}.",
            name,
        )


def _qualified_column_problems(select: ParsedSelect) -> Iterator[Problem]:
    names = set(select.tables)
    aliases = {str(node.alias_or_name).lower() for node in select.tree.find_all(exp.Table, exp.Subquery, exp.CTE)}
    for column in select.tree.find_all(exp.Column):
        schema, table = column.args.get("db"), column.args.get("table")
        if schema is None or table is None or folded(schema) in aliases - {name.schema for name in names}:
            continue
        if any((name.schema, name.table) == (folded(schema), folded(table)) for name in names):
            written = ".".join(part.name for part in column.parts)
            alias = folded(table)
            yield Problem(
                "qualified_column",
                f"The query writes the column {written} with its schema.",
                f"Write {alias}.{column.name}, or give the table an alias and use that.",
                written,
            )


def _placement_problems(select: ParsedSelect) -> Iterator[Problem]:
    """Refuse grammar that only a table, not a windowed subselect, may carry."""
    for read in select.reads:
        node = read.node
        if node.args.get("pivots") or isinstance(node.parent, exp.Pivot):
            remedy = f"Read {read.name} in a common table expression and pivot that."
            yield Problem("table_modifier", f"Line {read.line} pivots {read.name} itself.", remedy)
        if node.args.get("only") or node.args.get("when") or node.args.get("version"):
            remedy = "Read the table plainly."
            yield Problem("table_modifier", f"Line {read.line} reads {read.name} with ONLY or a version.", remedy)
