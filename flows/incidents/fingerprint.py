"""Fingerprints of what a failed row depends on: SELECT, row, columns of sources and target, data of the sources.

The difference of two fingerprints names what has changed since a failure. After a change, `heal` tries the row again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from flows.warehouse.lake.folder import change_token, list_files, source_folder
from metadata_sync.analysis.select_file import read_select
from metadata_sync.errors import RunError
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import SourceKind

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.facts import Decision
    from metadata_sync.rows.model import Column, ControlRows, SourceRow, TransformationRow

_WRITTEN_BY_RUNS: Final = frozenset({"is_active", "deactivated_by", "comments", "fingerprint"})
_UNKNOWN: Final = "unknown"
_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hashes of what a row depends on; `unknown` where it could not be read.

    Attributes:
        sql: The SELECT's text.
        row: The row's settings.
        source: Columns and types of everything that it reads.
        target: Columns and types of the target.
        data: Newest data of the driving sources.
    """

    sql: str
    row: str
    source: str
    target: str
    data: str

    def __str__(self) -> str:
        return " ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read the text of a fingerprint; None when the text is something else.

        >>> str(Fingerprint.parse("sql=1 row=2 source=3 target=4 data=5"))
        'sql=1 row=2 source=3 target=4 data=5'
        """
        parts = dict(part.split("=", 1) for part in (text or "").split() if "=" in part)
        return cls(**parts) if parts.keys() == set(cls.__slots__) else None

    def changes_since(self, before: Fingerprint | None) -> tuple[str, ...]:
        """Return the names of the parts that have changed; `unknown` parts count as unchanged.

        >>> Fingerprint("1", "2", "3", "4", "5").changes_since(Fingerprint("1", "x", "3", "unknown", "5"))
        ('row',)
        """
        if before is None:
            return ()
        pairs = ((name, getattr(self, name), getattr(before, name)) for name in self.__slots__)
        return tuple(name for name, now, then in pairs if now != then and _UNKNOWN not in (now, then))


def take_fingerprint(
    context: Context, row: TransformationRow, rows: ControlRows, decision: Decision | None
) -> Fingerprint:
    """Compute the fingerprint of a row now.

    Args:
        context: Project, warehouse.
        row: The row.
        rows: All rows of the environment.
        decision: The gate's decision, with what it found in the driving sources; None: no decision.
    """
    text = read_select(row, context.project)
    settings = {name: value for name, value in row.model_dump(mode="json").items() if name not in _WRITTEN_BY_RUNS}
    return Fingerprint(
        sql=_hash(text if isinstance(text, str) else text.message),
        row=_hash(settings),
        source=_hash_or_unknown(_source_columns(context, row, rows)),
        target=_hash_or_unknown(_target_columns(context, row.name)),
        data=_hash_or_unknown(_data(context, row, rows, decision)),
    )


def _source_columns(context: Context, row: TransformationRow, rows: ControlRows) -> Mapping[str, Any] | None:
    found: dict[str, Any] = {}
    for item in row.dependencies:
        try:
            name = TableName.parse(item.table)
            source = rows.source(name)
            columns = context.columns.source_columns(source) if source else _table_columns(context, name)
        except ValueError as error:  # an unreadable source is a state too, which may change
            found[item.table] = str(error)
            continue
        except RunError:
            return None
        if columns is None:
            return None
        found[item.table] = [(column.name, column.type) for column in columns]
    return found


def _target_columns(context: Context, target: TableName) -> list[tuple[str, str]] | None:
    try:
        columns = _table_columns(context, target)
    except RunError:
        return None
    return [(column.name, column.type) for column in columns]


def _table_columns(context: Context, name: TableName) -> tuple[Column, ...]:
    """Return the columns of another target; empty when its table does not exist.

    Raises:
        RunError: When the warehouse cannot be queried.
    """
    from flows.warehouse.columns import table_columns
    from flows.warehouse.connection import open_warehouse

    profile = context.profile
    warehouse = open_warehouse(
        profile, wait_seconds=context.settings.lock_wait_seconds, file_places=context.file_places
    )
    try:
        return table_columns(warehouse, profile.physical_schema(name.schema), name.table)
    finally:
        warehouse.close()


def _data(
    context: Context, row: TransformationRow, rows: ControlRows, decision: Decision | None
) -> Mapping[str, Any] | None:
    """Return how far the driving sources reach, and the files of lake folders: a repaired file may hold no new key."""
    if decision is None or not decision.evidence:
        return None
    found: dict[str, Any] = {item.source: [item.newest, item.band_found] for item in decision.evidence}
    for item in row.dependencies:
        source = rows.source(TableName.parse(item.table))
        if source is not None and source.kind is SourceKind.LAKE and source.location:
            found[f"{item.table} files"] = _files_token(context, source)
    return found


def _files_token(context: Context, source: SourceRow) -> str:
    try:
        return change_token(list_files(source_folder(context.project, source)))
    except ValueError as error:
        return str(error)


def _hash_or_unknown(value: Any) -> str:
    return _UNKNOWN if value is None else _hash(value)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:_LENGTH]
