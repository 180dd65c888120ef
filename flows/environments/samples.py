"""Samples of tables of the warehouse: tables of the place, copied once, so that all that is built there reads the same.

A lake source's files are no tables: the copy of the project has some of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from flows.context import reading
from flows.environments.base_file import ATTACHED, beside_base
from flows.environments.inputs import Input
from flows.warehouse.connection import literal
from flows.warehouse.file_lock import warehouse_lock
from flows.warehouse.writes import run_writes
from metadata_sync.errors import RequestError
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.rows.vocabulary import SourceKind

if TYPE_CHECKING:
    from pathlib import Path

    from flows.context import Context

ROWS: Final = 10_000
"""Rows of a table that are read, unless somebody says how many."""

WHOLE_ROWS: Final = 1_000_000
"""Rows up to which a table that is only looked up is copied whole."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Which rows of a table that is read for its news are in its sample.

    Attributes:
        rows: At most so many.
        since: Only rows whose key is at least that; None: all.
        is_newest: Whether they are the newest ones by that key; False: any.
    """

    rows: int = ROWS
    since: str | None = None
    is_newest: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """What was copied of a table.

    Attributes:
        name: The table, as SELECTs name it.
        rows: Rows that were copied; None: none, it is read where it stands, or it is files.
        is_cut: Whether there may be more.
    """

    name: str
    rows: int | None
    is_cut: bool

    def __str__(self) -> str:
        """What is read, as reports tell it."""
        if self.rows is None:
            return f"{self.name}: {'some of its files' if self.is_cut else 'read where it stands'}"
        rows = f"{self.rows:,} {'row' if self.rows == 1 else 'rows'}"
        return f"{self.name}: {rows}, a sample" if self.is_cut else f"{self.name}: all {rows}"


def checked_since(text: str | None) -> str | None:
    """Return the beginning of a window; None stays None.

    Raises:
        RequestError: When it is neither an instant, nor a date, nor a number.

    >>> checked_since("2026-11-01"), checked_since("42")
    ('2026-11-01', '42')
    """
    if text is None or text.lstrip("-").isdigit():
        return text
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        hint = "Write --since 2026-11-01, or a number where keys are numbers."
        raise RequestError(f"--since {text!r} is neither a date nor a number.", hint) from error
    return text


def copy_samples(
    context: Context, copy: Context, inputs: Mapping[TableName, Input], prefix: str, cut: Cut
) -> tuple[dict[TableName, Input], tuple[Sample, ...]]:
    """Copy a sample of each table.

    Args:
        context: The project in the environment that has them; nothing in it is written.
        copy: The copy of the project; on DuckDB they are copied into its file.
        inputs: The tables.
        prefix: On a server: what the schemas begin with that they are copied into.
        cut: Which rows.

    Returns:
        The inputs as they are read now, and what was copied.

    Raises:
        HardRunError: When one of them is missing, or the warehouse refuses the copy.
    """
    if context.profile.is_embedded:
        return _into_file(context, copy.profile.database_file, inputs, cut)
    with reading(context, context.profile) as warehouse:
        large = {
            item.name
            for item in inputs.values()
            if not item.is_driving and int(warehouse.query(_counted(_table(item.place)))[0][0]) > WHOLE_ROWS
        }
    copied = {name: item for name, item in inputs.items() if name not in large}
    schemas = sorted({name.schema for name in copied})
    statements = [f"create schema {quote_identifier(prefix + schema)}" for schema in schemas]
    places = {name: TableName(prefix + name.schema, name.table) for name in copied}
    statements += [f"create table {_table(places[n])} as {_select(i, _table(i.place), cut)}" for n, i in copied.items()]
    run_writes(context.profile, statements)
    with reading(context, context.profile) as warehouse:
        counts = {name: int(warehouse.query(_counted(_table(place)))[0][0]) for name, place in places.items()}
    now = {name: elsewhere(item, places[name]) if name in places else item for name, item in inputs.items()}
    return now, tuple(_sample(item, counts.get(name), cut) for name, item in sorted(inputs.items()))


def _into_file(
    context: Context, file: Path, inputs: Mapping[TableName, Input], cut: Cut
) -> tuple[dict[TableName, Input], tuple[Sample, ...]]:
    tables = {name: item for name, item in inputs.items() if not item.is_of_files}
    counts: dict[TableName, int] = {}
    if tables:
        with _held(context), beside_base(context, file, tables) as connection:
            for name, item in tables.items():
                connection.execute(f"create schema if not exists {quote_identifier(name.schema)}")
                select = _select(item, f"{ATTACHED}.{_table(item.place)}", cut)
                connection.execute(f"create table {_table(name)} as {select}")
                counts[name] = int(connection.execute(_counted(_table(name))).fetchall()[0][0])
    return dict(inputs), tuple(_sample(item, counts.get(name), cut) for name, item in sorted(inputs.items()))


def _held(context: Context) -> AbstractContextManager[None]:
    """Wait until no run writes the environment's file, and let none begin."""
    wait_seconds = context.settings.lock_wait_seconds
    return warehouse_lock(context.project, context.profile, command="a sample of it", wait_seconds=wait_seconds)


def _select(item: Input, relation: str, cut: Cut) -> str:
    """Return the query for the rows that are copied."""
    if not item.is_driving:
        return f"select * from {relation}"  # noqa: S608 - quoted names
    key = None if item.key is None else quote_identifier(item.key)
    where = f" where {key} >= {literal(cut.since)}" if key is not None and cut.since is not None else ""
    order = "" if key is None or not cut.is_newest else f" order by {key} desc nulls last"
    return f"select * from {relation}{where}{order} limit {cut.rows}"  # noqa: S608 - quoted names, a number


def _sample(item: Input, count: int | None, cut: Cut) -> Sample:
    is_cut = item.is_of_files if count is None else item.is_driving and (count >= cut.rows or cut.since is not None)
    return Sample(str(item.name), count, is_cut)


def elsewhere(item: Input, place: TableName) -> Input:
    """Return an input whose table is a copy of it; a lake's is a table of the warehouse now.

    Args:
        item: The input.
        place: The copy.
    """
    if place == item.place:
        return item
    no_files = {"location": None, "format": None, "catalog_table": None, "columns": (), "file_column": None}
    no_files |= {name: type(item.source).model_fields[name].default for name in ("on_removed_files", "format_options")}
    is_now = {"kind": SourceKind.WAREHOUSE, "external_schema": place.schema}
    return replace(item, place=place, source=item.source.model_copy(update={**no_files, **is_now}))


def _counted(relation: str) -> str:
    return f"select count(*) from {relation}"  # noqa: S608 - quoted names


def _table(name: TableName) -> str:
    return f"{quote_identifier(name.schema)}.{quote_identifier(name.table)}"
