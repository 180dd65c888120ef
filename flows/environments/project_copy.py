"""The project in another folder, with control tables, settings and an embedded warehouse of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from flows.context import Context
from flows.warehouse.lake.folder import LakeFile, list_files, source_folder
from flows.warehouse.profile import read_yaml
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow

_FILES: Final = 3
"""Files of a source that are loaded: the first ones and the last."""

_LEFT_BEHIND: Final = ("target", "logs", "dbt_packages", "generated", "control", ".sluice", ".git", ".venv")


@contextmanager
def copied(
    context: Context, root: Path, environment: str, sources: Sequence[SourceRow], version: Project | None = None
) -> Iterator[Context]:
    """Copy the project, and a few files of each lake source; its control tables and embedded warehouse are empty.

    Args:
        context: The project.
        root: The folder of the copy; it does not exist.
        environment: Name of its environment.
        sources: Sources whose files are to be there.
        version: The project whose SELECTs and macros are copied; None: this one.
    """
    copy = replace(context.project, root=root.resolve())
    copy_files(context.project, version or context.project, copy, sources)
    for file in (context.project.profiles_file, context.project.root / ".env"):
        if file.is_relative_to(context.project.root) and file.exists():
            target = copy.root / file.relative_to(context.project.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    for source in sources:
        if source.location is not None and not source.location.startswith("s3://"):
            _link(list_files(source_folder(context.project, source)), context.project.root, copy.root)
    quiet: dict[str, Any] = {
        "alert_channel": None,
        "job_group_channels": {},
        "tries": 1,
        "first_load_rows": 0,
        "control_url": None,
    }
    place = {"duckdb_path": copy.root / "warehouse.duckdb", "environment": environment}
    update = {**quiet, **place, "dbt_target": context.profile.target}
    trial = Context(copy, context.settings.model_copy(update=update), context.who, context.clock)
    try:
        yield trial
    finally:
        if "store" in trial.__dict__:
            trial.store.close()


def copy_files(project: Project, version: Project, copy: Project, sources: Sequence[SourceRow]) -> None:
    """Copy SELECTs and macros; rows and data are left behind.

    Args:
        project: The project, for macros beside dbt's folder.
        version: The project whose files are copied.
        copy: The project that gets them, in a folder that does not exist.
        sources: Sources, whose files may be in the folder of a dbt project to which Sluice was added.
    """
    data = {PurePosixPath(source.location or "").parts[:1] for source in sources}
    folders = set() if project.dbt_folder else {name for parts in data for name in parts}

    def left_behind(folder: str, names: list[str]) -> Iterable[str]:
        is_top = Path(folder) == version.dbt_dir
        return [name for name in names if name in _LEFT_BEHIND or (is_top and name in folders)]

    home = copy.home or copy.root
    dbt_dir = home / project.dbt_folder  # the copy cannot say yet whether it is a dbt project itself
    shutil.copytree(version.dbt_dir, dbt_dir, ignore=left_behind, dirs_exist_ok=True)
    (dbt_dir / "control").mkdir(parents=True)
    copy.make_state_dir()
    _link_macros(project, home)


def _link_macros(project: Project, root: Path) -> None:
    """Link folders of macros that are beside dbt's folder: this repository's own project has them there."""
    for folder in read_yaml(project.dbt_dir / "dbt_project.yml").get("macro-paths") or ():
        path = (project.dbt_dir / str(folder)).resolve()
        if path.is_relative_to(project.root) and not path.is_relative_to(project.dbt_dir):
            link = root / path.relative_to(project.root)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path, target_is_directory=True)


def _link(files: Sequence[LakeFile], old: Path, new: Path) -> None:
    """Put the first files of a source and the last one at the same place of the copy."""
    some = [*files[: _FILES - 1], files[-1]] if len(files) > _FILES else list(files)
    for file in some:
        path = Path(file.original or file.path)
        place = new / path.relative_to(old)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except FileExistsError:  # two sources read one folder
            continue
        except OSError:  # another file system
            shutil.copy2(path, place)
