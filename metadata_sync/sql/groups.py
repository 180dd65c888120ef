"""Checks that a SELECT of `increment: groups` computes each group from all of its rows.

A load reads every row of the touched groups; `recompute_by` names the columns of a group. GROUP BY and PARTITION BY
over a driving source must hold these columns: a coarser grouping would need rows that the load does not read, and its
result would be wrong without an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName
from metadata_sync.sql.functions import is_aggregate
from metadata_sync.sql.parse import ParsedSelect

_REMEDY: Final = (
    "Group by these columns, name coarser ones in recompute_by, use increment: full, or set increment_checked: "
    "true if you know that the result is right."
)


def group_problems(select: ParsedSelect, recompute: Mapping[TableName, Sequence[str]]) -> list[Problem]:
    """Find groupings that are coarser than the groups that a load reads.

    Only queries that read a driving source themselves are checked, not those above a subquery or common table
    expression, which may rename its columns.

    Args:
        select: The parsed SELECT.
        recompute: Driving source → its `recompute_by`.

    Returns:
        One problem per query and clause.
    """
    reads: dict[int, list[TableName]] = {}
    queries: dict[int, exp.Select] = {}
    for read in select.reads:
        query = read.node.parent_select
        if recompute.get(read.name) and isinstance(query, exp.Select):
            queries[id(query)] = query
            reads.setdefault(id(query), []).append(read.name)
    found = [
        _problem(clause, columns, reads[key], recompute)
        for key, query in queries.items()
        for clause, columns in _groupings(query)
        if not any({name.lower() for name in recompute[table]} <= columns for table in reads[key])
    ]
    return list(dict.fromkeys(found))


def _problem(
    clause: str, columns: set[str], tables: Sequence[TableName], recompute: Mapping[TableName, Sequence[str]]
) -> Problem:
    wanted = " or ".join(dict.fromkeys(f"({', '.join(recompute[table])}), the group of {table}" for table in tables))
    message = (
        f"{clause} ({', '.join(sorted(columns))}) leaves out {wanted}: increment: groups reads the touched groups only."
    )
    return Problem("increment_mode", message, _REMEDY, "groups")


def _groupings(query: exp.Select) -> Iterator[tuple[str, set[str]]]:
    """Yield each GROUP BY and PARTITION BY of a query itself, with the columns that it groups by as they are."""
    group = query.args.get("group")
    if isinstance(group, exp.Group):
        parts = group.expressions
        if group.args.get("all"):
            parts = [item for item in query.expressions if not any(map(is_aggregate, item.walk()))]
        yield "GROUP BY", _columns(parts, query)
    for item in query.expressions:
        for window in item.find_all(exp.Window):
            if window.parent_select is query and window.args.get("partition_by"):
                yield "PARTITION BY", _columns(window.args["partition_by"], query)


def _columns(parts: Sequence[exp.Expr], query: exp.Select) -> set[str]:
    """Names of the columns among some expressions; positions and aliases of the projection stand for what they name."""
    aliases = {item.alias.lower(): item.this for item in query.expressions if isinstance(item, exp.Alias)}
    names = set()
    for part in parts:
        meant = part
        if isinstance(part, exp.Literal) and part.is_int and 0 < int(part.name) <= len(query.expressions):
            meant = query.expressions[int(part.name) - 1].unalias()
        if (
            isinstance(meant, exp.Column)
            and not meant.table
            and isinstance(aliases.get(meant.name.lower()), exp.Column)
        ):
            names.add(meant.name.lower())
            meant = aliases[meant.name.lower()]
        if isinstance(meant.unalias(), exp.Column):
            names.add(meant.unalias().name.lower())
    return names
