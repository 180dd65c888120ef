"""Where the project is: the folder that holds `dbt_project/dbt_project.yml` and `profiles.yml`.

A dbt project to which Sluice was added holds `dbt_project.yml` and `control/` itself.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metadata_sync.errors import ConfigurationError

_PRIVATE: Final = 0o700
_FOLDER: Final = "dbt_project"


@dataclass(frozen=True, slots=True)
class Project:
    """A Sluice project on disk.

    Attributes:
        root: Absolute path of the project's folder.
        allowed_functions: Functions, in lower case, that the team lets SELECTs call beside the known ones.
        home: Folder of an environment's own SELECTs, rows and state; None: the root. Data are below the root.
    """

    root: Path
    allowed_functions: frozenset[str] = frozenset()
    home: Path | None = None

    @property
    def dbt_dir(self) -> Path:
        """The dbt project: `dbt_project/`, or the root itself where Sluice was added to a dbt project."""
        return (self.home or self.root) / self.dbt_folder

    @property
    def dbt_folder(self) -> str:
        """The dbt project below the root, with a slash at its end; empty where it is the root itself."""
        return "" if _is_flat(self.root) else f"{_FOLDER}/"

    @property
    def control_dir(self) -> Path:
        """The team's control rows, as YAML."""
        return self.dbt_dir / "control"

    @property
    def generated_dir(self) -> Path:
        """Models written by `sluice sync`, ignored by git."""
        return self.dbt_dir / "models" / "generated"

    @property
    def profiles_file(self) -> Path:
        """The connection profiles of dbt: the project's, else the user's, where dbt looks as well."""
        if self.home is not None and (self.home / "profiles.yml").exists():
            return self.home / "profiles.yml"
        own = self.root / "profiles.yml"
        if own.exists() or not _is_flat(self.root):
            return own
        return Path(os.environ.get("DBT_PROFILES_DIR") or Path.home() / ".dbt") / "profiles.yml"

    @property
    def state_dir(self) -> Path:
        """`.sluice/`: embedded databases, locks, the local Prefect server; ignored by git."""
        return (self.home or self.root) / ".sluice"

    def make_state_dir(self) -> Path:
        """Create `.sluice/`, or close it to other users: it holds rows, loaded data and the local server's password.

        Raises:
            OSError: When it cannot be made.
        """
        self.state_dir.mkdir(mode=_PRIVATE, exist_ok=True)
        self.close_state_dir()
        return self.state_dir

    def close_state_dir(self) -> None:
        """Close `.sluice/` to other users where this user may; a missing one is left missing."""
        with contextlib.suppress(OSError):  # not there, or somebody else's
            if stat.S_IMODE(self.state_dir.stat().st_mode) != _PRIVATE:
                self.state_dir.chmod(_PRIVATE)

    def resolve(self, path: str) -> Path:
        """Resolve a path written in a row against the project's root.

        Raises:
            ValueError: When the path leaves the project, or its links form a loop.
        """
        try:
            resolved = (self.root / path).resolve(strict=True)
        except FileNotFoundError:  # it does not exist yet
            resolved = (self.root / path).resolve()
        except (OSError, RuntimeError) as error:  # until Python 3.12 a loop of links is a RuntimeError
            raise ValueError(f"{path!r} cannot be followed: {error}") from error
        if not resolved.is_relative_to(self.root):
            raise ValueError(f"{path!r} leaves the project {self.root}")
        return resolved


def find_project(start: Path | None = None) -> Project:
    """Find the project: `SLUICE_PROJECT_ROOT`, or the nearest folder upwards from start.

    Args:
        start: Folder to begin at; the current one by default.

    Raises:
        ConfigurationError: When there is none.
    """
    override = os.environ.get("SLUICE_PROJECT_ROOT")
    if override:
        root = Path(override).expanduser().resolve()
        if not _is_project(root):
            raise ConfigurationError(
                f"SLUICE_PROJECT_ROOT = {override!r} holds no dbt_project/dbt_project.yml and profiles.yml.",
                "Set it to the folder of a Sluice project, or unset it and change into one.",
            )
        return Project(root)
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if _is_project(folder):
            return Project(folder)
    raise ConfigurationError(
        f"No Sluice project in {here} or above it.",
        "Change into a folder that holds dbt_project/ and profiles.yml, or create a project: sluice init DIR",
    )


def _is_project(folder: Path) -> bool:
    if (folder / _FOLDER / "dbt_project.yml").is_file() and (folder / "profiles.yml").is_file():
        return True
    return _is_flat(folder) and not (folder.name == _FOLDER and _is_project(folder.parent))


def _is_flat(folder: Path) -> bool:
    """Tell whether a folder is a dbt project to which Sluice was added (`sluice init --from-dbt`)."""
    return (folder / "dbt_project.yml").is_file() and (folder / "control").is_dir()
