"""Find what was named on the command line: tables of the warehouse, files, folders of files, SELECTs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp

from flows.onboard.dbt_files import plain_select
from flows.onboard.model import Ask, Offer, Read
from flows.warehouse.connection import file_places, open_warehouse
from flows.warehouse.lake.folder import is_hidden, list_files, source_folder
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.errors import ConfigurationError, RequestError
from metadata_sync.problems import Problem
from metadata_sync.rows.model import Column, ControlRows, SourceRow
from metadata_sync.rows.names import TableName, is_identifier, quote_identifier
from metadata_sync.rows.vocabulary import SourceKind
from metadata_sync.sql import parse_select
from metadata_sync.sql.rewrite import replace_tables

if TYPE_CHECKING:
    from flows.context import Context

FORMATS: Final[Mapping[str, str]] = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
_MOST_LANDINGS: Final = 12
"""Files that are looked at one by one: the first ones and the last ones."""

_PACKED: Final = (".gz", ".gzip", ".bz2", ".zst")
_NO_NAME: Final = frozenset({"part", "data", "file", "export", "chunk", "batch", "sample", "rows", ""})


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


def resolve(context: Context, given: Sequence[str], source_schema: str, target_schema: str) -> list[Named]:
    """Return what the words of a command line stand for.

    Args:
        context: The project.
        given: Paths below the project, `s3://…` prefixes, `schema.table`, or `.sql` files.
        source_schema: Schema of new lake sources.
        target_schema: Schema of targets.

    Raises:
        RequestError: When a word stands for nothing, or two would have the same name.
    """
    found: list[Named] = []
    for word in given:
        found += _resolve(context, word, source_schema, target_schema)
    taken: dict[TableName, str] = {}
    for item in found:
        if item.name in taken:
            raise RequestError(
                f"{taken[item.name]} and {item.shown} would both be called {item.name}.", "Name one of them at a time."
            )
        taken[item.name] = item.shown
    return found


@contextmanager
def asked(
    context: Context, named: Sequence[Named], rows: ControlRows
) -> Iterator[list[tuple[Offer, list[tuple[str, str]]]]]:
    """Open the warehouse, and yield each offer with the names and types of its columns.

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
        file_places=file_places(context.project, settings, locations) if context.profile.is_embedded else (),
    )
    try:
        known = {row.name: row for row in (*rows.sources, *sources)}
        yield [_offer(context, item, known, rows, warehouse.query) for item in named]
    finally:
        warehouse.close()


def _resolve(context: Context, word: str, source_schema: str, target_schema: str) -> list[Named]:
    if word.endswith(".sql"):
        return [_of_select(context, Path(word), target_schema)]
    if re.fullmatch(r"\w+\.\w+", word) and not Path(word).exists():
        return [_of_table(word)]
    if not context.profile.is_embedded:
        message = f"{word}: files are read on DuckDB; this environment's warehouse is {context.profile.dialect}."
        raise RequestError(message, "Name the external table as schema.table.")
    if word.startswith("s3://"):
        path = word.rstrip("/")
        return [_lake(word, path, _stem(path.rsplit("/", 1)[-1]), _format_of(path) or "parquet", source_schema)]
    return list(_of_path(context, word, source_schema))


def _of_table(word: str) -> Named:
    try:
        name = TableName.parse(word)
    except ValueError as error:
        raise RequestError(f"{error}.", "Name a table as schema.table.") from error
    row = SourceRow.model_validate({"schema": name.schema, "table": name.table, "kind": SourceKind.WAREHOUSE})
    return Named(word, name, row)


def _of_select(context: Context, path: Path, target_schema: str) -> Named:
    if not path.is_file():
        raise RequestError(f"There is no file {path}.", "Name a .sql file with one SELECT, or a dbt model.")
    text, told = plain_select(path, context.project)
    name = path.stem
    if not is_identifier(name):
        raise RequestError(f"{path} does not name a table: {name!r}.", "Rename it: lower case letters, digits and _.")
    return Named(str(path), TableName(target_schema, name), None, text, told)


def _of_path(context: Context, word: str, source_schema: str) -> Iterator[Named]:
    path = Path(word).resolve()
    root = context.project.root.resolve()
    if not path.exists():
        raise RequestError(f"There is no file, folder or table {word}.", "Name a path, schema.table or a .sql file.")
    if not path.is_relative_to(root):
        message = f"{word} is outside the project {root}."
        raise RequestError(message, "Copy it below the project, or put it into S3: loads read from there later, too.")
    place = str(path.relative_to(root))
    if path.is_file():
        yield _lake(word, place, _stem(path.name), _needed_format(path), source_schema)
        return
    groups = _groups(path)
    folders = [item for item in sorted(path.iterdir()) if item.is_dir() and not is_hidden(f"{item.name}/x")]
    if not groups and not folders:
        raise RequestError(f"{word} holds no Parquet, CSV or JSON files.", "Name a folder of data files.")
    if _is_one_table(path, groups, folders):
        (found,) = {_format_of(file.name) for files in groups.values() for file in files} or {_format_below(path)}
        yield _lake(word, place, _stem(path.name), found or "parquet", source_schema)
        return
    for stem, files in groups.items():
        location = f"{place}/{files[0].name}" if len(files) == 1 else f"{place}/{stem}*"
        yield _lake(f"{word.rstrip('/')}/{files[0].name}", location, stem, _needed_format(files[0]), source_schema)
    for folder in folders:
        yield from _of_path(context, str(folder), source_schema)


