"""Whether some pipelines are in step with their files, told from their own rows and files alone.

A sync looks at all rows, because rules compare rows with one another. After one that found everything in step and no
fault, what these pipelines consist of is remembered, with the newest change of any row. While no row anywhere has
changed since then, and none of their files, another sync would find the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from metadata_sync.analysis.declared_tests import FILE_NAME
from metadata_sync.analysis.unit_tests import find_test_files
from metadata_sync.rows.model import TransformationRow
from metadata_sync.sync.generated import RENDER_VERSION
from metadata_sync.sync.last_look import Snapshot, recall, remember, take_snapshot

if TYPE_CHECKING:
    from metadata_sync.database import ControlStore, StoredRows
    from metadata_sync.project import Project

_NAME_LENGTH: Final = 16


class Part:
    """Rows and files of some pipelines at one moment.

    Args:
        store: The environment's control database.
        project: The project with the files.
        dialect: The warehouse's dialect.
        pipelines: Ids of the pipelines.
    """

    def __init__(self, store: ControlStore, project: Project, dialect: str, pipelines: Collection[str]) -> None:
        self._project = project
        self._name = f"-{hashlib.sha256(' '.join(sorted(set(pipelines))).encode()).hexdigest()[:_NAME_LENGTH]}"
        change = store.last_change()  # before the rows: what changes meanwhile is a later change
        self.stored: StoredRows = store.read_part(pipelines)
        self._snapshot = _snapshot(project, self.stored, dialect, change)

    @property
    def is_in_step(self) -> bool:
        """Whether nothing changed since a sync found these pipelines, and everything else, in step."""
        return recall(self._project, self._snapshot, self._name) is not None

    def remember(self) -> None:
        """Note that a sync that began after this moment found everything in step, and no fault."""
        remember(self._project, self._snapshot, (), self._name)


def _snapshot(project: Project, stored: StoredRows, dialect: str, change: str) -> Snapshot:
    inputs = "part", change, str(RENDER_VERSION), dialect, stored.digest, *sorted(project.allowed_functions)
    tests = [str(path.relative_to(project.dbt_dir)) for path in find_test_files(project)]
    paths = [*stored.sql_paths, FILE_NAME, *tests]
    return take_snapshot(project, inputs, paths, pipelines=_pipelines(stored))


def _pipelines(stored: StoredRows) -> frozenset[str]:
    """Return the pipelines whose models these are: those of the rows and of what they read."""
    return frozenset(str(row["pipeline_id"]) for row_type, row in stored.stored if row_type is TransformationRow)
