"""Sluice for an existing dbt project: additions only. Models, profiles and dbt_project.yml stay as is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from flows.dbt.package import make_links
from flows.dbt.package_list import LINK, LIST, NEW_LIST, is_listed, list_of, read_list, with_entry, write_list
from flows.init.scaffold import TEMPLATE
from flows.init.writing import missing, taken, write_missing
from flows.warehouse.profile import read_yaml
from metadata_sync.control.json_schema import SCHEMA_FILE, schema_text
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project

_README: Final = "control/README.md"
_SCHEMA: Final = f"control/{SCHEMA_FILE}"
_ENTRY: Final = LINK.as_posix()
_IGNORED: Final = (".sluice/", "dbt_packages/", "models/generated/")
_SCHEMA_MACRO: Final = re.compile(r"\{%-?\s*macro\s+generate_schema_name\s*\(")
_CALL: Final = "sluice.environment_schema("
_REMEDY: Final = (
    "Add to it, before its other rules: {% if sluice is defined and sluice.owns(node) %}"
    "{{ sluice.environment_schema(custom_schema_name) }}{% else %} … {% endif %}. Then run the same command again."
)


def plan_additions(project: Path) -> list[str]:
    """Return what would be added to a dbt project; nothing when Sluice was added before.

    Raises:
        ConfigurationError: When it is no dbt project, or a name is taken.
    """
    lines, listed = _lines_to_ignore(project), _list_with_macros(project)
    return [
        *missing(project, _files(project)),
        *([] if listed is None else [f"- local: {_ENTRY} (an entry of {listed[0].name})"]),
        *(f"{line} (a line of .gitignore)" for line in lines),
    ]


def add_to_dbt_project(project: Path) -> list[str]:
    """Add Sluice to a dbt project, and return what was added; otherwise as `plan_additions`."""
    additions = plan_additions(project)
    listed = _list_with_macros(project)
    write_missing(project, _files(project))
    if listed is not None:
        write_list(*listed)
    lines = _lines_to_ignore(project)
    if lines:
        path = project / ".gitignore"
        before = path.read_bytes() if path.exists() else b""
        gap = b"" if not before or before.endswith(b"\n") else b"\n"
        try:
            with path.open("ab") as file:
                file.write(gap + "".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be written: {error.strerror}.", f"Add these lines to it: {', '.join(lines)}"
            ) from error
    if additions:
        make_links(Project(project.resolve()))
    return additions


def _files(project: Path) -> dict[str, str]:
    """Return the files to add. The macro comes first: it marks the project as one that Sluice was added to."""
    document = _read_project(project)
    folder = str((document.get("macro-paths") or ["macros"])[0])
    macro, own = f"{folder}/sluice_schema_name.sql", _text("schema_name.sql")
    files = {
        macro: own,
        _README: _text("README.md").replace("@VERSION@", version("sluice-data")),
        _SCHEMA: schema_text(),
    }
    others = [path for path in _schema_macros(project, document) if path != project / macro]
    if others:
        _refuse_unless_called(others[0])
        del files[macro]
    is_new = not others and not (project / macro).exists()
    names = taken(project, {macro: own}) if not others else []
    if is_new:
        names += [name for name in ("control", "models/generated") if _holds_something(project / name)]
    if names:
        raise ConfigurationError(
            f"{project} holds {' and '.join(names)} already. Nothing was written.",
            "Sluice needs these names: rename what is there, then run the same command again.",
        )
    for name in (_README, _SCHEMA):
        if (project / name).exists() and not is_new:
            del files[name]  # the team's by now
    return files


def _read_project(project: Path) -> Mapping[str, Any]:
    path = project / "dbt_project.yml"
    if not path.exists():
        raise ConfigurationError(
            f"{project} is no dbt project: it has no dbt_project.yml.", "Name the folder that holds dbt_project.yml."
        )
    document = read_yaml(path)
    if not document:
        raise ConfigurationError(f"{path} holds no settings.", "Correct the file.")
    if document.get("name") == "sluice":
        raise ConfigurationError(f"{path}: the project is named sluice, as the macros are.", "Give it another name.")
    if "models" not in (document.get("model-paths") or ["models"]):
        raise ConfigurationError(
            f"{path}: model-paths has no `models`, and Sluice writes models/generated/.", "Add models to model-paths."
        )
    return document


def _schema_macros(project: Path, document: Mapping[str, Any]) -> list[Path]:
    folders = [project / str(folder) for folder in document.get("macro-paths") or ["macros"]]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.sql"))]
    return [path for path in paths if _SCHEMA_MACRO.search(path.read_text(encoding="utf-8", errors="replace"))]


def _refuse_unless_called(path: Path) -> None:
    if _CALL not in path.read_text(encoding="utf-8", errors="replace"):
        raise ConfigurationError(f"{path} has a generate_schema_name of its own. Nothing was written.", _REMEDY)


def _list_with_macros(project: Path) -> tuple[Path, str] | None:
    """Return dbt's list of packages with the macros, where it has to be changed.

    Raises:
        ConfigurationError: When an entry cannot be added to it.
    """
    path = list_of(project)
    if path is None:
        return project / LIST, NEW_LIST.format(entry=_ENTRY)
    if is_listed(read_list(path), _ENTRY):
        return None
    text = with_entry(path.read_text(encoding="utf-8"), _ENTRY)
    if text is None:
        raise ConfigurationError(
            f"{path} is written in a way to which nothing can be added safely. Nothing was written.",
            f"Add to its packages:  - local: {_ENTRY}  then run the same command again.",
        )
    return path, text


def _lines_to_ignore(project: Path) -> list[str]:
    path = project / ".gitignore"
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    present = {line.strip().strip("/") for line in text.splitlines()}
    return [line for line in _IGNORED if line.strip("/") not in present]


def _holds_something(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _text(name: str) -> str:
    return (TEMPLATE / "from_dbt" / name).read_text(encoding="utf-8")
