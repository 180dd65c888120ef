"""The aliases of an output: which expression over a table each output column is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from metadata_sync.rows.names import TableName, is_column_name
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql.increments.queries import Queries
from metadata_sync.sql.increments.refusals import Refusals
from metadata_sync.sql.increments.rule import IncrementRule
from metadata_sync.sql.parse import ParsedSelect


def aliased_expressions(
    select: ParsedSelect, driving: Sequence[TableName], columns: Mapping[TableName, Sequence[str]]
) -> dict[str, tuple[TableName, str]]:
    """Return the output columns that are computed from one row of a driving source, or that rename its column.

    Args:
        select: The SELECT.
        driving: Its driving sources.
        columns: Table → its columns, as far as they are known.

    Returns:
        Lower-case output column → the source, and the name or expression over its columns. Without the columns that
        have the name of a column that they are made of.
    """
    rule = IncrementRule(Increment.GROUPS, dict.fromkeys(driving, ()), columns=columns, dialect=select.dialect)
    relation = Queries(select, rule, Refusals(select, rule.increment)).relation_of(select.tree, None)
    found = {}
    for name, value in relation.columns.items():
        symbol = value.symbol
        if symbol is None or symbol.table not in driving:
            continue
        node = symbol.node.copy()
        read = [*node.find_all(exp.Column)]
        if not read or any(column.name == name for column in read):
            continue
        spelled = {column.lower(): column for column in columns.get(symbol.table, ())}
        for column in read:
            column.this.set("this", spelled.get(column.name, column.name))
        is_renamed = isinstance(node, exp.Column) and is_column_name(node.name)
        found[name] = symbol.table, node.name if is_renamed else node.sql(select.dialect, comments=False)
    return found
