"""Read a SELECT from a file: plain SQL, a dbt model, or a dbt snapshot with what its config says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from metadata_sync.errors import RequestError
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName

_SOURCE: Final = re.compile(r"\{\{\s*source\(\s*['\"](\w+)['\"]\s*,\s*['\"](\w+)['\"]\s*\)\s*\}\}")
_REF: Final = re.compile(r"\{\{\s*ref\(\s*['\"](\w+)['\"]\s*\)\s*\}\}")
_CONFIG: Final = re.compile(r"\{\{\s*config\((.*?)\)\s*\}\}", re.DOTALL)
_SNAPSHOT: Final = re.compile(r"\{%-?\s*(end)?snapshot\b.*?%\}")
_COMMENT: Final = re.compile(r"\{#.*?#\}", re.DOTALL)
_ARGUMENT: Final = re.compile(r"(\w+)\s*=\s*(\[[^\]]*\]|'[^']*'|\"[^\"]*\"|\w+)")


def plain_select(path: Path, project: Project, rows: ControlRows) -> tuple[str, dict[str, Any]]:
    """Return the SELECT of a file without Jinja, and the settings that its dbt config says.

    `source('a', 'b')` becomes `a.b`. `ref('schema__table')` becomes `schema.table`, and another `ref('m')` the
    source or target of that table name.

    Args:
        path: The file.
        project: The project, whose dbt sources name schemas.
        rows: The rows that the project declares.

    Raises:
        RequestError: When the file cannot be read, refers to a model that is no table of the project, or holds
            Jinja that only dbt can evaluate.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}.", "Name a file of SQL in UTF-8.") from error
    config = " ".join(_CONFIG.findall(text))
    text = _COMMENT.sub("", _SNAPSHOT.sub("", _CONFIG.sub("", text)))
    schemas = _source_schemas(project.dbt_dir)
    text = _SOURCE.sub(lambda found: f"{schemas.get(found[1], found[1])}.{found[2]}", text)
    text = _REF.sub(lambda found: _referenced(found[1], path, rows), text)
    left = re.search(r"\{[{%].*", text)
    if left is not None:
        raise RequestError(
            f"{path} holds Jinja that only dbt can evaluate: {left[0][:60]}",
            "Compile the model (`dbt compile`) and name its file below target/compiled/.",
        )
    return text.strip() + "\n", _settings(config)


def _referenced(model: str, path: Path, rows: ControlRows) -> str:
    schema, separator, table = model.partition("__")
    if separator and rows.transformation(TableName(schema, table)) is not None:
        return f"{schema}.{table}"
    targets = [str(row.name) for row in rows.transformations if row.name.table == model]
    known = targets or [str(row.name) for row in rows.sources if row.name.table == model]
    if len(known) != 1:
        message = f"{path} refers to the model {model}, which is no one table of the project."
        raise RequestError(message, "Onboard that model first, or write the table's schema.table in its place.")
    return known[0]


def _settings(config: str) -> dict[str, Any]:
    """Return what a config says of keys and history, as settings of a row."""
    values = {name: _value(text) for name, text in _ARGUMENT.findall(config)}
    found: dict[str, Any] = {}
    key = values.get("unique_key")
    if key:
        found["business_key"] = key if isinstance(key, list) else [str(key)]
    if "strategy" in values:
        found["load_type"] = "scd2"
        if values.get("updated_at"):
            found["sequence_by"] = [str(values["updated_at"])]
        if isinstance(values.get("check_cols"), list):
            found["scd_columns"] = values["check_cols"]
    elif values.get("materialized") == "incremental":
        found["load_type"] = "scd1" if key else "append"
    return found


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text.strip("'\"")


def _source_schemas(folder: Path) -> dict[str, str]:
    """Return the schema of each dbt source that the project's YAML declares under another name."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.yml")):
        if "generated" in path.parts or "dbt_packages" in path.parts:
            continue
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            continue
        sources = document.get("sources") if isinstance(document, dict) else None
        for source in sources if isinstance(sources, list) else ():
            if isinstance(source, dict) and isinstance(source.get("schema"), str) and "name" in source:
                found[str(source["name"])] = source["schema"]
    return found
