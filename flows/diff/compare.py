"""Compare a target with the same target of another environment.

diff = compare(context, TableName.parse("dwh.orders"), "prod")  # reads both tables, writes nothing
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from flows.diff import statements
from flows.diff.model import ColumnDifference, Example, KeyFaults, SchemaDifference, TableDiff
from flows.diff.sides import Side, compared_as_text, open_sides
from flows.diff.statements import Compared
from metadata_sync.errors import RequestError
from metadata_sync.rows.resolve import RESERVED_PREFIX, VERSION_COLUMNS, unknown_target
from metadata_sync.rows.vocabulary import LoadType

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.connection import Warehouse
    from metadata_sync.rows.model import TransformationRow
    from metadata_sync.rows.names import TableName

EXAMPLES: Final = 5
"""Examples of each kind."""


def compare(
    context: Context,
    target: TableName,
    against: str,
    *,
    key: Sequence[str] = (),
    share: float = 1.0,
    most_rows: int | None = None,
    example_count: int = EXAMPLES,
) -> TableDiff:
    """Compare a target of this environment with that of another one.

    Args:
        context: The project in this environment.
        target: The target.
        against: The other environment.
        key: Columns that rows are matched by, in place of the row's business key.
        share: Share of the keys to compare, the same ones on both sides.
        most_rows: Compare no more than about this number of rows of a table with a key: a larger one by a share.
        example_count: Examples of each kind.

    Raises:
        RequestError: When there is no such target, no common key, or no way to see both tables.
        HardRunError: When a table is missing, or the warehouse refuses the comparison.
    """
    rows = context.store.usable_rows()
    row = rows.transformation(target)
    if row is None:
        raise unknown_target(str(target), rows)
    with open_sides(context, target, against) as (warehouse, here, there):
        compared = _compared(row, here, there, tuple(key) or row.business_key, share)
        if most_rows is not None and compared.key:
            compared = replace(compared, share=min(share, most_rows / max(most_rows, _rows_of(warehouse, here, there))))
        return _found(warehouse, row, compared, (here, there), example_count)


def _rows_of(warehouse: Warehouse, *sides: Side) -> int:
    counts = (warehouse.query(f"select count(*) from {side.relation}") for side in sides)  # noqa: S608 - quoted names
    return max(int(count) for ((count,),) in counts)


def compare_tables(
    warehouse: Warehouse, row: TransformationRow, here: Side, there: Side, *, example_count: int, is_timed: bool = True
) -> TableDiff:
    """Compare two tables of one target.

    Args:
        warehouse: A connection that sees both.
        row: The target.
        here: One of them.
        there: The other one.
        example_count: Examples of each kind.
        is_timed: Whether the bounds of a history are compared; False: they are the times of two loads.

    Raises:
        RequestError: When they have no common key or column.
        HardRunError: When the warehouse refuses the comparison.
    """
    compared = _compared(row, here, there, row.business_key, 1.0)
    if not is_timed and compared.is_history:
        key = (*row.business_key, *(["is_current"] if "is_current" in here.columns else []))
        compared = replace(compared, key=key, is_history=False)
    return _found(warehouse, row, compared, (here, there), example_count)


def _found(
    warehouse: Warehouse, row: TransformationRow, compared: Compared, sides: tuple[Side, Side], example_count: int
) -> TableDiff:
    if not compared.key:
        return _unkeyed(warehouse, row, compared, *sides)
    found = _keyed(warehouse, row, compared, *sides)
    return replace(found, examples=tuple(_examples(warehouse, compared, found, example_count)))


def _compared(row: TransformationRow, here: Side, there: Side, key: tuple[str, ...], share: float) -> Compared:
    common = [name for name in here.columns if name in there.columns]
    missing = [name for name in key if name not in common]
    if missing:
        raise RequestError(
            f"{row.key} has no common key: {', '.join(missing)} is not a column of both tables.",
            "Name columns that both have: --key id.",
        )
    is_history = row.load_type is LoadType.SCD2 and set(statements.HISTORY) <= set(common)
    own = {*key, *(VERSION_COLUMNS if is_history else ())}
    content = [name for name in common if name not in own and not name.startswith(RESERVED_PREFIX)]
    casts = {name for name in common if compared_as_text(here.columns[name], there.columns[name])}
    return Compared(here.relation, there.relation, key, tuple(content), frozenset(casts), is_history, share)


def _keyed(warehouse: Warehouse, row: TransformationRow, compared: Compared, here: Side, there: Side) -> TableDiff:
    counts, faults = {}, {}
    for side in (here, there):
        ((total, nulls, doubles),) = warehouse.query(statements.key_faults(compared, side.relation))
        counts[side.environment] = int(total)
        faults[side.environment] = KeyFaults(int(nulls), int(doubles))
    ((only_here, only_there, changed, moved, equal, *by_column),) = warehouse.query(statements.totals(compared))
    both = int(changed) + int(equal) + int(moved)
    columns = [
        ColumnDifference(name, int(count), int(count) / both)
        for name, count in zip(compared.content, by_column, strict=True)
        if int(count)
    ]
    return TableDiff(
        target=row.key,
        here=here.environment,
        there=there.environment,
        key=compared.match,
        rows_here=counts[here.environment],
        rows_there=counts[there.environment],
        equal=int(equal),
        changed=int(changed),
        moved=int(moved),
        only_here=int(only_here),
        only_there=int(only_there),
        columns=tuple(sorted(columns, key=lambda item: (-item.count, item.name))),
        schema=tuple(_schema(here, there)),
        key_faults=faults,
        sampled=compared.share,
    )


def _unkeyed(warehouse: Warehouse, row: TransformationRow, compared: Compared, here: Side, there: Side) -> TableDiff:
    """Compare a table without a key: as a bag of rows."""
    if not compared.content:
        raise RequestError(f"{row.key} has no column in both tables.", "Compare tables of one definition.")
    ((rows_here, rows_there, both),) = warehouse.query(statements.unkeyed(compared))
    return TableDiff(
        target=row.key,
        here=here.environment,
        there=there.environment,
        key=(),
        rows_here=int(rows_here),
        rows_there=int(rows_there),
        equal=int(both),
        changed=0,
        moved=0,
        only_here=int(rows_here) - int(both),
        only_there=int(rows_there) - int(both),
        schema=tuple(_schema(here, there)),
    )


def _schema(here: Side, there: Side) -> Iterator[SchemaDifference]:
    for name in dict.fromkeys([*here.columns, *there.columns]):
        types = here.columns.get(name), there.columns.get(name)
        if types[0] != types[1] and not name.startswith(RESERVED_PREFIX):
            yield SchemaDifference(name, *types)


def _examples(warehouse: Warehouse, compared: Compared, found: TableDiff, count: int) -> Iterator[Example]:
    states = {
        "changed": found.changed,
        "moved": found.moved,
        "only_here": found.only_here,
        "only_there": found.only_there,
    }
    names, width = statements.shown_columns(compared), len(compared.match)
    for state in (name for name, number in states.items() if number and count):
        for values in warehouse.query(statements.examples(compared, state, count)):
            key, rest = tuple(values[:width]), values[width:]
            if state in {"only_here", "only_there"}:
                yield Example(state, key)
                continue
            for number, name in enumerate(names):
                one, other = rest[2 * number], rest[2 * number + 1]
                if one != other:
                    yield Example(state, key, name, _text(one), _text(other))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
