"""Rename a target in the YAML files of control rows. Comments, order and layout stay as written.

The values that change are replaced at their places in the text. The result is then read again and compared with the
renamed rows, so that a name behind an anchor or a merge key is refused instead of being changed in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from metadata_sync.control.bundle import OVERRIDES
from metadata_sync.control.renaming import Renaming
from metadata_sync.control.yaml_source import YamlError, parse_yaml
from metadata_sync.rows.names import TableName


def rename_in_yaml(text: str, renaming: Renaming) -> str:
    """Return the text of a file of control rows with a target renamed.

    Args:
        text: The file's content, newlines included.
        renaming: Old and new name.

    Raises:
        YamlError: When it is not YAML, or the name stands where it cannot be replaced.
    """
    before = _plain(text)
    wanted = _renamed_document(before, renaming)
    if wanted == before:
        return text
    places = {start: (end, name) for start, end, name in _places(yaml.compose(text, Loader=yaml.SafeLoader), renaming)}
    renamed = text
    for start in sorted(places, reverse=True):
        end, name = places[start]
        renamed = renamed[:start] + _written(text[start:end], name) + renamed[end:]
    if _plain(renamed) != wanted:
        message = f"{renaming.old} stands behind an anchor or a merge key, where it cannot be replaced."
        raise YamlError(1, message, "Write the name out in each row, then rename the target.", "yaml_alias")
    return renamed


def declares(text: str, renaming: Renaming) -> tuple[bool, bool]:
    """Tell whether a file declares the row of the old name, and that of the new one.

    Raises:
        YamlError: When it is not YAML.
    """
    rows = [_key(row) for row in _rows(_plain(text))]
    return _parts(renaming.old) in rows, _parts(renaming.new) in rows


def row_lines(text: str, target: TableName) -> tuple[int, ...]:
    """Return the lines on which a file declares the row of a target.

    Raises:
        YamlError: When it is not YAML.
    """
    document = parse_yaml(text)
    section = document.value.get("transformations") if document and isinstance(document.value, dict) else None
    items = section.value if section is not None and isinstance(section.value, list) else []
    rows = ((item.line, item.plain) for item in items)
    return tuple(line for line, row in rows if isinstance(row, dict) and _key(row) == _parts(target))


def select_paths(text: str, renaming: Renaming) -> set[str]:
    """Return the SELECTs, in any environment, of the rows that depend on the target under either name.

    Raises:
        YamlError: When it is not YAML.
    """
    names = {str(renaming.old), str(renaming.new)}
    found: set[str] = set()
    for row in _rows(_plain(text)):
        layers = [row, *(layer for layer in (row.get(OVERRIDES) or {}).values() if isinstance(layer, dict))]
        read = {item.get("table") for layer in layers for item in _mappings(layer.get("dependencies"))}
        if names & read:
            found |= {str(layer["sql_path"]) for layer in layers if layer.get("sql_path")}
    return found


def _plain(text: str) -> Any:
    item = parse_yaml(text)
    return None if item is None else item.plain


def _rows(document: Any) -> Iterator[dict[str, Any]]:
    return _mappings(document.get("transformations") if isinstance(document, dict) else None)


def _mappings(items: Any) -> Iterator[dict[str, Any]]:
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())


def _key(row: dict[str, Any]) -> tuple[Any, Any]:
    return row.get("target_schema"), row.get("target_table")


def _parts(name: Any) -> tuple[str, str]:
    return name.schema, name.table


def _renamed_document(document: Any, renaming: Renaming) -> Any:
    if not isinstance(document, dict) or not isinstance(document.get("transformations"), list):
        return document
    rows = [_renamed_row(row, renaming) if isinstance(row, dict) else row for row in document["transformations"]]
    return {**document, "transformations": rows}


def _renamed_row(row: dict[str, Any], renaming: Renaming) -> dict[str, Any]:
    renamed = _renamed_layer(row, renaming)
    if _key(row) == _parts(renaming.old):
        renamed |= {"target_schema": renaming.new.schema, "target_table": renaming.new.table}
    overrides = row.get(OVERRIDES)
    if isinstance(overrides, dict):
        renamed[OVERRIDES] = {
            name: _renamed_layer(layer, renaming) if isinstance(layer, dict) else layer
            for name, layer in overrides.items()
        }
    return renamed


def _renamed_layer(layer: dict[str, Any], renaming: Renaming) -> dict[str, Any]:
    renamed = dict(layer)
    if isinstance(layer.get("dependencies"), list):
        renamed["dependencies"] = [
            {**item, "table": renaming.name(item["table"])} if isinstance(item, dict) and "table" in item else item
            for item in layer["dependencies"]
        ]
    if isinstance(layer.get("column_list"), list):
        renamed["column_list"] = [
            {**item, "tests": [renaming.test(test) for test in item["tests"]]}
            if isinstance(item, dict) and isinstance(item.get("tests"), list)
            else item
            for item in layer["column_list"]
        ]
    return renamed


def _places(document: yaml.Node | None, renaming: Renaming) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and new text of every value to replace."""
    for row in _items(_child(document, "transformations")):
        schema, table = _child(row, "target_schema"), _child(row, "target_table")
        if (_scalar(schema), _scalar(table)) == _parts(renaming.old):
            yield from _place(schema, renaming.old.schema, renaming.new.schema)
            yield from _place(table, renaming.old.table, renaming.new.table)
        overrides = _child(row, OVERRIDES)
        layers = [layer for _, layer in overrides.value] if isinstance(overrides, yaml.MappingNode) else []
        for layer in (row, *layers):
            for item in _items(_child(layer, "dependencies")):
                yield from _place(_child(item, "table"), str(renaming.old), str(renaming.new))
            for column in _items(_child(layer, "column_list")):
                for test in _items(_child(column, "tests")):
                    yield from _test_places(test, renaming)


def _test_places(test: yaml.Node, renaming: Renaming) -> Iterator[tuple[int, int, str]]:
    for name, given in test.value if isinstance(test, yaml.MappingNode) else ():
        for arguments in (given, _child(given, "arguments")):
            for key, value in arguments.value if isinstance(arguments, yaml.MappingNode) else ():
                if (_scalar(name), _scalar(key)) in renaming.table_arguments:
                    for item in (value, *_items(value)):
                        yield from _place(item, str(renaming.old), str(renaming.new))


def _place(node: yaml.Node | None, old: str, new: str) -> Iterator[tuple[int, int, str]]:
    if node is not None and _scalar(node) == old != new:
        yield node.start_mark.index, node.end_mark.index, new


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """Return the value of a key, the last when it stands twice, as YAML reads it."""
    found = None
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        found = value if _scalar(key) == name else found
    return found


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _scalar(node: yaml.Node | None) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def _written(written: str, name: str) -> str:
    """Write a name as the value that it replaces was written: plain or quoted, with its anchor."""
    anchor = written[: written.rindex(" ") + 1] if written.startswith("&") else ""
    quote = written[-1] if written[-1:] in {'"', "'"} else ""
    if not quote and not isinstance(yaml.safe_load(name), str):  # such as `on` or `null`
        quote = '"'
    return f"{anchor}{quote}{name}{quote}"
