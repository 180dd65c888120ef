"""A new project: a small example that loads, and what CI, git and pip need."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Final

from flows.init.writing import missing, taken, write_missing
from metadata_sync.control.json_schema import SCHEMA_FILE, schema_text
from metadata_sync.errors import ConfigurationError

TEMPLATE: Final = Path(__file__).with_name("template")
_SHOWN: Final = 3
_UMLAUTS: Final = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}


class Warehouse(StrEnum):
    """Where a project's tables are."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    REDSHIFT = "redshift"


class Ci(StrEnum):
    """Where the project's changes are checked."""

    GITHUB = "github"
    GITLAB = "gitlab"


_CI_FILES: Final = {
    Ci.GITHUB: (".github/workflows/sluice.yml", "workflow.yml"),
    Ci.GITLAB: (".gitlab-ci.yml", "gitlab-ci.yml"),
}
"""File of the project and file of the template."""

_FILES: Final = {
    "README.md": "README.md",
    "requirements.txt": "requirements.txt",
    ".gitignore": "gitignore",
    "lake/customers/2024-01-02.csv": "lake/customers.csv",
    "example.sql": "example.sql",
    "dbt_project/control/example.yml": "dbt_project/control/example.yml",
    "dbt_project/transformations/dim_customer.sql": "dbt_project/transformations/dim_customer.sql",
    "dbt_project/unit_tests/dwh.dim_customer.yml": "dbt_project/unit_tests/dwh.dim_customer.yml",
    "dbt_project/macros/generate_schema_name.sql": "dbt_project/macros/generate_schema_name.sql",
    "dbt_project/packages.yml": "dbt_project/packages.yml",
    "profiles.yml": "profiles.yml",
    "dbt_project/dbt_project.yml": "dbt_project/dbt_project.yml",
}
"""File of the project → file of the template. The last two make the folder a project."""

_LAKE_FILE: Final = "lake/customers/2024-01-02.csv"
_SERVER_FILE: Final = "example.sql"


def create_project(folder: Path, warehouse: Warehouse, ci: Ci = Ci.GITHUB) -> list[str]:
    """Write a project into a folder that is empty, missing, or holds the beginning of the same project.

    Hidden files and folders, such as `.git` and `.venv`, do not count.

    Args:
        folder: The project's folder.
        warehouse: Where its tables will be.
        ci: Where its changes will be checked.

    Returns:
        The files that were written; none when the project is complete.

    Raises:
        ConfigurationError: When the folder holds something else, or cannot be written.
    """
    files = project_files(folder, warehouse, ci)
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file.", "Name a folder that is empty or does not exist.")
    if _is_complete(folder, files):
        return []
    if (folder / "dbt_project.yml").exists():
        raise ConfigurationError(f"{folder} is a dbt project.", f"Add Sluice to it: sluice init --from-dbt {folder}")
    others = [*taken(folder, files), *_others(folder, files)]
    if others:
        listed = ", ".join(others[:_SHOWN]) + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")
        raise ConfigurationError(
            f"{folder} is not empty: it holds {listed}. Nothing was written.", "Name an empty folder or a new one."
        )
    return write_missing(folder, files)


def _is_complete(folder: Path, files: dict[str, str]) -> bool:
    """Tell whether the last file was written: from then on the project is the team's, which may delete the example."""
    last = {name: files[name] for name in (list(files)[-1],)}
    return (folder / "profiles.yml").exists() and (bool(taken(folder, last)) or not missing(folder, last))


def project_files(folder: Path, warehouse: Warehouse, ci: Ci = Ci.GITHUB) -> dict[str, str]:
    """Return the content of each file of a project, by its path."""
    left_out = _SERVER_FILE if warehouse is Warehouse.DUCKDB else _LAKE_FILE
    words = {
        "NAME": project_name(folder),
        "TITLE": " ".join(folder.resolve().name.split()) or "Pipelines",
        "VERSION": version("sluice-data"),
        "EXTRA": "" if warehouse is Warehouse.DUCKDB else f"[{warehouse}]",
        "SCHEMA": "lake" if warehouse is Warehouse.DUCKDB else "raw",
        "EXAMPLE": "`lake/customers/`" if warehouse is Warehouse.DUCKDB else "`example.sql` with its table",
    }
    sources = dict([_CI_FILES[ci], *_FILES.items()])
    files = {name: _render(source, warehouse, words) for name, source in sources.items() if name != left_out}
    return {f"dbt_project/control/{SCHEMA_FILE}": schema_text(), **files}


def project_name(folder: Path) -> str:
    """Return a name that dbt accepts for the project of a folder.

    >>> [project_name(Path("/x") / name) for name in ("Läden Köln", "2024 sales", "sluice", "日本")]
    ['laeden_koeln', 'project_2024_sales', 'sluice_project', 'project']
    """
    text = folder.resolve().name.lower()
    for letter, letters in _UMLAUTS.items():
        text = text.replace(letter, letters)
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not name:
        return "project"
    if name[0].isdigit():
        return f"project_{name}"
    return f"{name}_project" if name == "sluice" or name.startswith("dbt") else name


def _render(source: str, warehouse: Warehouse, words: Mapping[str, str]) -> str:
    lines = []
    for line in (TEMPLATE / source).read_text(encoding="utf-8").splitlines():
        kept = line.removeprefix(f"@{warehouse}")
        if kept == line and line.startswith(tuple(f"@{other}" for other in Warehouse)):
            continue
        lines.append(kept)
    return re.sub(r"@([A-Z]+)@", lambda match: words[match.group(1)], "\n".join(lines) + "\n")


def _others(folder: Path, files: dict[str, str]) -> list[str]:
    """Return what lies in the folder that is neither hidden nor the project's."""
    if not folder.is_dir():
        return []
    ours = {Path(name).parts[0] for name in files}
    return sorted(path.name for path in folder.iterdir() if path.name not in ours and not path.name.startswith("."))
