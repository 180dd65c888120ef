"""What the shell completes: names of rows, from the control database as it is. It is neither created nor migrated."""

from __future__ import annotations

from collections.abc import Iterable

from metadata_sync.errors import SluiceError


def complete_targets(incomplete: str) -> list[str]:
    """Return the targets that begin so."""
    return _beginning(incomplete, _names("transformation_control"))


def complete_pipelines(incomplete: str) -> list[str]:
    """Return the pipelines that begin so."""
    return _beginning(incomplete, _names("pipeline_control"))


def complete_subjects(incomplete: str) -> list[str]:
    """Return the pipelines and targets that begin so."""
    return _beginning(incomplete, [*_names("pipeline_control"), *_names("transformation_control")])


def complete_sources(incomplete: str) -> list[str]:
    """Return the sources that begin so."""
    return _beginning(incomplete, _names("source_control"))


def complete_tables(incomplete: str) -> list[str]:
    """Return the targets and sources that begin so."""
    return _beginning(incomplete, [*_names("transformation_control"), *_names("source_control")])


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _names(table: str) -> list[str]:
    """Return the keys of a control table's rows; none when they cannot be read: a shell shows no errors."""
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from flows.context import load_context
    from metadata_sync.database.engine import may_exist, open_engine, parse_url
    from metadata_sync.database.tables import metadata
    from metadata_sync.rows.model import ROW_TYPES

    try:
        context = load_context()
        url = parse_url(context.control_url)
        if not may_exist(url):
            return []
        columns = metadata.tables[table].c
        keys = next(row_type.key_columns for row_type in ROW_TYPES if row_type.control_table == table)
        query = select(*(columns[key] for key in keys)).where(columns.environment == context.settings.environment)
        engine = open_engine(url)
        try:
            with engine.connect() as connection:
                return [".".join(row) for row in connection.execute(query)]
        finally:
            engine.dispose()
    except (SluiceError, SQLAlchemyError, OSError):
        return []
