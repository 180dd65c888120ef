"""The project with the proposed rows only, in a folder that is removed afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flows.context import Context
from flows.warehouse.lake.folder import LakeFile, list_files, source_folder
from flows.warehouse.profile import read_yaml
from metadata_sync.control.bundle import read_project
from metadata_sync.rows.model import ControlRows

if TYPE_CHECKING:
    from flows.onboard.model import Proposal
    from metadata_sync.project import Project

_FILES: Final = 3
"""Files of a source that are loaded: the first ones and the last."""

_LEFT_BEHIND: Final = ("target", "logs", "dbt_packages", "generated", "control")


@contextmanager
def copied(context: Context, rows: ControlRows, environment: str) -> Iterator[Context]:
    """Copy the project and a few files of each source; control tables and an embedded warehouse are empty ones.

    Args:
        context: The project.
        rows: What the copy is to have.
        environment: Name of its environment.
    """
    project = context.project
    project.state_dir.mkdir(exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="trial-", dir=project.state_dir)).resolve()
    try:
        shutil.copytree(project.dbt_dir, root / project.dbt_folder, ignore=_ignored, dirs_exist_ok=True)
        for file in (project.profiles_file, project.root / ".env"):
            if file.is_relative_to(project.root) and file.exists():
                target = root / file.relative_to(project.root)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, target)
        _link_macros(project, root)
        for source in rows.sources:
            if source.location is not None and not source.location.startswith("s3://"):
                _link(list_files(source_folder(project, source)), project.root, root)
        settings = context.settings.model_copy(
            update={
                "control_url": None,
                "duckdb_path": root / "trial.duckdb",
                "environment": environment,
                "dbt_target": context.profile.target,
            }
        )
        copy = replace(project, root=root)
        copy.control_dir.mkdir(parents=True)
        trial = Context(copy, settings, context.who, context.clock)
        try:
            yield trial
        finally:
            trial.store.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def rows_of(context: Context, proposals: Sequence[Proposal]) -> ControlRows:
    """Return the rows of proposed targets, their pipelines and what they read, as the project's files have them."""
    declared = read_project(context.project, context.settings.environment).rows
    wanted = {proposal.target for proposal in proposals}
    targets = tuple(row for row in declared.transformations if row.name in wanted)
    pipelines = {row.pipeline_id for row in targets}
    read = {item.table for row in targets for item in row.dependencies}
    return ControlRows(
        sources=tuple(row for row in declared.sources if str(row.name) in read),
        pipelines=tuple(row for row in declared.pipelines if row.pipeline_id in pipelines),
        transformations=targets,
    )


def _link_macros(project: Project, root: Path) -> None:
    """Link folders of macros that are beside dbt's folder: this repository's own project has them there."""
    for folder in read_yaml(project.dbt_dir / "dbt_project.yml").get("macro-paths") or ():
        path = (project.dbt_dir / str(folder)).resolve()
        if path.is_relative_to(project.root) and not path.is_relative_to(project.dbt_dir):
            link = root / path.relative_to(project.root)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path, target_is_directory=True)


def _ignored(folder: str, names: list[str]) -> Iterable[str]:
    del folder
    return [name for name in names if name in _LEFT_BEHIND]


def _link(files: Sequence[LakeFile], old: Path, new: Path) -> None:
    """Put the first files of a source and the last one at the same place of the copy."""
    some = [*files[: _FILES - 1], files[-1]] if len(files) > _FILES else list(files)
    for file in some:
        path = Path(file.original or file.path)
        place = new / path.relative_to(old)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:  # another file system
            shutil.copy2(path, place)
