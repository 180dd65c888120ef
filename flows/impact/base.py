"""The project as a git ref holds it, in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from metadata_sync.errors import ConfigurationError, RequestError
from metadata_sync.project import Project


@contextmanager
def project_at(project: Project, ref: str) -> Iterator[Project]:
    """Yield the project as a commit holds it: its control files and SELECTs.

    Args:
        project: The project, below a git repository.
        ref: A commit, branch or tag.

    Raises:
        RequestError: When there is no such ref.
        ConfigurationError: When git is missing, or the project is in no repository.
    """
    top = Path(_git(project.root, "rev-parse", "--show-toplevel").strip())
    below = project.root.resolve().relative_to(top.resolve())
    commit = _commit(project.root, ref)
    folder = Path(tempfile.mkdtemp(prefix="sluice-ref-")).resolve()
    try:
        packed = _archive(top, commit, str(below / project.dbt_folder))
        if packed is not None:
            with tarfile.open(fileobj=BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")
        root = folder / below
        (root / project.dbt_folder).mkdir(parents=True, exist_ok=True)
        (root / project.dbt_folder / "dbt_project.yml").touch()
        yield replace(project, root=root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def uncommitted(project: Project) -> tuple[str, ...]:
    """Return the files of the dbt project that no commit has as they are, as paths below the project.

    Raises:
        ConfigurationError: When git is missing, or the project is in no repository.
    """
    below = Path(_git(project.root, "rev-parse", "--show-prefix").strip())
    asked = ("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    found = _git(project.root, *asked, "--", project.dbt_folder)
    return tuple(str(Path(entry[3:]).relative_to(below)) for entry in found.split("\0") if entry)


def _commit(root: Path, ref: str) -> str:
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    except subprocess.CalledProcessError as error:
        raise RequestError(f"There is no commit, branch or tag {ref!r} here.", "Fetch it first: git fetch") from error


def _archive(top: Path, commit: str, path: str) -> bytes | None:
    """Return a tar of a folder at a commit; None when the commit has no such folder."""
    command = ["git", "-C", str(top), "archive", "--format=tar", commit, "--", path]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - a commit that git resolved
    return done.stdout if done.returncode == 0 else None


def _git(root: Path, *arguments: str) -> str:
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - no shell
    except FileNotFoundError as error:
        raise ConfigurationError("git is not installed.", "Install it: plans compare with a commit.") from error
    except subprocess.CalledProcessError as error:
        if arguments[0] == "rev-parse" and "--verify" in arguments:
            raise
        raise ConfigurationError(f"{root} is in no git repository.", "Commit the project first.") from error
    return done.stdout
