"""The JSON Schema of files of control rows, from the rows' types: editors complete and check keys and words by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from metadata_sync.control.shorthand import DEFAULTS, OVERRIDES, SECTIONS
from metadata_sync.rows.model import ControlRow

SCHEMA_FILE: Final = "control.schema.json"
"""Beside the files of rows, whose first line names it: `# yaml-language-server: $schema=control.schema.json`."""

_TITLES: Final = {"sources": "Source", "pipelines": "Pipeline", "transformations": "Transformation"}
_SPELLINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "sources": {},
    "pipelines": {},
    "transformations": {
        "schema": "Schema of the target; also written target_schema.",
        "table": "Name of the target, or schema.table; also written target_table.",
    },
}


def bundle_schema() -> dict[str, Any]:
    """Return the schema of a file of control rows, in its short and its long form."""
    definitions: dict[str, Any] = {}
    for section, row_type in SECTIONS.items():
        definitions |= _row_definitions(section, row_type)
    rows = {
        section: {"type": ["array", "null"], "items": {"$ref": f"#/$defs/{title}"}}
        for section, title in _TITLES.items()
    }
    definitions["Pipeline"]["properties"]["transformations"] = {
        **rows["transformations"],
        "description": "Transformations of this pipeline: they need no pipeline_id.",
    }
    defaults = {section: {"$ref": f"#/$defs/{title}Values"} for section, title in _TITLES.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Control rows of Sluice",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            DEFAULTS: {
                "description": "Values of all rows of the file; in defaults.yml, of all files of its folder and below.",
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": defaults,
            },
            **rows,
        },
        "$defs": definitions,
    }


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return f"{json.dumps(bundle_schema(), indent=1, sort_keys=True)}\n"


def _row_definitions(section: str, row_type: type[ControlRow]) -> dict[str, Any]:
    """Return the definitions of a section: its row, and the values that defaults and environments may give."""
    schema = row_type.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = {name: _lenient(part) for name, part in schema.pop("$defs", {}).items()}
    written = schema["properties"].keys() - row_type.framework_columns
    columns = {name: _column(name, schema["properties"][name]) for name in sorted(written)}
    columns |= {name: {"type": "string", "description": text} for name, text in _SPELLINGS[section].items()}
    title = _TITLES[section]
    values = {"type": "object", "additionalProperties": False, "properties": columns}
    row = {
        "type": "object",
        "additionalProperties": False,
        "description": " ".join((row_type.__doc__ or "").split()),
        "properties": {
            **columns,
            OVERRIDES: {
                "description": "Values for single environments.",
                "type": ["object", "null"],
                "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{title}Values"}, {"type": "null"}]},
            },
        },
    }
    return {**definitions, f"{title}Values": values, title: row}


def _column(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a column, which also takes the short forms."""
    part = {key: value for key, value in part.items() if key != "title"}
    if name == "dependencies":
        item = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Dependency"}]}
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": item}]}
    if name in {"column_list", "columns"}:
        return {"anyOf": [part, {"type": "object"}]}
    if part.get("type") == "array" and part.get("items", {}).get("type") == "string":
        return {"anyOf": [{"type": "string"}, part]}
    return part


def _lenient(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part's definition without what the short form may leave out."""
    required = [name for name in part.get("required", []) if name != "driving"]
    kept = {key: value for key, value in part.items() if key not in {"required", "title"}}
    if "properties" in kept:
        kept["properties"] = {name: _column(name, value) for name, value in kept["properties"].items()}
    return {**kept, **({"required": required} if required else {})}
