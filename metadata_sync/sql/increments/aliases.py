"""The aliases of a SELECT: which expression over each driving source a column of the output is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlglot import exp

from metadata_sync.rows.names import TableName, is_column_name
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.increments.queries import Queries
from metadata_sync.sql.increments.refusals import Refusals
from metadata_sync.sql.increments.relation import Symbol
from metadata_sync.sql.increments.rule import IncrementRule
from metadata_sync.sql.parse import ParsedSelect


def aliased_expressions(
    select: ParsedSelect, driving: Sequence[TableName], columns: Mapping[TableName, Sequence[str]]
) -> dict[str, dict[TableName, str]]:
    """Return the output columns that are computed from one row of a driving source, or that rename its column.

    Over the source that a column of the output is made of, it is what the SELECT computes. Over another one it is what
    the SELECT calls by the same name there, or requires to be equal in a join, if that is one expression.

    Args:
        select: The SELECT.
        driving: Its driving sources.
        columns: Table → its columns, as far as they are known.

    Returns:
        Lower-case output column → source → the name or expression over its columns. Without the columns that have the
        name of a column that they are made of.
    """
    rule = IncrementRule(Increment.GROUPS, dict.fromkeys(driving, ()), columns=columns, dialect=select.dialect)
    queries = Queries(select, rule, Refusals(select, rule.increment))
    relation = queries.relation_of(select.tree, None)
    found: dict[str, dict[TableName, str]] = {}
    for name, value in relation.columns.items():
        for table in driving:
            own = value.symbol is not None and value.symbol.table == table
            if not own and name in {column.lower() for column in columns.get(table, ())}:
                continue
            symbols = {one.text: one for one in _meanings(queries, name, value.symbol) if one.table == table}
            text = None
            if len(symbols) == 1:
                text = _spelled(symbols.popitem()[1], name, columns, select.dialect)
            if text is not None:
                found.setdefault(name, {})[table] = text
    return found


def _meanings(queries: Queries, name: str, symbol: Symbol | None) -> Iterator[Symbol]:
    """Yield what a column of the output is, and what it is called or equal to in the other sources."""
    known = [] if symbol is None else [symbol]
    known += [one for one in queries.named.get(name, ()) if symbol is None or one.table != symbol.table]
    yield from known
    if symbol is None:
        return
    for pair in queries.equal:
        for one, other in (pair, pair[::-1]):
            if (one.table, one.text) == (symbol.table, symbol.text) and other.table != symbol.table:
                yield other


def _spelled(symbol: Symbol, name: str, columns: Mapping[TableName, Sequence[str]], dialect: str) -> str | None:
    node = symbol.node.copy()
    read = [*node.find_all(exp.Column)]
    if not read or any(column.name == name for column in read):
        return None
    spelled = {column.lower(): column for column in columns.get(symbol.table, ())}
    for column in read:
        column.this.set("this", spelled.get(column.name, column.name))
    is_renamed = isinstance(node, exp.Column) and is_column_name(node.name)
    return node.name if is_renamed else node.sql(dialect, comments=False)
