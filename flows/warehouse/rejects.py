"""Rejected rows: how many a target has after a load, and the command that loads them once their cause is corrected.

A load writes rows that it cannot load to the rejects table, continues, and moves the watermark. No later run reads them
again. So every summary of loads includes the number of rejects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flows.warehouse.bounds import parse_bound
from flows.warehouse.connection import union_all
from flows.warehouse.load_log import LoggedLoad, companion_table, tables_in
from flows.warehouse.profile import SLUICE_SCHEMA, Profile
from metadata_sync.loads import Rejects, to_second
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import Increment

if TYPE_CHECKING:
    from sqlglot import exp

    from flows.warehouse.connection import Row, Warehouse

_REASON_LENGTH: Final = 200


def with_rejects(
    warehouse: Warehouse,
    profile: Profile,
    rows: ControlRows,
    loads: Sequence[LoggedLoad],
    rejecting: Collection[str] = (),
) -> tuple[LoggedLoad, ...]:
    """Return loads with the counts of their targets' rejects; targets that cannot have any are not queried.

    Args:
        warehouse: Read-only connection.
        profile: Maps schemas to their names in the warehouse.
        rows: The environment's rows.
        loads: The loads of the load log.
        rejecting: Targets that had rejects before.
    """
    by_name = {str(row.name): row for row in rows.transformations}
    queried = [
        load for load in loads if load.target in by_name and (load.rows.rejected > 0 or load.target in rejecting)
    ]
    schema = profile.physical_schema(SLUICE_SCHEMA)
    standing = tables_in(warehouse, {schema}) if queried else frozenset()
    queried = [load for load in queried if (schema, _table(load.target)) in standing]  # a person may have dropped it
    if not queried:
        return tuple(loads)
    selects = [_count(schema, load).sql(warehouse.dialect) for load in queried]
    counted = {row[0]: row[1:] for row in warehouse.query(union_all(selects))}
    starts = _starts(warehouse, schema, {first for *_, first in counted.values() if first is not None})
    return tuple(
        replace(load, rejects=_rejects(schema, by_name[load.target], rows, counted[load.load_id], starts))
        if load.load_id in counted
        else load
        for load in loads
    )


def _count(schema: str, load: LoggedLoad) -> exp.Select:
    """Return a query of a target's rejects: their number, those of this load, one reason, and the oldest load's id."""
    from sqlglot import exp

    table = exp.table_(_table(load.target), db=schema, quoted=True)
    is_own = exp.column("load_id").eq(load.load_id)
    return exp.select(
        exp.Literal.string(load.load_id),
        exp.Count(this=exp.Star()),
        exp.Count(this=exp.Case().when(is_own, exp.Literal.number(1))),
        exp.Min(this=exp.Case().when(is_own.copy(), exp.column("reason"))),
        exp.Min(this=exp.column("load_id")),
    ).from_(table)


def _table(target: str) -> str:
    return companion_table(TableName.parse(target), "rejects")


def _starts(warehouse: Warehouse, schema: str, load_ids: Collection[str]) -> Mapping[str, str | None]:
    """Return the least key that each load read; None: it read from the beginning or in full."""
    if not load_ids:
        return {}
    from sqlglot import exp

    query = (
        exp.select("load_id", "window_start")
        .from_(exp.table_("load_log", db=schema, quoted=True))
        .where(exp.column("load_id").isin(*sorted(load_ids)))
    )
    found: dict[str, list[str | None]] = {}
    for load_id, start in warehouse.query(query):
        found.setdefault(load_id, []).append(start)
    return {load_id: _least(starts) for load_id, starts in found.items()}


def _least(bounds: Iterable[str | None]) -> str | None:
    known = [bound for bound in bounds if bound is not None]
    try:
        return min(known, key=lambda bound: parse_bound(bound).position, default=None)
    except (TypeError, ValueError):  # sources with keys of different kinds, or change tokens
        return None


def _rejects(
    schema: str,
    row: TransformationRow,
    rows: ControlRows,
    counted: Row,
    starts: Mapping[str, str | None],
) -> Rejects:
    kept, added, reason, first = counted
    return Rejects(
        table=f"{schema}.{_table(row.key)}",
        kept=kept,
        added=added,
        reason=None if reason is None else reason[:_REASON_LENGTH],
        again=load_again(row, rows, starts.get(first)),
    )


def load_again(row: TransformationRow, rows: ControlRows, start: str | None) -> str:
    """Return the command that loads rejected rows again, once their cause is corrected.

    Args:
        row: The target's row.
        rows: The environment's rows.
        start: Least key that the oldest of their loads read; None: it read from the beginning.
    """
    if row.increment is Increment.FULL:
        return f"sluice run {row.pipeline_id} --force"
    is_keyed = any(
        item.is_driving and not item.is_managed and item.incremental_key is not None
        for item in resolve_dependencies(row, rows)
    )
    if start is None or not is_keyed:
        return f"sluice dbt build --full-refresh --select {row.name.model_name}"
    return f"sluice backfill {row.name} --from '{to_second(start)}'"
