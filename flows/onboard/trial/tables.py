"""Samples of tables that are in the warehouse, and the place of a trial's own tables.

On DuckDB that place is another file. On a server it is schemas with a prefix, which name the time at which they were
made: those of a trial that was killed are removed by a later one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flows.context import reading
from flows.warehouse.connection import first_line
from flows.warehouse.writes import run_writes
from metadata_sync.errors import HardRunError, SoftRunError
from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.rows.vocabulary import SourceKind
from metadata_sync.sql.parse import parse_select
from metadata_sync.sql.rewrite import replace_tables

if TYPE_CHECKING:
    from flows.context import Context

ROWS: Final = 10_000
"""Rows of a table that are loaded."""

_TIME: Final = "%Y%m%d%H%M"
_PREFIX: Final = re.compile(r"trial_(\d{12})_[0-9a-f]{4}_")
_FORGOTTEN: Final = timedelta(days=1)
"""Age at which schemas belong to a trial that was killed."""


def environment(context: Context) -> str:
    """Return the environment of a trial: on a server a new one, which its schemas begin with."""
    if context.profile.is_embedded:
        return context.settings.environment
    return f"trial_{context.now():{_TIME}}_{secrets.token_hex(2)}"


def refusal(context: Context) -> str | None:
    """Return why a server lets this role make no schemas; None when it does."""
    schema = f"{environment(context)}_probe"
    try:
        run_writes(context.profile, [f"create schema {schema}", f"drop schema {schema}"])
    except HardRunError as error:
        return error.message
    return None


@contextmanager
def sampled(context: Context, trial: Context, rows: ControlRows) -> Iterator[ControlRows]:
    """Copy a sample of the tables that rows read; afterwards remove it, and what was loaded.

    Args:
        context: The project.
        trial: The copy of it, in which the rows are loaded.
        rows: Rows of sources and of targets that read them.

    Yields:
        The rows, as they read the samples.
    """
    sources = [source for source in rows.sources if not source.location or not context.profile.is_embedded]
    if context.profile.is_embedded:
        _copy_into_file(context, trial, sources)
        yield rows
        return
    prefix = f"{trial.settings.environment}_"
    try:
        run_writes(context.profile, [*_schemas(sources, prefix), *(_sample(source, prefix) for source in sources)])
        yield _reading_samples(trial, rows, prefix)
    finally:
        _drop(context, prefix)


def _copy_into_file(context: Context, trial: Context, sources: Sequence[SourceRow]) -> None:
    import duckdb

    file = context.profile.database_file
    if not sources:
        return
    try:
        with duckdb.connect(str(trial.profile.database_file)) as connection:
            connection.execute(f"attach '{_escaped(file)}' as warehouse (read_only)")
            for source in sources:
                connection.execute(f"create schema if not exists {quote_identifier(source.source_schema)}")
                table = _table(source.name)
                connection.execute(f"create table {table} as select * from warehouse.{table} limit {ROWS}")  # noqa: S608 - quoted names
    except duckdb.Error as error:
        raise SoftRunError(f"{file} cannot be read now: {first_line(error)}") from error


def _escaped(file: Path) -> str:
    return str(file).replace("'", "''")


def _schemas(sources: Sequence[SourceRow], prefix: str) -> Iterator[str]:
    for schema in sorted({source.source_schema for source in sources}):
        yield f"create schema {quote_identifier(prefix + schema)}"


def _sample(source: SourceRow, prefix: str) -> str:
    physical = TableName(source.external_schema or source.source_schema, source.source_table)
    copy = TableName(prefix + source.source_schema, source.source_table)
    return f"create table {_table(copy)} as select * from {_table(physical)} limit {ROWS}"  # noqa: S608 - quoted names


def _table(name: TableName) -> str:
    return f"{quote_identifier(name.schema)}.{quote_identifier(name.table)}"


def _reading_samples(trial: Context, rows: ControlRows, prefix: str) -> ControlRows:
    """Return rows that read the samples, and rewrite their SELECTs in the copy of the project."""
    samples = {
        str(source.name): TableName(prefix + source.source_schema, source.source_table) for source in rows.sources
    }
    for row in rows.transformations:
        if row.copied is None:
            _rewrite(trial, row, samples)
    return ControlRows(
        sources=tuple(_source_of_sample(source, samples[str(source.name)]) for source in rows.sources),
        pipelines=rows.pipelines,
        transformations=tuple(_target_of_samples(row, samples) for row in rows.transformations),
    )


def _source_of_sample(source: SourceRow, sample: TableName) -> SourceRow:
    nothing = {"location": None, "format": None, "external_schema": None, "catalog_table": None, "columns": ()}
    return source.model_copy(update={"source_schema": sample.schema, "kind": SourceKind.WAREHOUSE, **nothing})


def _target_of_samples(row: TransformationRow, samples: dict[str, TableName]) -> TransformationRow:
    reads = tuple(item.model_copy(update={"table": str(samples[item.table])}) for item in row.dependencies)
    copied = None if row.copied is None else str(samples[row.copied])
    return row.model_copy(update={"dependencies": reads, "copied": copied})


def _rewrite(trial: Context, row: TransformationRow, samples: dict[str, TableName]) -> None:
    path = trial.project.dbt_dir / row.sql_path
    select, _ = parse_select(path.read_text(encoding="utf-8"), trial.profile.dialect)
    if select is not None:  # validate tells of one that is none
        path.write_text(replace_tables(select, {name: str(samples[str(name)]) for name in select.tables}), "utf-8")


def _drop(context: Context, prefix: str) -> None:
    """Drop the schemas of a trial, and of those that were killed."""
    with reading(context, context.profile) as warehouse:
        found = warehouse.query("select nspname from pg_catalog.pg_namespace where nspname like 'trial%'")
    schemas = [str(schema) for (schema,) in found if str(schema).startswith(prefix) or _is_forgotten(context, schema)]
    run_writes(context.profile, [f"drop schema {quote_identifier(schema)} cascade" for schema in sorted(schemas)])


def _is_forgotten(context: Context, schema: str) -> bool:
    made = _PREFIX.match(schema)
    if made is None:
        return False
    return context.now() - datetime.strptime(made[1], _TIME).replace(tzinfo=UTC) > _FORGOTTEN