def _groups(path: Path) -> dict[str, list[Path]]:
    """Return the data files of a folder by what is left of their names without dates and numbers."""
    found: dict[str, list[Path]] = {}
    for file in sorted(path.iterdir()):
        if file.is_file() and not is_hidden(file.name) and _format_of(file.name):
            found.setdefault(_stem(file.name), []).append(file)
    return found


def _is_one_table(path: Path, groups: Mapping[str, Sequence[Path]], folders: Sequence[Path]) -> bool:
    """Tell whether a folder is one table: files without names of their own or called like it, or partitions."""
    if folders:
        return not groups and all("=" in folder.name or not _stem(folder.name) for folder in folders)
    formats = {_format_of(file.name) for files in groups.values() for file in files}
    if len(groups) != 1 or len(formats) != 1:
        return False
    ((stem, files),) = groups.items()
    return stem in _NO_NAME or stem == _stem(path.name) or len(files) > 1


def _stem(name: str) -> str:
    """Return what a file's name says besides dates, numbers and suffixes.

    >>> [_stem(name) for name in ("orders_2024-01-02.csv", "part-00000-a1.c000.snappy.parquet", "Sales Lines.CSV.gz")]
    ['orders', 'part', 'sales_lines']
    """
    text = name.lower()
    text = text.split(".")[0] if "." in text else text
    parts = [
        part
        for part in re.split(r"[^a-z0-9]+", text)
        if part and not re.fullmatch(r"\d+|[0-9a-f]{8,}|c\d+|t\d+z?", part)
    ]
    if parts and parts[0] == "part":
        return "part"
    return re.sub(r"^(?=\d)", "t", "_".join(parts))


def _format_of(name: str) -> str | None:
    text = name.lower()
    for packed in _PACKED:
        text = text.removesuffix(packed)
    return next((found for suffix, found in FORMATS.items() if text.endswith(suffix)), None)


def _format_below(path: Path) -> str | None:
    found = (_format_of(file.name) for file in sorted(path.rglob("*")) if file.is_file())
    return next((item for item in found if item), None)


def _needed_format(path: Path) -> str:
    found = _format_of(path.name)
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
    try:
        columns = context.columns.source_columns(item.source)
    except ValueError as error:
        raise RequestError(f"{item.shown}: {error}.", "Name a table or folder that is there.") from error
    if not columns:
        raise RequestError(f"{item.shown} has no columns that can be read.", "Name a table or folder that has.")
    relation, landings = _relation(context, item.source)
    offer = Offer(item.name, item.shown, item.source, relation, landings, context.profile.dialect, ask)
    return offer, [(column.name, column.type) for column in columns]


def _relation(context: Context, source: SourceRow) -> tuple[str, tuple[str, ...]]:
    """Return a source as a table expression, and those of what arrived together."""
    if source.kind is SourceKind.WAREHOUSE:
        schema = source.external_schema or source.source_schema
        relation = f"{quote_identifier(schema)}.{quote_identifier(source.source_table)}"
        return relation, (relation,)
    context.columns.source_columns(source)  # a load copies text to Parquet, too
    folder = source_folder(context.project, source)
    files = list_files(folder)
    if not files:
        raise RequestError(f"{source.location} holds no {source.format} files.", "Name a folder of data files.")
    ordered = sorted(files, key=lambda file: file.name)
    some = ordered if len(ordered) <= _MOST_LANDINGS else [*ordered[:6], *ordered[-6:]]
    is_mixed = len(files) > 1
    return folder.relation(files, is_mixed=is_mixed), tuple(folder.relation([file]) for file in some)


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
    return _relation(context, known[table])[0]


def _columns_of(
    context: Context, tables: Iterable[TableName], known: Mapping[TableName, SourceRow], rows: ControlRows
) -> dict[TableName, tuple[Column, ...]]:
    """Return the columns of tables; those of a target without a column list are what its SELECT yields."""
    everything = rows.model_copy(update={"sources": tuple(known.values())})
    catalog = Catalog(everything, context.project, context.columns)
    return {table: catalog.table_columns(table) or () for table in tables}


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
