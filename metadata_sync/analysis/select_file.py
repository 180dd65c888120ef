"""Read the file of a row's `sql_path`."""

from __future__ import annotations

from typing import Final

from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.rows.model import TransformationRow

_MAX_BYTES: Final = 1_000_000


def read_select(row: TransformationRow, project: Project) -> str | Problem:
    """Return the text of a row's SELECT, or the problem that prevents reading it.

    `sql_path` is relative to the dbt project and must stay inside the project.
    """
    if "://" in row.sql_path:
        return Problem("sql_path", "SELECTs are read from the project only.", "Put the file below dbt_project/.")
    try:
        path = project.resolve(f"{project.dbt_dir.name}/{row.sql_path}")
    except ValueError as error:
        return Problem("sql_path", f"{error}.", "Put the file below dbt_project/.")
    shown = path.relative_to(project.root)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Problem("sql_path", f"There is no file {shown}.", "Create it, or correct the path.")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return Problem("sql_path", f"{shown} cannot be read: {reason}.", "Make it a file that this user can read.")
    return _decode(content)


def _decode(content: bytes) -> str | Problem:
    if len(content) > _MAX_BYTES:
        return Problem("sql_path", f"The file has {len(content)} bytes.", "Shorten it: the limit is a million bytes.")
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return Problem("sql_path", f"The file is not UTF-8 (byte {error.start}).", "Save it as UTF-8.")
