"""SELECTs as the control database keeps them: by path, read from and written to the project's files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from metadata_sync.analysis.declared_tests import FILE_NAME
from metadata_sync.analysis.select_file import read_select_file
from metadata_sync.analysis.unit_tests import find_test_files
from metadata_sync.errors import ConfigurationError
from metadata_sync.files import replace_file
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRow, ControlRows, TransformationRow


def selects_of(rows: Iterable[ControlRow], project: Project) -> dict[str, str]:
    """Return the SELECTs of transformations by `sql_path`, as far as their files can be read."""
    paths = [row.sql_path for row in rows if isinstance(row, TransformationRow) and row.sql_path]
    return read_selects(paths, project)


def read_selects(paths: Iterable[str], project: Project) -> dict[str, str]:
    """Return SELECTs by `sql_path`, as far as their files can be read."""
    found = {path: read_select_file(path, project) for path in dict.fromkeys(paths)}
    return {path: text for path, text in found.items() if isinstance(text, str)}


@contextmanager
def written(texts: Mapping[str, str], project: Project) -> Iterator[None]:
    """Write SELECTs into their files, each of them whole or not at all; put all back when the block fails.

    Args:
        texts: `sql_path` → the SELECT.
        project: The project.

    Raises:
        ConfigurationError: When a file cannot be written.
    """
    files = {project.dbt_dir / path: text for path, text in texts.items()}
    before = {path: path.read_bytes() if path.exists() else None for path in files}
    try:
        for path, text in files.items():
            _replace(path, text.encode())
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                _replace(path, content)
        raise


@contextmanager
def as_if_written(texts: Mapping[str, str], rows: ControlRows, project: Project) -> Iterator[Project]:
    """Yield the project with other SELECTs, in a folder that is removed afterwards.

    The folder has what rules read: SELECTs of the rows, and tests. Data stay where they are.

    Args:
        texts: `sql_path` → the SELECT.
        rows: All rows that are to be looked at.
        project: The project.
    """
    project.make_state_dir()
    with tempfile.TemporaryDirectory(prefix="selects-", dir=project.state_dir) as folder:
        other = replace(project, home=Path(folder).resolve())
        paths = {row.sql_path for row in rows.transformations if row.sql_path}
        tests = [path.relative_to(project.dbt_dir).as_posix() for path in find_test_files(project)]
        for path in sorted({*paths, *tests, FILE_NAME}):
            source = (project.dbt_dir / path).resolve()
            if source.is_file() and source.is_relative_to(project.dbt_dir.resolve()):
                _replace(other.dbt_dir / path, source.read_bytes())
        for path, text in texts.items():
            _replace(other.dbt_dir / path, text.encode())
        yield other


def _replace(path: Path, content: bytes) -> None:
    try:
        replace_file(path, content)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"{path} cannot be written: {reason}.", "Make its folder writable.") from error
