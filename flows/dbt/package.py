"""The dbt package `sluice`: the macros that travel in the wheel, linked into a project's `dbt_packages/`.

dbt reads every folder of `dbt_packages/`, so no `dbt deps` is needed. The link is not in git: each command that writes
models or starts dbt makes it, or corrects it. A second link, below `.sluice/`, is what `packages.yml` lists
(`package_list`): dbt-core 1.12 counts, and `dbt deps` installs from there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from flows.dbt.package_list import LINK, ensure_listed
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project

PACKAGE: Final = "sluice"
_DEFAULT_FOLDER: Final = "dbt_packages"


def package_dir() -> Path:
    """Return the folder of the macros: inside the installed package, or at the top of the repository."""
    installed = Path(__file__).with_name("macros")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "macros"


def link_package(project: Project) -> None:
    """Link the macros into the project, and see that dbt's list of packages names them.

    Raises:
        ConfigurationError: When a link cannot be written, or the list is there without them.
    """
    if not _has_own(project):
        ensure_listed(project.root, project.dbt_dir)
        make_links(project)


def make_links(project: Project) -> None:
    """Link the macros into the project, unless it reads them already or holds a copy of its own.

    Raises:
        ConfigurationError: When a link cannot be written.
    """
    link = package_link(project)
    if link is None or _has_own(project):
        return
    (project.root / LINK).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (project.root / LINK, link):
        if not _points_to(path, package_dir()):
            _link(path)


def _link(link: Path) -> None:
    unfinished = link.with_name(f".{PACKAGE}.{os.getpid()}")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(package_dir(), target_is_directory=True)
        unfinished.replace(link)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise ConfigurationError(
            f"The macros cannot be linked into {link}: {error.strerror}.",
            f"Make {link.parent} writable, or link it yourself: ln -s {package_dir()} {link}",
        ) from error


def package_link(project: Project) -> Path | None:
    """Return where the macros are linked; None for this repository's own project, which lists ../macros."""
    document = project_settings(project.dbt_dir)
    if document.get("name") == PACKAGE:
        return None
    return project.dbt_dir / str(document.get("packages-install-path") or _DEFAULT_FOLDER) / PACKAGE


def _has_own(project: Project) -> bool:
    """Whether the project has the macros by itself: this repository's, and one that holds a copy."""
    link = package_link(project)
    return link is None or (link.exists() and not link.is_symlink())


def package_version(folder: Path) -> str | None:
    """Return the version of the macros in a folder; None when it holds none."""
    settings = project_settings(folder)
    return str(settings.get("version")) if settings else None


def _points_to(link: Path, folder: Path) -> bool:
    with suppress(OSError):
        return link.readlink() == folder
    return False


def project_settings(folder: Path) -> dict[str, Any]:
    """Return a folder's dbt_project.yml, or nothing when there is none; one that is not YAML is dbt's to report."""
    with suppress(OSError, yaml.YAMLError, UnicodeDecodeError):
        document = yaml.safe_load((folder / "dbt_project.yml").read_text(encoding="utf-8"))
        if isinstance(document, dict):
            return document
    return {}
