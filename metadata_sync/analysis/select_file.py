"""Read the SELECT of a row: the file of its `sql_path`, or all of the table that it copies."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.names import TableName

_MAX_BYTES: Final = 1_000_000


def read_select(row: TransformationRow, project: Project) -> str | Problem:
    """Return the text of a row's SELECT, or the problem that prevents reading it.

    `sql_path` is relative to the dbt project and must stay inside the project.
    """
    if row.copied is not None:
        return _select_of_copy(row.copied)
    if not row.sql_path:
        remedy = "Set sql_path to a .sql file below dbt_project/, or copy to a table."
        return Problem("missing_value", "A target has a SELECT.", remedy)
    return read_select_file(row.sql_path, project)


def _select_of_copy(table: str) -> str | Problem:
    try:
        return f"SELECT * FROM {TableName.parse(table)}\n"  # noqa: S608 - two identifiers
    except ValueError as error:
        return Problem("bad_name", f"{error}.", "Write copy: schema.table.", table)


def read_select_file(sql_path: str, project: Project) -> str | Problem:
    """Return the text of a SELECT by its path in a row; otherwise as `read_select`."""
    if "://" in sql_path:
        return Problem("sql_path", "SELECTs are read from the project only.", "Put the file below dbt_project/.")
    try:
        path = project.resolve(f"{project.dbt_dir.relative_to(project.root)}/{sql_path}")
    except (ValueError, OSError) as error:
        return Problem("sql_path", f"{error}.", "Put the file below dbt_project/.")
    if not path.is_relative_to(project.dbt_dir) or path.suffix != ".sql":
        message = f"{path.relative_to(project.root)} is not a .sql file below dbt_project/."
        return Problem("sql_path", message, "Put the SELECT into a .sql file below dbt_project/.")
    content = _read_bytes(path, shown=str(path.relative_to(project.root)))
    return content if isinstance(content, Problem) else _decode(content)


def _read_bytes(path: Path, shown: str) -> bytes | Problem:
    """Read an ordinary file of a sensible size; a pipe would never end, and a device never be full."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # O_NONBLOCK: never wait at a pipe
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return Problem("sql_path", f"{shown} is not an ordinary file.", "Put the SELECT into a file.")
            if status.st_size > _MAX_BYTES:
                return _too_large(status.st_size)
            return file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return Problem("sql_path", f"There is no file {shown}.", "Create it, or correct the path.")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Problem("sql_path", f"{shown} cannot be read: {reason}.", "Make it a file that this user can read.")


def _too_large(size: int) -> Problem:
    return Problem("sql_path", f"The file has {size} bytes.", "Shorten it: the limit is a million bytes.")


def _decode(content: bytes) -> str | Problem:
    if len(content) > _MAX_BYTES:
        return _too_large(len(content))
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return Problem("sql_path", f"The file is not UTF-8 (byte {error.start}).", "Save it as UTF-8.")
