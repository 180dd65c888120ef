"""`probe`: one SELECT of one value of the source's own table, whose value represents the state of the table."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem, listed
from metadata_sync.rows.names import TableName
from metadata_sync.sql.checks import form_problems
from metadata_sync.sql.parse import ParsedSelect, parse_select

MAX_PROBE_LENGTH: Final = 4_000
"""Characters of a probe."""

_REMEDY: Final = "Write one SELECT of one value, e.g. select max(updated_at) from shop.orders."


def parse_probe(
    text: str, dialect: str, tables: Collection[TableName], allowed: Collection[str] = ()
) -> tuple[ParsedSelect | None, tuple[Problem, ...]]:
    """Parse a probe and find what is wrong with it.

    Args:
        text: The query as the row holds it.
        dialect: The warehouse's SQL.
        tables: Names of the source's own table.
        allowed: Functions that the team allows beside the known ones.

    Returns:
        The query, or None when it may not run; and what is wrong.
    """
    if len(text) > MAX_PROBE_LENGTH:
        message = f"It has {len(text):,} characters, more than {MAX_PROBE_LENGTH:,}."
        return None, (Problem("probe", message, _REMEDY),)
    try:
        select, problems = parse_select(text, dialect)
        if select is not None:
            problems = (*problems, *form_problems(select, allowed), *_own_problems(select, tables))
    except RecursionError:
        select, problems = None, (Problem("probe", "It is nested too deeply.", _REMEDY),)
    return (None if problems else select), problems


def _own_problems(select: ParsedSelect, tables: Collection[TableName]) -> tuple[Problem, ...]:
    problems = []
    foreign = [str(name) for name in select.tables if name not in tables]
    if foreign:
        message = f"It reads {listed(foreign)}, not only its own table ({listed(map(str, tables))})."
        problems.append(Problem("probe", message, "Read the source's own table.", foreign[0]))
    elif not select.reads:
        problems.append(Problem("probe", "It does not read its own table.", _REMEDY))
    columns = select.tree.selects
    if len(columns) != 1 or columns[0].is_star or columns[0].find(exp.Columns) is not None:
        problems.append(Problem("probe", "It yields more than one column, or `*`.", _REMEDY))
    return tuple(problems)
