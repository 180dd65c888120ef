"""Resolve a transformation's settings with the defaults of the rows that it refers to: keys, windows, order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Final

from metadata_sync.errors import RequestError
from metadata_sync.rows.model import Column, ControlRows, Dependency, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName, is_expression
from metadata_sync.rows.vocabulary import Increment, LoadType, OnRemovedFiles, Template

LOADED_AT: Final = "_sluice_loaded_at"
"""When a load wrote the row (UTC); the incremental key of readers of a managed source."""

RUN_ID: Final = "_sluice_run_id"
EFFECTIVE_AT: Final = "_sluice_effective_at"
RESERVED_PREFIX: Final = "_sluice_"
VERSION_COLUMNS: Final = ("valid_from", "valid_to", "is_current")

_MANAGED_SKEW_MINUTES: Final = SourceRow.model_fields["max_skew_minutes"].default


@dataclass(frozen=True, slots=True)
class ResolvedDependency:
    """A table that a SELECT reads, with the settings for this reader.

    Attributes:
        name: The table.
        is_driving: Whether it is windowed and gated on.
        is_managed: Whether it is the target of another transformation.
        incremental_key: Column that bounds windows; None: a lookup, or a table that is read in full and gated by a
            change token.
        recompute_by: Columns of the groups that are recomputed.
        lookback_minutes: How far below the watermark a window begins.
        max_skew_minutes: How far in the future a row's key may be; later rows are left out.
        restates: Whether it is a lookup whose changes derive rows again: then it is gated on, too.
        may_drop: Whether it is a lookup that may leave driving rows out.
        removes_files: Whether rows of files that are gone are removed (`on_removed_files`).
        file_column: Column of a lake source that names each row's file.
    """

    name: TableName
    is_driving: bool
    is_managed: bool
    incremental_key: str | None
    recompute_by: tuple[str, ...]
    lookback_minutes: int
    max_skew_minutes: int
    restates: bool = False
    may_drop: bool = False
    removes_files: bool = False
    file_column: str | None = None

    @property
    def is_watched(self) -> bool:
        """Whether the gate asks it for news, and loads record how far they have seen it."""
        return self.is_driving or self.restates

    @property
    def relation(self) -> str:
        """The dbt expression of the table."""
        if self.is_managed:
            return f"ref('{self.name.model_name}')"
        return f"source('{self.name.schema}', '{self.name.table}')"

    @property
    def jinja(self) -> str:
        """The Jinja expression that replaces the table's name in the model."""
        return f"{{{{ sluice.{'increment' if self.is_driving else 'whole'}({self.relation}) }}}}"


def resolve_dependencies(row: TransformationRow, rows: ControlRows) -> tuple[ResolvedDependency, ...]:
    """Resolve the dependencies whose table is declared; validation reports the others."""
    found = (_resolve(dependency, row, rows) for dependency in row.dependencies)
    return tuple(item for item in found if item is not None)


def _resolve(dependency: Dependency, row: TransformationRow, rows: ControlRows) -> ResolvedDependency | None:
    try:
        name = TableName.parse(dependency.table)
    except ValueError:
        return None
    source = rows.source(name)
    is_managed = rows.transformation(name) is not None
    if source is None and not is_managed:
        return None
    key: str | None
    if is_managed or source is None:
        key = LOADED_AT
        lookback, skew = 0, _MANAGED_SKEW_MINUTES
    else:
        own = row.incremental_key if dependency.driving else None
        key = dependency.incremental_key or own or source.incremental_key
        lookback, skew = source.lookback_minutes, source.max_skew_minutes
    return ResolvedDependency(
        name=name,
        is_driving=dependency.driving,
        is_managed=is_managed,
        incremental_key=key if dependency.driving or dependency.restates else None,
        recompute_by=dependency.recompute_by,
        lookback_minutes=lookback if dependency.lookback_minutes is None else dependency.lookback_minutes,
        max_skew_minutes=skew,
        restates=dependency.restates,
        may_drop=dependency.may_drop,
        removes_files=source is not None and source.on_removed_files is OnRemovedFiles.REMOVE,
        file_column=None if source is None else source.file_column,
    )


def unknown_target(target: str, rows: ControlRows) -> RequestError:
    """Return the error for a target that no row declares; it names those that there are."""
    known = ", ".join(sorted(str(row.name) for row in rows.transformations))
    return RequestError(f"There is no transformation {target!r} in this environment.", f"It has: {known or 'none'}.")


