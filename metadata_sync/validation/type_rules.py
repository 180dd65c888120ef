"""Whether the types and names of a SELECT's columns load right where they stand; see `metadata_sync.sql.type_rules`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from metadata_sync.analysis.catalog import Catalog
from metadata_sync.errors import Fault
from metadata_sync.problems import Problem
from metadata_sync.rows.model import Column, TransformationRow
from metadata_sync.rows.names import name_limit
from metadata_sync.rows.resolve import is_view, resolve_dependencies, sequence_columns, window_key
from metadata_sync.rows.vocabulary import LoadType
from metadata_sync.sql.expressions import is_type
from metadata_sync.sql.type_rules import Place, type_problem, unsized_decimals, user_type

_COLUMNS: Final = {
    Place.KEY: "business_key",
    Place.SEQUENCE: "sequence_by",
    Place.INCREMENTAL: "incremental_key",
}
"""The column of the row that puts a column of the SELECT there."""


def type_faults(row: TransformationRow, catalog: Catalog) -> Iterator[Fault]:
    """Find columns whose type or name the warehouse would not load right.

    Args:
        row: The transformation.
        catalog: The columns of its SELECT and of its sources.
    """
    columns = catalog.target_columns(row) or ()
    text = "column_list" if row.column_list else row.select_column
    problems = [(text, problem) for problem in (*_same_names(columns), *_long_names(columns, catalog.dialect))]
    select = catalog.analysis(row).select
    if select is not None and catalog.dialect == "redshift":
        problems += [(row.select_column, problem) for problem in unsized_decimals(select)]
    if not is_view(row, catalog.rows):
        typed = tuple(column for column in columns if is_type(column.type, catalog.dialect))
        problems += [(_COLUMNS.get(place, text), problem) for place, problem in _types(row, catalog, typed)]
    for column, problem in problems:
        value = row.select_origin if column == row.select_column else problem.value
        yield Fault(row.control_table, row.key, column, value, problem.rule, problem.message, problem.remedy)


def _types(row: TransformationRow, catalog: Catalog, columns: tuple[Column, ...]) -> Iterator[tuple[Place, Problem]]:
    names = [column.name for column in columns]
    key, times = set(row.business_key), sequence_columns(row, catalog.rows, names)[:1]
    placed = [(column, Place.KEY if column.name in key else Place.COLUMN) for column in columns]
    placed += [(column, Place.SEQUENCE) for column in columns if column.name in times]
    placed += _incremental_keys(row, catalog)
    elements = (user_type(column.type, catalog.dialect) for column, _ in placed)
    kinds = catalog.type_kinds({element for element in elements if element is not None})
    refused: set[str] = set()
    for column, place in placed:
        element = user_type(column.type, catalog.dialect)
        problem = type_problem(column.name, column.type, place, catalog.dialect, kinds.get(element or ""))
        if problem is not None and column.name not in refused:
            refused.add(column.name)
            yield place, problem
    if row.load_type is LoadType.APPEND and not row.business_key:
        yield from ((Place.INCREMENTAL, problem) for problem in _range_key(row, catalog, columns))


def _incremental_keys(row: TransformationRow, catalog: Catalog) -> list[tuple[Column, Place]]:
    """Return the keys that cut the windows of driving sources, with their types there."""
    found = []
    for item in resolve_dependencies(row, catalog.rows):
        if item.is_driving and not item.is_managed and item.incremental_key is not None:
            known = catalog.table_columns(item.name) or ()
            found += [(column, Place.INCREMENTAL) for column in known if column.name == item.incremental_key]
    return found


def _range_key(row: TransformationRow, catalog: Catalog, columns: tuple[Column, ...]) -> Iterator[Problem]:
    """An append without a key replaces ranges of its incremental key, so target and source must agree on its values."""
    key = window_key(row, catalog.rows)
    written = next((column.type for column in columns if column.name == key), None)
    read = next((column.type for column, _ in _incremental_keys(row, catalog)), None)
    if written is not None and read is not None and {written, read} == {"timestamp", "timestamp_ns"}:
        message = f"{key} is {read} in the source and {written} in the target, which rounds it: ranges would not match."
        yield Problem("keyless_append", message, f"Yield it as {read}, or set business_key.", key)


def _same_names(columns: tuple[Column, ...]) -> Iterator[Problem]:
    """Names that differ by case only: DuckDB and Redshift take them for one, PostgreSQL for two."""
    seen: dict[str, str] = {}
    for column in columns:
        first = seen.setdefault(column.name.lower(), column.name)
        if first != column.name:
            message = f"The SELECT yields {first} and {column.name}, which differ by case only."
            yield Problem("duplicate_column", message, "Give one of them another name with AS.", column.name)


def _long_names(columns: tuple[Column, ...], dialect: str) -> Iterator[Problem]:
    limit = name_limit(dialect)
    for column in columns:
        size = len(column.name.encode())
        if size > limit.size:
            message = f"The name {column.name} has {size} bytes; {limit.words}."
            yield Problem("bad_name", message, "Give it a shorter name with AS.", column.name)
