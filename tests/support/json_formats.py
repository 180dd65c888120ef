"""Fields of the documents that commands print with `--json`: recorded while tests run, and compared ever after.

`RECORD_JSON=FOLDER make test`, then `python docs/reference/json_formats.py FOLDER`, writes them anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from flows.cli.output import console

FILE: Final = Path(__file__).parents[2] / "docs" / "reference" / "json_formats.json"
RECORD: Final = "RECORD_JSON"

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
ANY: Final = {
    "control-list": ("source_control[]", "pipeline_control[]", "transformation_control[]"),
    "control-history": ("entries[].old", "entries[].new"),
    "proposals-list": ("proposals[].rows[].before", "proposals[].rows[].after"),
    "proposals-show": ("rows[].before", "rows[].after"),
    "proposals-decide": ("rows[].before", "rows[].after"),
    "control-apply": ("changes[].columns[].old", "changes[].columns[].new"),
}
"""Parts whose content is that of rows: docs/reference/control-tables.md describes it."""


def fields_of(name: str, document: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the types of each field of a document, by its path: `targets[].rows.read`, `*` for names of tables."""
    found: dict[str, set[str]] = {}
    for path, type_ in _walk(document, "", ANY.get(name, ())):
        found.setdefault(path, set()).add(type_)
    return found


def _walk(value: Any, path: str, any_of: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if path in any_of:
        yield path, "any"
    elif isinstance(value, Mapping):
        is_open = not all(_NAME.fullmatch(str(key)) for key in value)
        for key, item in value.items():
            name = "*" if is_open else str(key)
            yield from _walk(item, f"{path}.{name}" if path else name, any_of)
        if not value:
            yield path, "object"
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item, f"{path}[]", any_of)
        if not value:
            yield f"{path}[]", "nothing"
    else:
        yield path, _type(value)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def known() -> dict[str, dict[str, list[str]]]:
    """Return what is recorded: name of a format → path → types."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def unknown_fields(
    name: str, document: Mapping[str, Any], recorded: Mapping[str, Mapping[str, list[str]]]
) -> list[str]:
    """Return the fields of a document that docs/reference/json.md does not list with that type."""
    fields = recorded.get(name)
    if fields is None:
        return [f"the whole format {name}"]
    return [
        f"{path}: {type_}"
        for path, types in fields_of(name, document).items()
        for type_ in types
        if not _is_listed(type_, fields.get(path))
    ]


def _is_listed(type_: str, listed: list[str] | None) -> bool:
    """Whether a type is one of those listed. What is empty says nothing; what was only seen as null may be anything."""
    if listed is None:
        return type_ in {"nothing", "object"}
    numbers = {"integer", "number"}
    is_number = type_ in numbers and bool(numbers & {*listed})
    return is_number or listed == ["null"] or bool({type_, "any"} & {*listed, "nothing", "object", "null"})


def record(name: str, document: Mapping[str, Any]) -> None:
    """Add a document's fields to what this process records."""
    folder = Path(os.environ[RECORD])
    folder.mkdir(parents=True, exist_ok=True)
    found = {path: sorted(types) for path, types in fields_of(name, document).items()}
    with (folder / f"{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"name": name, "fields": found}) + "\n")


def watch_documents() -> None:
    """Let each document that a command prints be compared with what is recorded, or recorded.

    They are seen where this process prints them, and where a test parses what another process has printed.
    """
    write, parse, recorded = console.write_json, json.loads, known()

    def look(document: Any) -> None:
        if not isinstance(document, Mapping) or "json_format" not in document:
            return
        name, _, _ = str(document["json_format"]).partition("/")
        if os.environ.get(RECORD):
            record(name, document)
            return
        unknown = unknown_fields(name, document, recorded)
        assert not unknown, f"docs/reference/json.md lacks, of {name}: {unknown}; see {__name__}"

    def printed(document: Mapping[str, Any]) -> None:
        look(document)
        write(document)

    def parsed(*texts: Any, **options: Any) -> Any:
        document = parse(*texts, **options)
        look(document)
        return document

    setattr(console, "write_json", printed)  # noqa: B010 (a type checker refuses the assignment of a function)
    setattr(json, "loads", parsed)  # noqa: B010 (as above)