def reached_from(targets: Collection[str], readers: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the readers of tables, directly or through other readers, without the tables themselves.

    Args:
        targets: The tables, as `schema.table`.
        readers: Table → the targets that read it.
    """
    reached: set[str] = set()
    todo = list(targets)
    while todo:
        more = set(readers.get(todo.pop(), ())) - reached
        reached |= more
        todo += more
    return reached - set(targets)


def model_reads(row: TransformationRow, rows: ControlRows) -> tuple[ResolvedDependency, ...]:
    """Return the dependencies as the model reads them: a materialized view reads everything in full."""
    reads = resolve_dependencies(row, rows)
    return tuple(replace(item, is_driving=False) for item in reads) if is_view(row, rows) else reads


def window_key(row: TransformationRow, rows: ControlRows) -> str | None:
    """Return the incremental key of the row's only driving source, or None with several sources or without a key."""
    driving = [item for item in resolve_dependencies(row, rows) if item.is_driving]
    return driving[0].incremental_key if len(driving) == 1 else None


def file_identity(row: TransformationRow, rows: ControlRows) -> str | None:
    """Return the column that names the file of each row, where files are what a load replaces; None: they are not.

    That is an append without a business key over a lake source without an incremental key.
    """
    if row.load_type is not LoadType.APPEND or row.business_key or row.increment is not Increment.ROWS:
        return None
    driving = [item for item in resolve_dependencies(row, rows) if item.is_driving]
    is_only = len(driving) == 1 and driving[0].incremental_key is None
    return driving[0].file_column if is_only else None


def history_start(row: TransformationRow) -> str | None:
    """Return `backfill_start` as a window bound in UTC; None: the history begins with its source."""
    start = row.backfill_start
    if start is None or isinstance(start, int):
        return None if start is None else str(start)
    utc = start if start.tzinfo is None else start.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(" ", "microseconds")


def sequence_columns(row: TransformationRow, rows: ControlRows, columns: Collection[str]) -> tuple[str, ...]:
    """Return the output columns that order a key's events; empty: the load time orders them.

    With `increment: rows` the incremental key is the default; where a load replaces files, it is the file. A
    recomputed group or a full read shows the current state, independent of the timestamps in it, so the load time
    orders unless the row names columns.

    Args:
        row: The transformation.
        rows: All rows.
        columns: The SELECT's output columns.
    """
    file_column = file_identity(row, rows)
    if file_column is not None:
        return (file_column,) if file_column in columns else ()
    if row.sequence_by or row.increment is not Increment.ROWS:
        return row.sequence_by
    key = window_key(row, rows)
    return (key,) if key is not None and key in columns else ()


def recompute_columns(row: TransformationRow) -> tuple[str, ...]:
    """Return the output columns that identify the recomputed group; empty unless `increment: groups`."""
    if row.increment is not Increment.GROUPS:
        return ()
    by_source = [item.recompute_by for item in row.driving if item.recompute_by]
    if row.recompute_key or not by_source:
        return row.recompute_key
    columns = zip(*by_source, strict=False)  # of different lengths: a fault
    return tuple(next((text for text in texts if not is_expression(text)), texts[0]) for texts in columns)


def added_columns(row: TransformationRow, rows: ControlRows, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns that the materialization adds after the SELECT's."""
    if is_view(row, rows):
        return ()
    sequence = sequence_columns(row, rows, {column.name for column in columns})
    if row.increment is not Increment.ROWS:  # the load time orders recomputed groups and full reads
        sequence = ()
    time = next((column.type for column in columns if sequence and column.name == sequence[0]), "timestamp")
    added = []
    if row.load_type is LoadType.SCD2:
        added += [("valid_from", time), ("valid_to", time), ("is_current", "boolean")]
    added += [(RUN_ID, "varchar(64)"), (LOADED_AT, "timestamp")]
    if not sequence:
        added.append((EFFECTIVE_AT, "timestamp"))
    return tuple(Column(name=name, type=type_) for name, type_ in added)


def is_view(row: TransformationRow, rows: ControlRows) -> bool:
    """Tell whether the target is a materialized view."""
    pipeline = rows.pipeline(row.pipeline_id)
    return pipeline is not None and pipeline.template is Template.MATERIALIZED_VIEW


def is_active(row: TransformationRow, rows: ControlRows) -> bool:
    """Tell whether the row and its pipeline are active."""
    pipeline = rows.pipeline(row.pipeline_id)
    return row.is_active and (pipeline is None or pipeline.is_active)


def fingerprint(row: TransformationRow, sequence_by: Sequence[str]) -> str:
    """Return a hash of the settings that determine a target's rows; when it changes, the target must be rebuilt."""
    settings = [row.load_type.value, row.business_key, list(sequence_by), sorted(row.scd_columns)]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]
