"""Convert rows to and from the columns of the control tables. Stored values may have been edited by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeAlias

from sqlalchemy import JSON, Column, ColumnElement, Label, Table, Text, cast, type_coerce
from sqlalchemy.types import NullType

from metadata_sync.database.tables import ROW_TABLES, ExactNumber
from metadata_sync.errors import Fault
from metadata_sync.rows.model import ControlRow
from metadata_sync.rows.parsing import Parsed, Row, column_names, key_of, parse_row, parse_stored_row

Stored: TypeAlias = Mapping[Any, Any]
"""A row as the driver returned it: column → value."""

_PLAIN: Final = (str, int, Decimal, datetime)
# NUL, and in JSON escapes, numbers beyond 64 bits and NaN: rare values that need the full validation.
_ODD_WORDS: Final = ("\x00", "\\u", "NaN", "Infinity")
_ODD_NUMBER: Final = re.compile(r"[0-9](?:[0-9]{18}|[eE])")
_EMPTY: Final[Mapping[str, type[list[Any]] | type[dict[str, Any]]]] = {"[]": list, "{}": dict}
"""JSON of which most columns consist."""
_HAND_EDITED: Final = "Correct the row in the control database, where it was edited by hand."


def encode(row: ControlRow) -> dict[str, Any]:
    """Return the column values of a row, except `environment` and `declared`."""
    values = row.model_dump(mode="json", by_alias=True)
    table = ROW_TABLES[row.control_table]
    return {name: _to_column(table.c[name], value) for name, value in values.items()}


def encode_declared(row: ControlRow) -> dict[str, Any]:
    """Return the columns of a row that its file names, with their values."""
    return row.model_dump(mode="json", by_alias=True, exclude_unset=True)


def decode(row_type: type[Row], stored: Stored) -> Parsed[Row]:
    """Parse a stored row.

    Args:
        row_type: The row's type, one per control table.
        stored: Column → value as the driver returned it.
    """
    table = ROW_TABLES[row_type.control_table]
    key = key_of(row_type, stored)
    columns = {name: stored[name] for name in column_names(row_type)}
    values, faults = _read_columns(table, columns, key)
    if not faults and _is_as_written(columns.values()) and (row := parse_stored_row(row_type, values)) is not None:
        return Parsed(row, ())
    parsed = parse_row(row_type, values, key)
    hand_edited = tuple(replace(fault, remedy=f"{fault.remedy} {_HAND_EDITED}") for fault in parsed.faults)
    return Parsed(parsed.row, (*faults, *hand_edited))


def _is_as_written(values: Iterable[Any]) -> bool:
    """Tell whether all values look as `encode` writes them; otherwise they may have been edited by hand."""
    texts = []
    for value in values:
        if isinstance(value, str):
            texts.append(value)
        elif value is not None and not isinstance(value, _PLAIN):
            return False
    joined = "\n".join(texts)
    return not any(word in joined for word in _ODD_WORDS) and _ODD_NUMBER.search(joined) is None


def decode_declared(row_type: type[Row], stored: Stored) -> Parsed[Row] | None:
    """Parse the row as the files last declared it; None when it never came from a file.

    Columns that this version no longer has are ignored.
    """
    table = ROW_TABLES[row_type.control_table]
    key = key_of(row_type, stored)
    values, faults = _read_columns(table, {"declared": stored["declared"]}, key)
    declared = values.get("declared")
    if faults or declared is None:
        return Parsed(None, faults) if faults else None
    if isinstance(declared, dict):
        known = {name: value for name, value in declared.items() if name in column_names(row_type)}
        parsed = parse_row(row_type, known, key)
        if not parsed.faults:
            return parsed
    return Parsed(None, (_broken_declaration(table, key),))


def raw_columns(table: Table) -> list[Label[Any]]:
    """Return a table's columns without type conversion, so that one invalid value does not break the whole query."""
    return [raw_column(column) for column in table.columns]


def raw_column(column: ColumnElement[Any], name: str | None = None) -> Label[Any]:
    """Return a column without type conversion; JSON as text, because the two drivers return it differently."""
    stored = cast(column, Text) if isinstance(column.type, JSON) else type_coerce(column, NullType())
    return stored.label(name or str(column.key))


def parse_json(text: str | None) -> Any:
    """Parse the text of a JSON column.

    Raises:
        ValueError: When it is not JSON.
    """
    if text is None:
        return None
    empty = _EMPTY.get(text)
    return json.loads(text) if empty is None else empty()


def _to_column(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, ExactNumber):
        return Decimal(value)
    return str(value) if column.name == "backfill_start" else value


def _read_columns(table: Table, stored: Mapping[str, Any], key: str) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    values: dict[str, Any] = dict(stored)
    faults: list[Fault] = []
    for name in _converted(table):
        value = stored.get(name)
        if value is None:
            continue
        del values[name]
        try:
            values[name] = _from_column(table.c[name], value)
        except ValueError:
            message = "Is not JSON." if isinstance(table.c[name].type, JSON) else "Cannot be read."
            faults.append(Fault(table.name, key, name, str(value)[:200], "wrong_type", message, _HAND_EDITED))
    return values, tuple(faults)


@cache
def _converted(table: Table) -> tuple[str, ...]:
    """Return the columns whose stored value is not the row's value."""
    return tuple(
        column.name for column in table.columns if isinstance(column.type, JSON) or column.name == "backfill_start"
    )


def _from_column(column: Column[Any], value: Any) -> Any:
    if isinstance(column.type, JSON):
        return parse_json(value)
    if column.name == "backfill_start" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    return value


def _broken_declaration(table: Table, key: str) -> Fault:
    return Fault(
        table=table.name,
        key=key,
        column="declared",
        value=None,
        rule="broken_declaration",
        message="The row as the files last declared it cannot be read.",
        remedy="Set the column to NULL in the control database, then run `sluice control apply`.",
    )
