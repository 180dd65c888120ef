"""Read the warehouse's record of loads: existing targets, watermarks, heads, and the load log.

A head holds the definition of its target: how the target is built. The macros write it (macros/load/definition.sql).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from flows.warehouse.connection import CHUNK_SIZE, NO_NUMBER, Row, Warehouse, as_text, literal, union_all
from flows.warehouse.definition import derivation_of, is_redefined, tracks_of
from flows.warehouse.profile import SLUICE_SCHEMA, Profile
from metadata_sync.loads import DrivingRows, FileRead, Rejects, RowCounts, Watermark, Window
from metadata_sync.rows.names import TableName, quote_identifier

_COUNTS: Final = (
    "rows_read",
    "rows_inserted",
    "rows_updated",
    "rows_closed",
    "rows_deleted",
    "rows_rejected",
    "tie_count",
)
_MAX_NAME_LENGTH: Final = 63
_HASH_LENGTH: Final = 8
_VIEW_CATALOGS: Final = {
    "postgres": ("pg_catalog.pg_matviews", "schemaname", "matviewname"),
    "redshift": ("information_schema.views", "table_schema", "table_name"),
}
"""The catalog that lists materialized views by dialect: relation, column of the schema, column of the name.

Redshift's is the one in which dbt-redshift finds them, in a union with information_schema.tables as here; a union with
SVV_MV_INFO is not known to run there."""


@dataclass(frozen=True, slots=True)
class Head:
    """The one-row head of a target.

    Attributes:
        loaded_at: `_sluice_loaded_at` of its newest load that changed rows; None when there is none.
        fingerprint: Fingerprint of the configuration that the table was built with.
        tracks: The columns whose changes start a new version, as the macro `tracking` writes them.
        epoch: Incremented by every rebuild; a downstream target that saw another epoch reads in full once.
        definition: How the target is built and what derived its newest rows, as the macro `definition` writes it.
    """

    loaded_at: str | None
    fingerprint: str | None
    tracks: str | None
    epoch: int | None
    definition: str | None = None

    @property
    def is_redefined(self) -> bool:
        """Whether another SELECT than the first has derived rows of the target."""
        return is_redefined(derivation_of(self.definition or "")[0])


@dataclass(frozen=True, slots=True)
class WarehouseState:
    """Existing tables, watermarks and heads.

    Attributes:
        existing: Targets whose table exists in the warehouse.
        watermarks: (target, source) → watermark.
        last_loads: Target → id of the newest load that moved a watermark.
        heads: Target → its head, for the requested targets.
        files: (target, lake source) → name → the file as it was read, for the requested targets.
    """

    existing: frozenset[TableName] = frozenset()
    watermarks: Mapping[tuple[str, str], Watermark] = field(default_factory=dict)
    last_loads: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, Head] = field(default_factory=dict)
    files: Mapping[tuple[str, str], Mapping[str, FileRead]] = field(default_factory=dict)

    @property
    def logged(self) -> Set[str]:
        """Targets with an entry in the load log."""
        return self.last_loads.keys()


@dataclass(frozen=True, slots=True)
class LoggedLoad:
    """One load of the load log.

    The counts are those of the load; `rejects` is the target's current total; `definition` says what derived the rows,
    `<number>:<hash>`, None for a materialized view.
    `driving_rows` is None when they were not counted.
    """

    target: str
    load_id: str
    run_id: str
    windows: tuple[Window, ...]
    rows: RowCounts
    loaded_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    rejects: Rejects | None = None
    definition: str | None = None
    driving_rows: DrivingRows | None = None


def read_state(
    warehouse: Warehouse,
    profile: Profile,
    targets: Collection[TableName],
    decided: Collection[TableName],
    asked: Collection[TableName] | None = None,
) -> WarehouseState:
    """Read which tables exist, then the watermarks and heads in as few statements as possible.

    Args:
        warehouse: Read-only connection.
        profile: Maps schemas to their names in the warehouse.
        targets: The targets of all rows.
        decided: The targets whose heads are read: those to decide on, and the managed sources of these.
        asked: Only the watermarks of `decided` are read, unless one of these has none: it may be the new name of any
            target. None: the watermarks of all.
    """
    sluice_schema = profile.physical_schema(SLUICE_SCHEMA)
    schemas = {sluice_schema, *(profile.physical_schema(name.schema) for name in targets)}
    standing = tables_in(warehouse, schemas)
    existing = _existing(targets, standing, profile)
    if (sluice_schema, "load_log") not in standing:
        return WarehouseState(existing)
    heads = [name for name in sorted(decided) if (sluice_schema, companion_table(name, "head")) in standing]
    state = _read_marks(warehouse, existing, sluice_schema, heads, None if asked is None else decided)
    if asked is not None and not state.logged >= {str(name) for name in asked}:
        state = _read_marks(warehouse, existing, sluice_schema, heads, None)
    if (sluice_schema, "lake_files") not in standing or not decided:
        return state
    return replace(state, files=files_read(warehouse, sluice_schema, decided))


def _read_marks(
    warehouse: Warehouse,
    existing: frozenset[TableName],
    sluice_schema: str,
    heads: Sequence[TableName],
    targets: Collection[TableName] | None,
) -> WarehouseState:
    rows = (row for query in _state_queries(sluice_schema, heads, targets) for row in warehouse.query(query))
    return _collect(existing, rows)


def files_read(
    warehouse: Warehouse, sluice_schema: str, targets: Collection[TableName]
) -> dict[tuple[str, str], dict[str, FileRead]]:
    """Return which files targets have read: (target, source) → name → as the newest load of the file noted it.

    Args:
        warehouse: Read-only connection to a warehouse with the table `lake_files`.
        sluice_schema: Sluice's schema in the warehouse.
        targets: The targets.
    """
    query = (
        "select target, source, name, version, future_from, load_id, loaded_at from (select *, row_number() over "
        "(partition by target, source, name order by loaded_at desc) as place "
        f"from {quote_identifier(sluice_schema)}.lake_files "
        f"where target in ({', '.join(literal(str(target)) for target in sorted(targets))})) as noted "
        "where place = 1 and version <> ''"  # an empty one is noted as gone
    )
    found: dict[tuple[str, str], dict[str, FileRead]] = {}
    for target, source, name, version, future_from, load_id, loaded_at in warehouse.query(query):
        read = FileRead(version, future_from or None, load_id, loaded_at)
        found.setdefault((target, source), {})[name] = read
    return found


def existing_tables(warehouse: Warehouse, profile: Profile, targets: Collection[TableName]) -> frozenset[TableName]:
    """Return the targets whose table exists in the warehouse."""
    schemas = {profile.physical_schema(name.schema) for name in targets}
    return _existing(targets, tables_in(warehouse, schemas), profile)


def _existing(
    targets: Collection[TableName], standing: frozenset[tuple[str, str]], profile: Profile
) -> frozenset[TableName]:
    return frozenset(name for name in targets if (profile.physical_schema(name.schema), name.table) in standing)


def read_loads(
    warehouse: Warehouse,
    profile: Profile,
    *,
    run_id: str | None = None,
    load_ids: Collection[str] = (),
    since: datetime | None = None,
) -> tuple[LoggedLoad, ...]:
    """Read loads from the load log.

    Args:
        warehouse: Read-only connection.
        profile: Maps schemas to their names in the warehouse.
        run_id: All loads of this run.
        load_ids: These loads.
        since: Only loads that began at this instant or later, UTC.
    """
    sluice_schema = profile.physical_schema(SLUICE_SCHEMA)
    if (sluice_schema, "load_log") not in tables_in(warehouse, {sluice_schema}):
        return ()
    from sqlglot import exp

    wanted: list[exp.Condition] = []
    if run_id is not None:
        wanted.append(exp.column("run_id").eq(run_id))
    if load_ids:
        wanted.append(exp.column("load_id").isin(*sorted(load_ids)))
    if not wanted:
        return ()
    began = [] if since is None else [exp.column("started_at") >= exp.Literal.string(f"{since:%Y-%m-%d %H:%M:%S.%f}")]
    query = (
        exp.select(
            *["target", "load_id", "run_id", "source", "window_start", "window_end", *_COUNTS],
            *["loaded_at", "started_at", "finished_at", "definition", "driving_rows"],
        )
        .from_(exp.table_("load_log", db=sluice_schema, quoted=True))
        .where(exp.or_(*wanted), *began)
        .order_by("finished_at", "load_id", "source")
    )
    return _loads(warehouse.query(query))


def tables_in(warehouse: Warehouse, schemas: Collection[str]) -> frozenset[tuple[str, str]]:
    """Return (schema, name) of existing tables, views and materialized views, asked in one statement."""
    catalogs = [("information_schema.tables", "table_schema", "table_name")]
    own = " and table_catalog = current_database()" if warehouse.dialect == "duckdb" else ""  # not of attached files
    if warehouse.dialect in _VIEW_CATALOGS:
        catalogs.append(_VIEW_CATALOGS[warehouse.dialect])
    names = ", ".join(map(literal, sorted(schemas)))
    query = union_all(
        [
            f"select {as_text(schema)}, {as_text(name)} from {catalog} where {schema} in ({names}){own}"
            for catalog, schema, name in catalogs
        ]
    )
    return frozenset((schema, table) for schema, table in warehouse.query(query))


def _state_queries(
    sluice_schema: str, heads: Sequence[TableName], targets: Collection[TableName] | None
) -> Iterator[str]:
    """Yield queries of: kind, target, source or fingerprint, bound, count, epoch, load or definition, time.

    The time orders the loads of a target: each load has a later one than the loads before.
    """
    watermarks = (
        "select 'watermark', target, source, window_end, lookback_count, source_epoch, load_id, "
        f"{as_text('loaded_at')} from {quote_identifier(sluice_schema)}.watermark_control"
    )
    if targets is not None:
        watermarks += f" where target in ({', '.join(literal(str(name)) for name in sorted(targets)) or 'null'})"
    first, *others = [heads[start : start + CHUNK_SIZE] for start in range(0, len(heads), CHUNK_SIZE)] or [()]
    yield union_all([watermarks, *(_head(sluice_schema, name) for name in first)])
    for chunk in others:
        yield union_all([_head(sluice_schema, name) for name in chunk])


def _head(sluice_schema: str, name: TableName) -> str:
    target = literal(str(name))
    table = f"{quote_identifier(sluice_schema)}.{quote_identifier(companion_table(name, 'head'))}"
    return (
        f"select 'head', {target}, fingerprint, {as_text('loaded_at')}, {NO_NUMBER}, epoch, definition, "
        f"{as_text('null')} from {table}"
    )


def companion_table(target: TableName, part: str) -> str:
    """Return the name of a target's companion table, shortened like in the macro `companion_relation`.

    Args:
        target: The target.
        part: head, side or rejects.
    """
    base, suffix = target.model_name, f"__{part}"
    if len(base) + len(suffix) > _MAX_NAME_LENGTH:
        digest = hashlib.md5(base.encode(), usedforsecurity=False).hexdigest()[:_HASH_LENGTH]
        base = f"{base[: _MAX_NAME_LENGTH - len(suffix) - _HASH_LENGTH - 1]}_{digest}"
    return base + suffix


def _collect(existing: frozenset[TableName], rows: Iterable[Row]) -> WarehouseState:
    watermarks: dict[tuple[str, str], Watermark] = {}
    last_loads: dict[str, tuple[str, str]] = {}
    heads: dict[str, Head] = {}
    for kind, target, name, text, count, epoch, last, loaded_at in rows:
        if kind == "watermark":
            watermarks[target, name] = Watermark(text, count, epoch)
            last_loads[target] = max(last_loads.get(target, ("", "")), (loaded_at or "", last or ""))
        else:
            tracks = tracks_of(last) if last else None
            heads[target] = Head(loaded_at=text, fingerprint=name, tracks=tracks, epoch=epoch, definition=last)
    return WarehouseState(existing, watermarks, {target: last for target, (_, last) in last_loads.items()}, heads)


def _loads(rows: Sequence[Row]) -> tuple[LoggedLoad, ...]:
    windows: dict[str, list[Window]] = {}
    first: dict[str, Row] = {}
    for row in rows:
        load_id = row[1]
        first.setdefault(load_id, row)
        windows.setdefault(load_id, []).append(Window(row[3], row[4], row[5]))
    return tuple(
        LoggedLoad(
            target=row[0],
            load_id=load_id,
            run_id=row[2],
            windows=tuple(windows[load_id]),
            rows=RowCounts(*(int(count or 0) for count in row[6:13])),
            loaded_at=_utc(row[13]),
            started_at=_utc(row[14]),
            finished_at=_utc(row[15]),
            definition=row[16],
            driving_rows=DrivingRows.parse(row[17]),
        )
        for load_id, row in first.items()
    )


def _utc(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant
