"""What no SELECT may do, whatever its increment mode: change anything, read files, hide tables from sync."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.sql.functions import TABLE_FUNCTIONS, function_name, is_refused
from metadata_sync.sql.parse import ParsedSelect, folded

_STATEMENTS: Final = (
    exp.DDL,
    exp.DML,
    exp.Command,
    exp.Copy,
    exp.Describe,
    exp.Drop,
    exp.Into,
    exp.Merge,
    exp.Pragma,
    exp.Set,
    exp.Summarize,
    exp.TruncateTable,
)
_PLACEHOLDERS: Final = (exp.Placeholder, exp.Parameter, exp.SessionParameter)


def form_problems(select: ParsedSelect) -> tuple[Problem, ...]:
    """Find everything in a SELECT that is refused in every increment mode."""
    problems = [problem for node in select.tree.walk() for problem in _node_problems(node)]
    problems.extend(_qualified_column_problems(select))
    problems.extend(_placement_problems(select))
    return tuple(dict.fromkeys(problems))


def _node_problems(node: exp.Expr) -> Iterator[Problem]:
    if isinstance(node, _STATEMENTS) and not isinstance(node, exp.Query):
        kind = "SELECT … INTO" if isinstance(node, exp.Into) else type(node).__name__.upper()
        yield Problem("not_a_select", f"The query holds {kind}.", "A transformation only reads: keep SELECTs only.")
    elif isinstance(node, exp.Lock):
        yield Problem("not_a_select", "The query locks rows (FOR UPDATE).", "Remove the locking clause.")
    elif isinstance(node, _PLACEHOLDERS):
        yield Problem("placeholder", "The query holds a parameter.", "Write the value, or a column of a lookup table.")
    elif isinstance(node, exp.TableSample):
        yield Problem("sample", "The query samples at random.", "Choose rows by a column instead.")
    elif isinstance(node, exp.Table | exp.Lateral):
        yield from _table_function_problems(node)
    name = function_name(node)
    if name is not None and is_refused(name) and not isinstance(node.parent, exp.Table | exp.Lateral):
        yield Problem(
            "function",
            f"The query calls {name}(), which reaches outside the declared tables.",
            "Declare what it reads as a source in source_control, and read that.",
            name,
        )


def _table_function_problems(node: exp.Table | exp.Lateral) -> Iterator[Problem]:
    called = node.this
    if isinstance(called, exp.Identifier | exp.Query | exp.Values | exp.Unnest):
        return
    while isinstance(called, exp.Dot):
        called = called.expression
    name = function_name(called) or type(called).__name__.lower()
    if name not in TABLE_FUNCTIONS:
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
