"""The journals of decisions and loads: append-only, ordered as they were written, independent of clocks."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from metadata_sync.database.engine import lock_writers, new_id, to_utc
from metadata_sync.database.journals.entries import (
    DecisionEntry,
    LatestLoads,
    LoadEntry,
    LoadStatus,
    LoadTotal,
)
from metadata_sync.database.tables import decision_log, run_log, transformation_control
from metadata_sync.loads import ClusterCost, DrivingRows, Rejects, RowCounts, Window
from metadata_sync.redact import redact, redact_text

_TARGETS_PER_QUERY: Final = 500


def append_decisions(connection: Connection, environment: str, entries: Sequence[DecisionEntry]) -> None:
    """Store decisions, with secrets masked."""
    rows = [
        {
            **_simple_fields(entry, "evidence"),
            "environment": environment,
            "decision_id": new_id(entry.decided_at),
            "decided_at": to_utc(entry.decided_at),
            "message": redact_text(entry.message),
            "evidence": redact(_plain(entry.evidence)),
        }
        for entry in entries
    ]
    _append(connection, decision_log, environment, rows)


def append_loads(connection: Connection, environment: str, entries: Sequence[LoadEntry]) -> None:
    """Store summaries of loads, with secrets masked."""
    rows = [
        {
            **_simple_fields(entry, "windows", "rows", "cluster", "rejects", "driving_rows"),
            "environment": environment,
            "entry_id": new_id(entry.finished_at),
            "status": entry.status.value,
            "started_at": to_utc(entry.started_at),
            "finished_at": to_utc(entry.finished_at),
            "loaded_at": None if entry.loaded_at is None else to_utc(entry.loaded_at),
            "windows": [asdict(window) for window in entry.windows],
            **_count_columns(entry.rows),
            **_cost_columns(entry.cluster),
            "rejects": None if entry.rejects is None else redact(asdict(entry.rejects)),
            "driving_rows": None if entry.driving_rows is None else _plain(asdict(entry.driving_rows)),
            "error_message": None if entry.error_message is None else redact_text(entry.error_message),
        }
        for entry in entries
    ]
    _append(connection, run_log, environment, rows)


def load_totals(connection: Connection, environment: str) -> dict[str, LoadTotal]:
    """Return what the loads of each target took that are still in the log."""
    load = run_log.c
    query = (
        select(load.target, func.sum(load.rows_read), func.sum(load.seconds))
        .where(load.environment == environment, load.status == LoadStatus.SUCCESS.value, load.rows_read.is_not(None))
        .group_by(load.target)
    )
    return {target: LoadTotal(int(rows), float(seconds)) for target, rows, seconds in connection.execute(query)}


def latest_loads(connection: Connection, environment: str, targets: Collection[str] | None = None) -> LatestLoads:
    """Return the last loads of targets that have a row, None: of all; one index lookup per target and status."""
    if targets is not None:
        found = [_latest_loads(connection, environment, some) for some in _batches(targets)]
        return LatestLoads(
            newest=tuple(entry for loads in found for entry in loads.newest),
            successful=tuple(entry for loads in found for entry in loads.successful),
        )
    return _latest_loads(connection, environment, None)


def _latest_loads(connection: Connection, environment: str, targets: Sequence[str] | None) -> LatestLoads:
    ways = union_all(*(select(literal(status.value).label("status")) for status in LoadStatus)).subquery()
    row, load = transformation_control.c, run_log.c
    newest = (
        select(func.max(load.position))
        .where(
            load.environment == environment,
            load.target == row.target_schema + "." + row.target_table,
            load.status == ways.c.status,
        )
        .scalar_subquery()
    )
    places = (
        select(newest.label("position"))
        .where(row.environment == environment, _is_asked(targets))
        .select_from(transformation_control.join(ways, true()))
        .subquery()
    )
    query = (
        select(run_log)
        .join(places, load.position == places.c.position)
        .where(load.environment == environment)
        .order_by(load.target, load.position)
    )
    entries = [_load(found) for found in connection.execute(query).mappings()]
    return LatestLoads(
        newest=tuple({entry.target: entry for entry in entries}.values()),
        successful=tuple(entry for entry in entries if entry.status is LoadStatus.SUCCESS),
    )


def recorded_loads(connection: Connection, environment: str, loads: Mapping[str, str]) -> frozenset[str]:
    """Return which of the loads are in the run log."""
    columns = run_log.c
    query = select(columns.load_id).where(
        columns.environment == environment,
        columns.target.in_(loads.keys()),
        columns.load_id.in_(loads.values()),
    )
    return frozenset(connection.execute(query).scalars())


def latest_decisions(
    connection: Connection, environment: str, target: str | None, before: datetime | None, limit: int
) -> tuple[DecisionEntry, ...]:
    """Return decisions, newest first."""
    columns = decision_log.c
    query = select(decision_log).where(columns.environment == environment)
    if target is not None:
        query = query.where(columns.target == target)
    if before is not None:
        query = query.where(columns.decided_at <= to_utc(before))
    query = query.order_by(columns.position.desc()).limit(limit)
    return tuple(_decision(row) for row in connection.execute(query).mappings())


def load_at(
    connection: Connection, environment: str, target: str, run_id: str, before: datetime | None
) -> LoadEntry | None:
    """Return a run's load of a target; without one, the last load before."""
    columns = run_log.c
    is_known = columns.finished_at <= to_utc(before) if before is not None else true()
    query = (
        select(run_log)
        .where(columns.environment == environment, columns.target == target)
        .where(or_(columns.run_id == run_id, is_known))
        .order_by((columns.run_id == run_id).desc(), columns.position.desc())
        .limit(1)
    )
    found = connection.execute(query).mappings().one_or_none()
    return None if found is None else _load(found)


