"""Rename a target in the YAML files of control rows. Comments, order and layout stay as written.

The values that change are replaced at their places in the text. The result is then read again and compared with the
renamed rows, so that a name behind an anchor or a merge key is refused instead of being changed in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from metadata_sync.control.renaming import Renaming
from metadata_sync.control.shorthand import DEFAULTS, OVERRIDES, SELECT_FOLDER, Defaults, expand
from metadata_sync.control.yaml_source import YamlError, YamlItem, parse_yaml
from metadata_sync.rows.names import TableName


def rename_in_yaml(text: str, renaming: Renaming, defaults: Defaults | None = None) -> str:
    """Return the text of a file of control rows with a target renamed.

    A renamed row whose SELECT is found by the target's name gets a `sql_path` that still leads to it.

    Args:
        text: The file's content, newlines included.
        renaming: Old and new name.
        defaults: Defaults of the file's folders.

    Raises:
        YamlError: When it is not YAML, or the name stands where it cannot be replaced.
    """
    before = _rows(text, defaults)
    wanted = [_renamed_row(row, renaming) for row in before]
    if wanted == before:
        return text
    edits = {edit.start: edit for edit in _edits(yaml.compose(text, Loader=yaml.SafeLoader), renaming)}
    renamed = text
    for start in sorted(edits, reverse=True):
        end, name = edits[start].end, edits[start].name
        written = _written(text[start:end], name) if end > start else name
        renamed = renamed[:start] + written + renamed[end:]
    if _rows(renamed, defaults) != wanted:
        message = f"{renaming.old} stands behind an anchor, a merge key or a default, where it cannot be replaced."
        raise YamlError(1, message, "Write the name out in each row, then rename the target.", "yaml_alias")
    return renamed


def declares(text: str, renaming: Renaming, defaults: Defaults | None = None) -> tuple[bool, bool]:
    """Tell whether a file declares the row of the old name, and that of the new one.

    Raises:
        YamlError: When it is not YAML.
    """
    rows = [_key(row) for row in _rows(text, defaults)]
    return _parts(renaming.old) in rows, _parts(renaming.new) in rows


def row_lines(text: str, target: TableName, defaults: Defaults | None = None) -> tuple[int, ...]:
    """Return the lines on which a file declares the row of a target.

    Raises:
        YamlError: When it is not YAML.
    """
    rows = _declared(text, defaults)
    return tuple(item.line for item in rows if _key(item.plain) == _parts(target))


def select_paths(text: str, renaming: Renaming, defaults: Defaults | None = None) -> set[str]:
    """Return the SELECTs, in any environment, of the rows that depend on the target under either name.

    Raises:
        YamlError: When it is not YAML.
    """
    names = {str(renaming.old), str(renaming.new)}
    found: set[str] = set()
    for row in _rows(text, defaults):
        layers = [row, *(layer for layer in (row.get(OVERRIDES) or {}).values() if isinstance(layer, dict))]
        read = {item.get("table") for layer in layers for item in _mappings(layer.get("dependencies"))}
        if names & read:
            found |= {str(layer["sql_path"]) for layer in layers if layer.get("sql_path")}
    return found


def _declared(text: str, defaults: Defaults | None) -> list[YamlItem]:
    """Return the transformations of a file in the long form."""
    document = parse_yaml(text)
    if document is None or not isinstance(document.value, dict):
        return []
    rows = (row for row in expand(document, defaults or {}).rows if row.section == "transformations")
    return [row.item for row in rows if isinstance(row.item.value, dict)]


def _rows(text: str, defaults: Defaults | None) -> list[dict[str, Any]]:
    return [item.plain for item in _declared(text, defaults)]


def _mappings(items: Any) -> Iterator[dict[str, Any]]:
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())


def _key(row: dict[str, Any]) -> tuple[Any, Any]:
    return row.get("target_schema"), row.get("target_table")


def _parts(name: TableName) -> tuple[str, str]:
    return name.schema, name.table


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
    if "copy" in layer:
        renamed["copy"] = renaming.name(layer["copy"])
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


class _Edit(NamedTuple):
    """Text to put in the place of a value; an empty place is an insertion."""

    start: int
    end: int
    name: str


def _edits(document: yaml.Node | None, renaming: Renaming) -> Iterator[_Edit]:
    """Yield every value to replace."""
    defaults = _child(_child(document, DEFAULTS), "transformations")
    pipelines = _items(_child(document, "pipelines"))
    nested = [row for pipeline in pipelines for row in _items(_child(pipeline, "transformations"))]
    for row in (*_items(_child(document, "transformations")), *nested):
        yield from _own_name(row, defaults, renaming)
        overrides = _child(row, OVERRIDES)
        layers = [layer for _, layer in overrides.value] if isinstance(overrides, yaml.MappingNode) else []
        for layer in (row, *layers):
            yield from _mentions(layer, renaming)


def _own_name(row: yaml.Node, defaults: yaml.Node | None, renaming: Renaming) -> Iterator[_Edit]:
    """Yield what renames the row itself, in whichever spelling; the result is compared with what it must be."""
    old, new = renaming.old, renaming.new
    table = _child(row, "target_table") or _child(row, "table")
    schema = _child(row, "target_schema") or _child(row, "schema")
    inherited = _child(defaults, "target_schema") or _child(defaults, "schema")
    if _scalar(table) == str(old):
        edits = list(_place(table, str(old), str(new)))
    elif (_scalar(schema or inherited), _scalar(table)) == _parts(old):
        edits = [*_place(schema, old.schema, new.schema), *_place(table, old.table, new.table)]
        if schema is None and new.schema != old.schema:
            edits = list(_place(table, old.table, str(new)))
    else:
        return
    yield from edits
    if _child(row, "sql_path") is None and _child(row, "copy") is None and old.table != new.table:
        yield _inserted(row, f"sql_path: {SELECT_FOLDER}/{old.table}.sql")


def _inserted(row: yaml.Node, pair: str) -> _Edit:
    """Put a pair before the first one of a mapping."""
    first = row.value[0][0].start_mark
    is_on_one_line = isinstance(row, yaml.MappingNode) and row.flow_style
    between = ", " if is_on_one_line else f"\n{' ' * first.column}"
    return _Edit(first.index, first.index, f"{pair}{between}")


def _mentions(layer: yaml.Node, renaming: Renaming) -> Iterator[_Edit]:
    read = _child(layer, "dependencies")
    for item in (read, _child(layer, "copy"), *_items(read)):
        yield from _place(item, str(renaming.old), str(renaming.new))
        yield from _place(_child(item, "table"), str(renaming.old), str(renaming.new))
    columns = _child(layer, "column_list")
    by_name = [given for _, given in columns.value] if isinstance(columns, yaml.MappingNode) else []
    for column in (*_items(columns), *by_name):
        for test in _items(_child(column, "tests")):
            yield from _test_places(test, renaming)


def _test_places(test: yaml.Node, renaming: Renaming) -> Iterator[_Edit]:
    for name, given in test.value if isinstance(test, yaml.MappingNode) else ():
        for arguments in (given, _child(given, "arguments")):
            for key, value in arguments.value if isinstance(arguments, yaml.MappingNode) else ():
                if (_scalar(name), _scalar(key)) in renaming.table_arguments:
                    for item in (value, *_items(value)):
                        yield from _place(item, str(renaming.old), str(renaming.new))


def _place(node: yaml.Node | None, old: str, new: str) -> Iterator[_Edit]:
    if node is not None and _scalar(node) == old != new:
        yield _Edit(node.start_mark.index, node.end_mark.index, new)


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
