"""The DuckDB file of the environment that everything else is read from, attached to another one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from flows.warehouse.connection import first_line, literal
from metadata_sync.errors import HardRunError, SoftRunError
from metadata_sync.rows.names import TableName

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from flows.context import Context

ATTACHED: Final = "sluice_base"
"""The file, as connections name it."""


@contextmanager
def beside_base(base: Context, file: Path, tables: Collection[TableName]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a file with the environment's beside it, to read.

    Args:
        base: The project in the environment.
        file: The file to write, made where it is missing.
        tables: What is read of the environment.

    Raises:
        HardRunError: When the environment has loaded nothing, or misses a table.
        SoftRunError: When its file cannot be read now.
    """
    import duckdb

    whole, environment = base.profile.database_file, base.settings.environment
    if not whole.exists():
        names = ", ".join(sorted(map(str, tables)))
        raise HardRunError(
            f"Environment {environment} has loaded nothing yet; {names} would be read from it.",
            f"Load it there first: SLUICE_ENVIRONMENT={environment} sluice run",
        )
    try:
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"attach {literal(str(whole))} as {ATTACHED} (read_only)")
            yield connection
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise HardRunError(f"{whole} was refused: {first_line(error)}") from error
    except duckdb.Error as error:
        raise SoftRunError(f"{whole} cannot be read now: {first_line(error)}") from error