def last_decisions(
    connection: Connection, environment: str, targets: Collection[str] | None = None
) -> tuple[DecisionEntry, ...]:
    """Return the last decision on targets that have a row, None: on all, by target; one index lookup per target."""
    if targets is not None:
        return tuple(entry for some in _batches(targets) for entry in _last_decisions(connection, environment, some))
    return _last_decisions(connection, environment, None)


def _last_decisions(
    connection: Connection, environment: str, targets: Sequence[str] | None
) -> tuple[DecisionEntry, ...]:
    row, decision = transformation_control.c, decision_log.c
    of_target = decision_log.alias().c
    newest = select(func.max(of_target.position)).where(
        of_target.environment == environment, of_target.target == row.target_schema + "." + row.target_table
    )
    # IN, not a join: joined by the position, SQLite compares every decision with every target.
    places = select(newest.correlate(transformation_control).scalar_subquery()).where(
        row.environment == environment, _is_asked(targets)
    )
    query = (
        select(decision_log)
        .where(decision.environment == environment, decision.position.in_(places))
        .order_by(decision.target)
    )
    return tuple(_decision(found) for found in connection.execute(query).mappings())


def _batches(targets: Collection[str]) -> Iterator[Sequence[str]]:
    """Yield targets in the order of their names, as many at once as a statement may name."""
    ordered = sorted(set(targets))
    for begin in range(0, len(ordered), _TARGETS_PER_QUERY):
        yield ordered[begin : begin + _TARGETS_PER_QUERY]


def _is_asked(targets: Sequence[str] | None) -> ColumnElement[bool]:
    """Return the condition that a row's target is one of those asked for; None: all are."""
    if targets is None:
        return true()
    row = transformation_control.c
    names = [tuple(target.split(".", 1)) for target in targets if "." in target]
    return tuple_(row.target_schema, row.target_table).in_(names)


def waiting_since(
    connection: Connection, environment: str, targets: Collection[str], reason: str
) -> dict[str, datetime]:
    """Return since when targets wait for a reason: the first such decision after their last successful load."""
    decided, loaded = decision_log.c, run_log.c
    has_loaded_since = (
        select(loaded.entry_id)
        .where(
            loaded.environment == environment,
            loaded.target == decided.target,
            loaded.finished_at >= decided.decided_at,
            loaded.status == LoadStatus.SUCCESS.value,
        )
        .exists()
    )
    query = (
        select(decided.target, func.min(decided.decided_at))
        .where(decided.environment == environment, decided.target.in_(sorted(targets)), decided.reason == reason)
        .where(~has_loaded_since)
        .group_by(decided.target)
    )
    return {target: instant.replace(tzinfo=UTC) for target, instant in connection.execute(query)}


def _append(connection: Connection, log: Table, environment: str, rows: Sequence[dict[str, Any]]) -> None:
    """Append rows to a log; other writers wait for the end of this transaction."""
    lock_writers(connection)
    last = select(func.coalesce(func.max(log.c.position), 0)).where(log.c.environment == environment)
    first = connection.execute(last).scalar_one() + 1
    connection.execute(insert(log), [{**row, "position": place} for place, row in enumerate(rows, first)])


def _simple_fields(entry: DecisionEntry | LoadEntry, *others: str) -> dict[str, Any]:
    return {field.name: getattr(entry, field.name) for field in fields(entry) if field.name not in others}


def _load(row: Mapping[Any, Any]) -> LoadEntry:
    apart = {"rows", "cluster", "rejects", "driving_rows"}
    values = {field.name: row[field.name] for field in fields(LoadEntry) if field.name not in apart}
    values |= {name: _with_zone(values[name]) for name in ("started_at", "finished_at", "loaded_at")}
    values["status"] = LoadStatus(values["status"])
    values["windows"] = tuple(Window(**window) for window in values["windows"])
    rejects = None if row["rejects"] is None else Rejects(**row["rejects"])
    driving_rows = None if row["driving_rows"] is None else DrivingRows.of(row["driving_rows"])
    return LoadEntry(**values, rows=_counts(row), cluster=_cost(row), rejects=rejects, driving_rows=driving_rows)


def _count_columns(rows: RowCounts | None) -> dict[str, int | None]:
    return {f"rows_{field.name}": getattr(rows, field.name, None) for field in fields(RowCounts)}


def _counts(row: Mapping[Any, Any]) -> RowCounts | None:
    if row["rows_read"] is None:
        return None
    return RowCounts(**{field.name: row[f"rows_{field.name}"] or 0 for field in fields(RowCounts)})


def _cost_columns(cost: ClusterCost | None) -> dict[str, Any]:
    return {
        "cluster_seconds": cost.seconds if cost else None,
        "cluster_usd": cost.usd if cost else None,
        "prices_as_of": cost.prices_as_of if cost else None,
    }


def _cost(row: Mapping[Any, Any]) -> ClusterCost | None:
    if row["cluster_seconds"] is None:
        return None
    return ClusterCost(row["cluster_seconds"], row["cluster_usd"], row["prices_as_of"])


def _decision(row: Mapping[Any, Any]) -> DecisionEntry:
    values = {field.name: row[field.name] for field in fields(DecisionEntry)}
    return DecisionEntry(**values | {"decided_at": _with_zone(values["decided_at"])})


def _with_zone(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=UTC)


def _plain(value: Mapping[str, Any]) -> Any:
    """Return evidence as JSON values; other types become text."""
    return json.loads(json.dumps(dict(value), default=str))
