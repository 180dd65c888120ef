"""Which SQL a project holds, and its text without Jinja, every line in its place."""

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
"""What is linted unasked. What dbt compiled is in the SQL of the target that it was compiled for."""


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A file to be linted.

    Attributes:
        path: As people name it: relative to the project where it lies in it.
        text: Its SQL; a Jinja expression became a name, with as many lines.
        has_blocks: Whether it holds Jinja statements: then only its compiled text can be read.
    """

    path: str
    text: str
    has_blocks: bool = False


def find_files(project: Project, paths: Sequence[Path]) -> tuple[SqlFile, ...]:
    """Read SQL files.

    Args:
        project: The project.
        paths: Files and folders; none: the team's SELECTs and all models.

    Raises:
        ConfigurationError: When a path is not there or cannot be read.
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
        raise ConfigurationError(f"There is no file or folder {path}.", "Name SQL files, or folders that hold some.")


def _read(file: Path, project: Project) -> SqlFile:
    shown = str(file.relative_to(project.root) if file.is_relative_to(project.root) else file)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown} cannot be read: {error}.", "Save it as UTF-8, readable for you.") from error
    return without_jinja(shown, text)


def without_jinja(path: str, text: str) -> SqlFile:
    """Put a name in the place of every Jinja expression.

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
