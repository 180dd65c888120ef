"""Declared types of nested values: structs, lists and maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from flows.warehouse.lake.formats.values import is_text_type, is_value
from metadata_sync.rows.model import type_text

if TYPE_CHECKING:
    from duckdb.sqltypes import DuckDBPyType


@dataclass(frozen=True, slots=True)
class NestedType:
    """A type, and those of its parts.

    Attributes:
        name: struct, list, map; or the type of a value without parts.
        parts: Field → type of a struct; `child` → type of a list's elements; `value` → type of a map's values.
    """

    name: str
    parts: Mapping[str, NestedType] = field(default_factory=dict)


@cache
def known_type(text: str) -> str:
    """Return a declared type as DuckDB names it in what it reads: `int` is integer, `float8` double.

    Raises:
        ValueError: When it is none.
    """
    import duckdb

    try:
        return type_text(str(duckdb.sqltype(text)), "duckdb")
    except duckdb.Error as error:
        raise ValueError(str(error).splitlines()[0]) from error


@cache
def nested_type(text: str) -> NestedType | None:
    """Return a nested type from DuckDB's words for it; None: it has no parts, or DuckDB does not know it."""
    import duckdb

    try:
        found = _of(duckdb.sqltype(text))
    except duckdb.Error:
        return None
    return found if found.parts else None


def _of(type_: DuckDBPyType) -> NestedType:
    if type_.id not in ("list", "array", "map", "struct"):
        return NestedType(str(type_).lower())
    parts = {name: _of(part) for name, part in type_.children if not isinstance(part, int | list)}
    return NestedType("list" if type_.id == "array" else type_.id, parts)


def shaped(value: Any, type_: NestedType, path: str) -> Any:
    """Return a parsed value with the parts of a type: fields that it lacks are null, others are left out.

    Args:
        value: The value; numbers are text.
        type_: Its declared type.
        path: Where it stands, for messages.

    Raises:
        ValueError: When a part is none of its type.
    """
    if value is None:
        return None
    if type_.name == "list":
        if not isinstance(value, list):
            raise ValueError(f"{path} is no list")
        return [shaped(item, type_.parts["child"], f"{path}[{number}]") for number, item in enumerate(value)]
    if type_.name == "map":
        if not isinstance(value, dict):
            raise ValueError(f"{path} is no object")
        return {name: shaped(item, type_.parts["value"], f"{path}.{name}") for name, item in value.items()}
    if type_.name == "struct":
        if not isinstance(value, dict):
            raise ValueError(f"{path} is no object")
        by_name = {name.lower(): item for name, item in value.items()}
        return {name: shaped(by_name.get(name.lower()), part, f"{path}.{name}") for name, part in type_.parts.items()}
    if is_text_type(type_.name):
        return value
    text = value if isinstance(value, str) else str(value).lower()
    if isinstance(value, dict | list) or not is_value(text, type_.name):
        raise ValueError(f"{path} does not cast to {type_.name}: {text[:200]}")
    return value
