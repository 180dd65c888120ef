"""Where the Parquet copies of a text source's files are: CSV and JSON are read once, and from then on as Parquet."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow

TEXT_FORMATS: Final = ("csv", "json", "ndjson")
COPY_SUFFIX: Final = ".parquet"
"""What a copy's name adds to the file's."""
_RULES: Final = 1
"""Raised when the rules change by which text becomes values: all copies are then made again."""


def is_text(source: SourceRow) -> bool:
    """Whether a source's files are text, which has no types of its own."""
    return source.format in TEXT_FORMATS


def copies_of_project(project: Project) -> Path:
    """Return the folder of all copies."""
    return project.state_dir / "copies"


def copies_folder(project: Project, source: SourceRow) -> Path:
    """Return the folder of a text source's copies; another one when the row reads its files in another way."""
    options = source.format_options.model_dump_json() if source.format_options else ""
    columns = [(column.name, column.type) for column in source.columns]
    read_as = f"{_RULES} {source.location} {source.format} {options} {columns}"
    return copies_of_project(project) / f"{source.key}-{hashlib.sha256(read_as.encode()).hexdigest()[:8]}"


def copies_pattern(folder: Path) -> str:
    """Return the glob of the copies in a source's folder."""
    return f"{folder}/data/**/*{COPY_SUFFIX}"
