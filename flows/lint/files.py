"""The SQL files of a project, and their text without Jinja; line numbers are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project

_BLOCK: Final = re.compile(r"\{%.*?%\}", re.DOTALL)
_COMMENT: Final = re.compile(r"\{#.*?#\}", re.DOTALL)
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_CONFIG: Final = re.compile(r"\{\{\s*config\(.*?\)\s*\}\}", re.DOTALL)
_FOLDERS: Final = ("transformations", "models")
"""Folders that are linted by default. Compiled SQL is not: it is in the dialect of the target it was compiled for."""


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A file to lint.

    Attributes:
        path: Relative to the project when it is inside, otherwise absolute.
        text: Its SQL; a name with as many lines replaces each Jinja expression.
        has_blocks: Whether it holds Jinja statements: then only its compiled text can be checked.
    """

    path: str
    text: str
    has_blocks: bool = False


def find_files(project: Project, paths: Sequence[Path]) -> tuple[SqlFile, ...]:
    """Read SQL files.

    Args:
        project: The project.
        paths: Files and folders; by default the team's SELECTs and all models.

    Raises:
        ConfigurationError: When a path does not exist or cannot be read.
    """
    chosen = list(paths) or [project.dbt_dir / folder for folder in _FOLDERS if (project.dbt_dir / folder).is_dir()]
    found = dict.fromkeys(file for path in chosen for file in _below(path))
    return tuple(_read(file, project) for file in found)


def _below(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path.absolute()
    elif path.is_dir():
        yield from sorted(file.absolute() for file in path.rglob("*.sql") if file.is_file())
    else:
        raise ConfigurationError(f"There is no file or folder {path}.", "Name SQL files or folders with SQL files.")


def _read(file: Path, project: Project) -> SqlFile:
    shown = str(file.relative_to(project.root) if file.is_relative_to(project.root) else file)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown} cannot be read: {error}.", "Make it readable UTF-8.") from error
    return without_jinja(shown, text)


def without_jinja(path: str, text: str) -> SqlFile:
    """Replace every Jinja expression by a name.

    >>> without_jinja("a.sql", "select a from {{ ref('b') }} as b").text
    'select a from jinja_1 as b'
    """
    text = _COMMENT.sub(_newlines, text)
    if _BLOCK.search(text):
        return SqlFile(path, text, has_blocks=True)
    names = iter(range(1, text.count("{{") + 1))
    text = _CONFIG.sub(_newlines, text)
    return SqlFile(path, _EXPRESSION.sub(lambda match: f"jinja_{next(names)}" + _newlines(match), text))


def _newlines(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")
