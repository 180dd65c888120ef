"""Both tables of a comparison on one read-only connection, with their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flows.warehouse.connection import Warehouse, open_warehouse
from flows.warehouse.profile import Profile, load_profile
from flows.warehouse.table_columns import columns_of_tables
from metadata_sync.errors import HardRunError, RequestError
from metadata_sync.rows.names import TableName, quote_identifier

if TYPE_CHECKING:
    from flows.context import Context

_ATTACHED: Final = "there"
_SAME_SERVER: Final = ("host", "port", "dbname", "database", "cluster_id")

_FAMILIES: Final = (
    ("number", re.compile(r"int|serial|decimal|numeric|float|double|real", re.IGNORECASE)),
    ("time", re.compile(r"timestamp|date", re.IGNORECASE)),
    ("text", re.compile(r"char|text|string|uuid", re.IGNORECASE)),
    ("flag", re.compile(r"bool", re.IGNORECASE)),
)
_NEVER_EQUAL: Final = re.compile(r"json|xml|super|geometry|struct|map|\[\]|array", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two tables.

    Attributes:
        environment: Its environment.
        relation: It, as SQL names it on the connection.
        columns: Type by name, in the order of the table.
    """

    environment: str
    relation: str
    columns: Mapping[str, str]


@contextmanager
def open_sides(context: Context, target: TableName, against: str) -> Iterator[tuple[Warehouse, Side, Side]]:
    """Open a connection that sees a target in this environment and in another one.

    Args:
        context: The project in this environment.
        target: The target.
        against: The other environment.

    Raises:
        RequestError: When the environments do not share a server, or one of them has no such table.
    """
    here = context.profile
    settings = context.settings.model_copy(update={"environment": against, "dbt_target": None})
    there = load_profile(context.project, settings)
    if there == here or against == context.settings.environment:
        raise RequestError(f"{against} is this environment.", "Name another one: --against prod.")
    with open_both(context, here, there) as warehouse:
        for profile in (here, there):
            if here.is_embedded and not profile.database_file.exists():
                raise _missing(target, profile.environment)
        yield warehouse, side(warehouse, here, target), side(warehouse, there, target, is_attached=True)


@contextmanager
def open_both(context: Context, here: Profile, there: Profile) -> Iterator[Warehouse]:
    """Open a connection that sees the tables of two environments.

    Raises:
        RequestError: When they do not share a server, or share a file.
    """
    _refuse_strangers(here, there)
    if here.is_embedded and here.database_file == there.database_file:
        raise RequestError(f"{there.environment} has the same file: {here.database_file}.", "Unset SLUICE_DUCKDB_PATH.")
    warehouse = open_warehouse(
        here,
        wait_seconds=context.settings.lock_wait_seconds,
        timeout_seconds=context.settings.statement_timeout_seconds,
        attached={_ATTACHED: there.database_file} if here.is_embedded and there.database_file.exists() else {},
    )
    try:
        yield warehouse
    finally:
        warehouse.close()


def compared_as_text(here: str, there: str) -> bool:
    """Tell whether values of two types are compared as text, because the warehouse cannot compare them as they are.

    >>> [compared_as_text(*pair) for pair in (("integer", "decimal(9,2)"), ("varchar(3)", "text"), ("int", "text"))]
    [False, False, True]
    """
    return bool(_NEVER_EQUAL.search(here) or _NEVER_EQUAL.search(there)) or _family(here) != _family(there)


def _family(type_: str) -> str:
    return next((name for name, pattern in _FAMILIES if pattern.search(type_)), type_)


def _refuse_strangers(here: Profile, there: Profile) -> None:
    if here.type != there.type:
        raise RequestError(
            f"{here.environment} is on {here.dialect}, {there.environment} on {there.dialect}.",
            "Compare environments of one warehouse.",
        )
    other = [name for name in _SAME_SERVER if here.values.get(name) != there.values.get(name)]
    if other and not here.is_embedded:
        raise RequestError(
            f"{here.environment} and {there.environment} are on different servers or databases ({', '.join(other)}).",
            "Compare environments of one database: a query cannot see both.",
        )


def side(
    warehouse: Warehouse, profile: Profile, target: TableName, label: str | None = None, *, is_attached: bool = False
) -> Side:
    """Return a table of one of the environments of `open_both`.

    Args:
        warehouse: The connection.
        profile: The environment.
        target: The target.
        label: What the side is called; None: its environment.
        is_attached: Whether it is the second environment.

    Raises:
        HardRunError: When there is no such table.
    """
    schema = profile.physical_schema(target.schema)
    relation = f"{quote_identifier(schema)}.{quote_identifier(target.table)}"
    if profile.is_embedded and is_attached:
        question = (
            f"SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = '{_ATTACHED}' "  # noqa: S608
            f"AND schema_name = '{schema}' AND table_name = '{target.table}' ORDER BY column_index"
        )
        columns = {str(name): str(type_).lower() for name, type_ in warehouse.query(question)}
        relation = f"{quote_identifier(_ATTACHED)}.{relation}"
    else:
        name = TableName(schema, target.table)
        found = columns_of_tables(warehouse, [name]).get(name, ())
        columns = {column.name: column.type for column in found}
    if not columns:
        raise _missing(target, profile.environment)
    return Side(label or profile.environment, relation, columns)


def _missing(target: TableName, environment: str) -> HardRunError:
    return HardRunError(
        f"{target} has no table in environment {environment}.",
        f"Load it there first: SLUICE_ENVIRONMENT={environment} sluice run",
        subject=str(target),
    )
