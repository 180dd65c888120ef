"""Write tables of the warehouse to files, whole: Parquet from DuckDB, CSV from PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flows.warehouse.connection import connect_postgres, first_line
from flows.warehouse.profile import Profile
from metadata_sync.errors import HardRunError, SoftRunError
from metadata_sync.rows.names import quote_identifier

_TIMEOUT_SECONDS: Final = 0
"""PostgreSQL's word for no limit."""


def export_table(profile: Profile, schema: str, table: str, folder: Path) -> Path:
    """Write a table to a file in a folder.

    Args:
        profile: The warehouse; DuckDB or PostgreSQL.
        schema: The schema, as the warehouse names it.
        table: The table.
        folder: An existing folder.

    Returns:
        The file.

    Raises:
        SoftRunError: When the warehouse cannot be read now.
        HardRunError: When it refuses, or the file cannot be written.
    """
    file = folder / f"{table}.{'parquet' if profile.is_embedded else 'csv'}"
    try:
        (_from_duckdb if profile.is_embedded else _from_postgres)(profile, (schema, table), file)
    except OSError as error:
        raise HardRunError(f"{file} cannot be written: {error.strerror or error}.", "Name another folder.") from error
    return file


def _from_duckdb(profile: Profile, name: tuple[str, str], file: Path) -> None:
    import duckdb
    from sqlglot import exp

    try:
        with duckdb.connect(str(profile.database_file), read_only=True) as connection:
            place = exp.Literal.string(str(file)).sql("duckdb")
            table = ".".join(map(quote_identifier, name))
            connection.execute(f"copy (from {table}) to {place} (format parquet)")
    except duckdb.Error as error:
        raise HardRunError(f"{'.'.join(name)} cannot be exported: {first_line(error)}") from error


def _from_postgres(profile: Profile, name: tuple[str, str], file: Path) -> None:
    import psycopg
    from psycopg import sql

    statement = sql.SQL("copy (select * from {}) to stdout (format csv, header)").format(sql.Identifier(*name))
    try:
        with (
            connect_postgres(profile, _TIMEOUT_SECONDS) as connection,
            file.open("wb") as output,
            connection.cursor().copy(statement) as rows,
        ):
            for chunk in rows:
                output.write(chunk)
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise SoftRunError(f"The warehouse did not answer: {first_line(error)}") from error
    except psycopg.Error as error:
        raise HardRunError(f"{'.'.join(name)} cannot be exported: {first_line(error)}") from error
