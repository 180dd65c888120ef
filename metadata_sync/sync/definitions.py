"""What the rows of targets are derived by today: read from the generated models, without parsing any SELECT."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from metadata_sync.project import Project
    from metadata_sync.rows.model import ControlRows, TransformationRow
    from metadata_sync.rows.names import TableName
    from metadata_sync.sync.generated import GeneratedFile

_WRITTEN: Final = re.compile(r'\{\{ config\(meta=\{"row_definition": "(?P<hash>[0-9a-f]+)".*\}\) \}\}\s*\Z')
"""The last line that `render.model_text` writes."""


def model_file(row: TransformationRow, rows: ControlRows, project: Project, dialect: str) -> GeneratedFile:
    """Return the SQL file that a row requires."""
    from metadata_sync.analysis.select_file import read_select
    from metadata_sync.rows.resolve import model_reads, window_key
    from metadata_sync.rows.vocabulary import Increment
    from metadata_sync.sync.generated import RENDER_VERSION, GeneratedFile, digest

    text = read_select(row, project)
    relations: list[object] = [[str(item.name), item.jinja] for item in model_reads(row, rows)]
    restated = [item for item in row.dependencies if item.restates]
    if restated:  # the joins that lead to them are written into the model, for the columns that identify an event
        by = [[item.table, *item.restate_by] for item in restated]
        relations.append([row.load_type, list(row.business_key), list(row.sequence_by), window_key(row, rows), by])
    if row.increment is Increment.GROUPS and not row.recompute_key:  # the groups may be named by columns of the output
        relations.append([[item.table, *item.recompute_by] for item in row.driving])
    select = text if isinstance(text, str) else text.message
    inputs = digest(str(RENDER_VERSION), dialect, select, json.dumps(relations))
    return GeneratedFile(
        _model_path(row, project), f"transformation_control[{row.key}] and {row.select_origin}", inputs
    )


def select_hashes(
    targets: Iterable[TransformationRow], rows: ControlRows, project: Project, dialect: str, *, is_in_step: bool
) -> Mapping[TableName, str]:
    """Return the hash of the SELECT of each target.

    Args:
        targets: The rows to look at.
        rows: All rows of the environment.
        project: The project with the generated models.
        dialect: The warehouse's dialect.
        is_in_step: Whether sync has just written the models; else each is compared with its SELECT first.

    Returns:
        Target → hash; without those whose SELECT cannot be read or parsed.
    """
    found = {}
    for row in targets:
        path = _model_path(row, project)
        is_current = is_in_step and path.is_file()
        if not is_current:
            from metadata_sync.sync.generated import FileState, file_state

            is_current = file_state(model_file(row, rows, project, dialect)) is FileState.CURRENT
        value = _written_hash(path) if is_current else _parsed_hash(row, project, dialect)
        if value is not None:
            found[row.name] = value
    return found


def _model_path(row: TransformationRow, project: Project) -> Path:
    return project.generated_dir / row.pipeline_id / f"{row.name.model_name}.sql"


def _written_hash(path: Path) -> str | None:
    written = _WRITTEN.search(path.read_text(encoding="utf-8"))
    return written["hash"] if written else None


def _parsed_hash(row: TransformationRow, project: Project, dialect: str) -> str | None:
    from metadata_sync.analysis.select_file import read_select
    from metadata_sync.sql import parse_select
    from metadata_sync.sql.definition import definition_hash

    text = read_select(row, project)
    select = parse_select(text, dialect)[0] if isinstance(text, str) else None
    return None if select is None else definition_hash(select)
