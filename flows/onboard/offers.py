"""Find what was named on the command line: tables of the warehouse, files, folders of files, SELECTs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp

from flows.onboard.dbt_files import plain_select
from flows.onboard.file_names import (
    FORMATS,
    format_below,
    format_of,
    groups,
    is_one_table,
    partitions,
    pattern,
    table_of,
)
from flows.onboard.model import Ask, Offer, Read, Refused
from flows.onboard.relations import relation_of, with_options
from flows.onboard.renames import with_names
from flows.warehouse.connection import open_warehouse
from flows.warehouse.lake.folder import is_hidden
from metadata_sync.errors import ConfigurationError, RequestError
from metadata_sync.problems import Problem
from metadata_sync.rows.model import Column, ControlRows, SourceRow
from metadata_sync.rows.names import TableName, is_identifier, quote_identifier
from metadata_sync.rows.resolve import RESERVED_PREFIX
from metadata_sync.rows.vocabulary import SourceKind
from metadata_sync.sql import parse_select
from metadata_sync.sql.rewrite import replace_tables

if TYPE_CHECKING:
    from flows.context import Context


_AGAIN: Final = "Then onboard it by its schema.table."
_THERE: Final = "Name a table or folder that is there."
_READABLE: Final = f"Correct the files, or declare the source with format_options (encoding, quote, …). {_AGAIN}"
_DATA: Final = re.compile(r"[+-]?\d+([.,]\d+)?|\d{4}-\d\d-\d\d.*")
"""What is no name of a column but a value."""
_TABLE: Final = re.compile(r"\w+\.\w+")


@dataclass(frozen=True, slots=True)
class Named:
    """What one word of the command line stands for, before anything is asked.

    Attributes:
        shown: The word.
        name: The source's name, or the target's of a SELECT.
        source: The row of a source; None: a SELECT.
        select: The SELECT's text.
        told: Settings that a dbt snapshot says.
    """

    shown: str
    name: TableName
    source: SourceRow | None
    select: str = ""
    told: Mapping[str, object] | None = None


def resolve(
    context: Context, rows: ControlRows, given: Sequence[str], source_schema: str, target_schema: str
) -> tuple[list[Named], list[Refused]]:
    """Return what the words of a command line stand for, and what of the folders among them is no table.

    Args:
        context: The project.
        rows: The rows that the project declares already.
        given: Paths below the project, `s3://…` prefixes, `schema.table`, or `.sql` files.
        source_schema: Schema of new lake sources.
        target_schema: Schema of targets.

    Raises:
        RequestError: When a word stands for nothing.
    """
    found: list[Named] = []
    refused: list[Refused] = []
    for word in given:
        declared = rows.source(TableName(*word.split("."))) if _TABLE.fullmatch(word) else None
        if declared is not None:
            found.append(Named(word, declared.name, declared))
        else:
            found += _resolve(context, rows, word, source_schema, target_schema, refused=refused)
    by_name: dict[TableName, list[Named]] = {}
    for item in found:
        by_name.setdefault(item.name, []).append(item)
    for name, items in by_name.items():
        if len(items) > 1:
            message = f"{items[0].shown} and {items[1].shown} would both be called {name}."
            refused.append(Refused(items[0].shown, RequestError(message, "Name one of them at a time.")))
    return [items[0] for items in by_name.values() if len(items) == 1], refused


@contextmanager
def asked(
    context: Context, named: Sequence[Named], rows: ControlRows
) -> Iterator[Callable[[Named], tuple[Offer, list[tuple[str, str]]]]]:
    """Open the warehouse, and yield what returns the offer of a name with the names and types of its columns.

    Args:
        context: The project.
        named: What was resolved.
        rows: The rows that the project declares already; SELECTs read them.
    """
    sources = [item.source for item in named if item.source is not None]
    settings = context.settings
    locations = [row.location for row in (*sources, *rows.sources) if row.location]
    warehouse = open_warehouse(
        context.profile,
        wait_seconds=settings.lock_wait_seconds,
        timeout_seconds=settings.statement_timeout_seconds,
        file_places=context.places_of(locations),
    )
    try:
        known = {row.name: row for row in (*rows.sources, *sources)}
        yield lambda item: _offer(context, item, known, rows, warehouse.query)
    finally:
        warehouse.close()


def _resolve(
    context: Context, rows: ControlRows, word: str, source_schema: str, target_schema: str, *, refused: list[Refused]
) -> list[Named]:
    if word.endswith(".sql"):
        return [_of_select(context, rows, Path(word), target_schema)]
    if _TABLE.fullmatch(word) and not Path(word).exists():
        return [_of_table(word)]
    if not context.profile.is_embedded:
        message = f"{word}: files are read on DuckDB; this environment's warehouse is {context.profile.dialect}."
        raise RequestError(message, "Name the external table as schema.table.")
    if word.startswith("s3://"):
        path = word.rstrip("/")
        return [_lake(word, path, table_of(path.rsplit("/", 1)[-1]), format_of(path) or "parquet", source_schema)]
    return list(_of_path(context, word, source_schema, refused))


def _of_table(word: str) -> Named:
    try:
        name = TableName.parse(word)
    except ValueError as error:
        raise RequestError(f"{error}.", "Name a table as schema.table.") from error
    row = SourceRow.model_validate({"schema": name.schema, "table": name.table, "kind": SourceKind.WAREHOUSE})
    return Named(word, name, row)


def _of_select(context: Context, rows: ControlRows, path: Path, target_schema: str) -> Named:
    if not path.is_file():
        raise RequestError(f"There is no file {path}.", "Name a .sql file with one SELECT, or a dbt model.")
    text, told = plain_select(path, context.project, rows)
    name = path.stem
    if not is_identifier(name):
        raise RequestError(f"{path} does not name a table: {name!r}.", "Rename it: lower case letters, digits and _.")
    return Named(str(path), TableName(target_schema, name), None, text, told)


def _of_path(context: Context, word: str, source_schema: str, refused: list[Refused]) -> Iterator[Named]:
    path = Path(word).resolve()
    root = context.project.root.resolve()
    if not path.exists():
        raise RequestError(f"There is no file, folder or table {word}.", "Name a path, schema.table or a .sql file.")
    if not path.is_relative_to(root):
        message = f"{word} is outside the project {root}."
        raise RequestError(message, "Copy it below the project, or put it into S3: loads read from there later, too.")
    place = str(path.relative_to(root))
    if path.is_file():
        yield _lake(word, place, table_of(path.name), _needed_format(path), source_schema)
        return
    files = groups(path)
    folders = [item for item in sorted(path.iterdir()) if item.is_dir() and not is_hidden(f"{item.name}/x")]
    if not files and not folders:
        raise RequestError(f"{word} holds no Parquet, CSV or JSON files.", "Name a folder of data files.")
    if is_one_table(path, files, folders):
        found = next((format_ for _, format_ in files), None) or format_below(path)
        yield _lake(word, place + partitions(path), table_of(path.name), found or "parquet", source_schema)
        return
    siblings = [item.name for item in path.iterdir()]
    for (table, format_), alike in files.items():
        shown = f"{word.rstrip('/')}/{alike[0].name}"
        with _refusing(refused, shown):
            location = f"{place}/{pattern(shown, [file.name for file in alike], siblings)}"
            yield _lake(shown, location, table, format_, source_schema)
    for folder in folders:
        below = f"{word.rstrip('/')}/{folder.name}"
        with _refusing(refused, below):
            yield from _of_path(context, below, source_schema, refused)


@contextmanager
def _refusing(refused: list[Refused], shown: str) -> Iterator[None]:
    """Keep the error of one of several things that were named."""
    try:
        yield
    except RequestError as error:
        refused.append(Refused(shown, error))


def _needed_format(path: Path) -> str:
    found = format_of(path.name)
    if found is None:
        known = ", ".join(FORMATS)
        raise RequestError(f"What {path.name} holds is not known by its name.", f"Files end with one of: {known}.")
    return found


def _lake(word: str, location: str, table: str, format_: str, schema: str) -> Named:
    if not is_identifier(table):
        raise RequestError(f"{word} does not name a table: {table!r}.", "Rename it: letters, digits and _.")
    values = {"schema": schema, "table": table, "kind": SourceKind.LAKE, "format": format_, "location": location}
    return Named(word, TableName(schema, table), SourceRow.model_validate(values))


def _offer(
    context: Context, item: Named, known: Mapping[TableName, SourceRow], rows: ControlRows, ask: Ask
) -> tuple[Offer, list[tuple[str, str]]]:
    if item.source is None:
        return _offered_select(context, item, known, rows, ask)
    is_declared = rows.source(item.source.name) is not None
    source, written = (item.source, None) if is_declared else with_options(context, item.source)
    try:
        columns = context.columns.source_columns(source)
    except ValueError as error:
        raise RequestError(f"{item.shown}: {error}.", _READABLE if source.location else _THERE) from error
    if not columns:
        raise RequestError(f"{item.shown} has no columns that can be read.", "Name a table or folder that has.")
    if source.format == "csv" and is_declared is False:
        _check_header(item.shown, [column.name for column in columns])
    relation, landings = relation_of(context, source)
    offer = Offer(
        item.name,
        item.shown,
        source,
        relation,
        landings,
        context.profile.dialect,
        ask,
        is_declared=is_declared,
        written=written,
    )
    return with_names(offer, [(column.name, column.type) for column in columns])


def _check_header(shown: str, names: Sequence[str]) -> None:
    """Refuse text whose first record is data: as a header, it would be lost.

    Raises:
        RequestError: When a column's name is a number or a date.
    """
    found = next((name for name in names if _DATA.fullmatch(name)), None)
    if found is not None:
        message = f"{shown}: the first record is no header: it has {found!r} where a column's name should be."
        raise RequestError(message, f"Declare the source with columns and format_options: {{header: false}}. {_AGAIN}")


def _offered_select(
    context: Context, item: Named, known: Mapping[TableName, SourceRow], rows: ControlRows, ask: Ask
) -> tuple[Offer, list[tuple[str, str]]]:
    dialect = context.profile.dialect
    select, problems = parse_select(item.select, dialect)
    if select is None:
        raise _refused(item, problems)
    relations: dict[TableName, str] = {}
    for table in dict.fromkeys(read.name for read in select.reads):
        relations[table] = _known_relation(context, item, table, known, rows)
    if not relations:
        raise RequestError(
            f"{item.shown} reads no table, so no row of it is ever new.", "Name a SELECT that reads one."
        )
    text = replace_tables(select, relations)
    try:
        columns = context.columns.describe(
            item.select.rstrip().rstrip(";"), _columns_of(context, relations, known, rows)
        )
    except ValueError as error:
        raise RequestError(f"{item.shown}: {error}.", "Correct the SELECT.") from error
    relation = f"({text})"
    reads = tuple(sorted(_reads(item.select, dialect, list(relations)), key=lambda read: not read.is_driving))
    driving = TableName.parse(reads[0].table)
    is_target = rows.transformation(driving) is not None
    offer = Offer(
        item.name,
        item.shown,
        None,
        relation,
        (relation,),
        dialect,
        ask,
        item.select,
        reads,
        dict(item.told or {}),
        aggregates=select.tree.find(exp.Group, exp.AggFunc, exp.Window, exp.Distinct, exp.Limit) is not None,
        has_windows=is_target or known[driving].incremental_key is not None,
    )
    return offer, [(column.name, column.type) for column in columns]


def _refused(item: Named, problems: Iterable[Problem]) -> ConfigurationError:
    problem = next(iter(problems))
    return RequestError(f"{item.shown}: {problem.message}", problem.remedy)


def _known_relation(
    context: Context, item: Named, table: TableName, known: Mapping[TableName, SourceRow], rows: ControlRows
) -> str:
    if rows.transformation(table) is not None:
        schema = context.profile.physical_schema(table.schema)
        return f"{quote_identifier(schema)}.{quote_identifier(table.table)}"
    if table not in known:
        raise RequestError(
            f"{item.shown} reads {table}, which is neither a source nor a target of the project.",
            f"Onboard it in the same command, before the SELECT: sluice onboard … {item.shown}",
        )
    return relation_of(context, known[table])[0]


def _columns_of(
    context: Context, tables: Iterable[TableName], known: Mapping[TableName, SourceRow], rows: ControlRows
) -> dict[TableName, tuple[Column, ...]]:
    found = {}
    for table in tables:
        row = rows.transformation(table)
        if row is None:
            found[table] = context.columns.source_columns(known[table]) or ()
        else:
            found[table] = row.column_list or _loaded_columns(context, table)
    return found


def _loaded_columns(context: Context, table: TableName) -> tuple[Column, ...]:
    """Return the columns of another target's table.

    Raises:
        RequestError: When it was never loaded.
    """
    loaded = _of_table(str(table)).source
    assert loaded is not None, "a table is a source"
    schema = context.profile.physical_schema(table.schema)
    try:
        columns = context.columns.source_columns(loaded.model_copy(update={"source_schema": schema})) or ()
    except ValueError as error:
        message = f"{table} was never loaded, so the rows of a SELECT over it are not known."
        raise RequestError(message, "Run sluice control apply and sluice run first.") from error
    return tuple(column for column in columns if not column.name.startswith(RESERVED_PREFIX))


def _reads(text: str, dialect: str, tables: Sequence[TableName]) -> Iterator[Read]:
    """Yield the tables of a SELECT: that of the first FROM drives, those that are joined to it are looked up."""
    if len(tables) == 1:
        yield Read(str(tables[0]), is_driving=True, confidence=0.95, evidence="the only table")
        return
    driving = _first_from(text, dialect) or tables[0]
    for table in tables:
        if table == driving:
            yield Read(str(table), is_driving=True, confidence=0.8, evidence="rows come from it")
        else:
            yield Read(str(table), is_driving=False, confidence=0.7, evidence="joined to it")


def _first_from(text: str, dialect: str) -> TableName | None:
    """Return the table whose rows the outermost query begins with, through common table expressions."""
    tree = sqlglot.parse_one(text, dialect=dialect)
    common = {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}
    query: exp.Expr | None = tree
    for _ in range(len(common) + 5):
        while isinstance(query, exp.Subquery | exp.SetOperation):
            query = query.this
        source = query.args.get("from_") or query.args.get("from") if isinstance(query, exp.Select) else None
        query = source.this if source is not None else None
        if isinstance(query, exp.Table):
            if query.db:
                return TableName(query.db, query.name)
            query = common.get(query.name)
    return None
