"""The part of an environment's rows that some pipelines or targets need: their rows and what they read, by keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select, tuple_

from metadata_sync.database.codec import Stored, parse_json, raw_columns
from metadata_sync.database.tables import ROW_TABLES, control_audit
from metadata_sync.rows.model import ControlRow, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.parsing import key_of

_KEYS_PER_QUERY: Final = 500


def read(
    connection: Connection, environment: str, pipelines: Collection[str], targets: Collection[str]
) -> list[tuple[type[ControlRow], Stored]]:
    """Return the rows that pipelines and targets need, as they are stored.

    These are the transformations of the pipelines, the targets, the sources and transformations that these read,
    and the pipelines of all of them. Each query names the keys that it wants, so the size of the environment
    matters to none.

    Args:
        connection: A reading transaction.
        environment: The environment.
        pipelines: Ids of pipelines; those that do not exist are left out.
        targets: Targets, `schema.table`; those without a row are left out.
    """
    asked = {
        **_by_key(_rows(connection, environment, TransformationRow, ("pipeline_id",), [(name,) for name in pipelines])),
        **_by_key(_named(connection, environment, TransformationRow, _parsed(targets))),
    }
    reads = {name for row in asked.values() for name in _reads(row)}
    found = {**_by_key(_named(connection, environment, TransformationRow, reads)), **asked}
    sources = _named(connection, environment, SourceRow, reads)
    ids = {str(row["pipeline_id"]) for row in found.values()} | set(pipelines)
    of_pipelines = _rows(connection, environment, PipelineRow, PipelineRow.key_columns, [(name,) for name in ids])
    rows: list[tuple[type[ControlRow], Stored]] = [(SourceRow, row) for row in sources]
    rows += [(PipelineRow, row) for row in of_pipelines]
    rows += [(TransformationRow, row) for row in found.values()]
    return sorted(rows, key=lambda item: (item[0].control_table, key_of(*item)))


def last_change(connection: Connection, environment: str) -> str:
    """Return the id of the newest change of the environment's rows; empty when there was none."""
    newest = select(func.max(control_audit.c.change_id)).where(control_audit.c.environment == environment)
    return connection.scalar(newest) or ""


def target_names(connection: Connection, environment: str) -> frozenset[str]:
    """Return the targets of all rows, `schema.table`."""
    table = ROW_TABLES[TransformationRow.control_table]
    query = select(table.c.target_schema, table.c.target_table).where(table.c.environment == environment)
    return frozenset(f"{schema}.{name}" for schema, name in connection.execute(query))


def _named(
    connection: Connection, environment: str, row_type: type[ControlRow], names: Iterable[TableName]
) -> list[Stored]:
    keys = [(name.schema, name.table) for name in names]
    return _rows(connection, environment, row_type, row_type.key_columns, keys)


def _rows(
    connection: Connection,
    environment: str,
    row_type: type[ControlRow],
    columns: Sequence[str],
    values: Sequence[tuple[str, ...]],
) -> list[Stored]:
    """Return the rows of one table whose columns have one of the values."""
    table: Table = ROW_TABLES[row_type.control_table]
    rows: list[Stored] = []
    ordered = sorted(set(values))
    for begin in range(0, len(ordered), _KEYS_PER_QUERY):
        wanted = tuple_(*(table.c[name] for name in columns)).in_(ordered[begin : begin + _KEYS_PER_QUERY])
        found = connection.execute(select(*raw_columns(table)).where(table.c.environment == environment, wanted))
        names = tuple(found.keys())
        rows += [dict(zip(names, row, strict=True)) for row in found]
    return rows


def _by_key(rows: Iterable[Stored]) -> dict[str, Stored]:
    return {key_of(TransformationRow, row): row for row in rows}


def _reads(row: Stored) -> Iterator[TableName]:
    """Yield the tables that a stored row names; what cannot be read is a fault of that row, and names none."""
    try:
        dependencies: Any = parse_json(row["dependencies"])
    except ValueError:
        dependencies = None
    named = [item.get("table") for item in dependencies if isinstance(item, dict)] if _is_list(dependencies) else []
    yield from _parsed(text for text in (*named, row["copy"]) if isinstance(text, str))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _parsed(texts: Iterable[str]) -> Iterator[TableName]:
    for text in texts:
        try:
            yield TableName.parse(text)
        except ValueError:
            continue
