"""Write control rows as readable YAML files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import yaml

from metadata_sync.control.shorthand import SECTIONS
from metadata_sync.rows.merge import ColumnId, ControlState, RowId, all_rows, rows_by_id
from metadata_sync.rows.model import ControlRow, PipelineRow, SourceRow, TransformationRow

SOURCES_FILE: Final = "_sources.yml"
"""No pipeline's file has this name: an id begins with a letter or a digit."""

_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One YAML file.

    Attributes:
        name: File name.
        text: Its content.
    """

    name: str
    text: str


def export_rows(state: ControlState) -> tuple[ExportedFile, ...]:
    """Return rows as files: one for sources, and one per pipeline with its transformations.

    Columns with default values are left out unless a file named them. Columns that the framework wrote have the value
    that was declared.

    Args:
        state: The state of the control database.
    """
    files: dict[str, list[ControlRow]] = {}
    for row in all_rows(state.rows):
        files.setdefault(_file_of(row), []).append(row)
    declared = rows_by_id(state.declared)
    return tuple(
        ExportedFile(name, _render([(row, _values(row, declared.get(RowId.of(row)), state)) for row in rows]))
        for name, rows in sorted(files.items())
    )


def export_document(state: ControlState) -> str:
    """Return all rows as one YAML document."""
    declared = rows_by_id(state.declared)
    return _render([(row, _values(row, declared.get(RowId.of(row)), state)) for row in all_rows(state.rows)])


def _file_of(row: ControlRow) -> str:
    if isinstance(row, PipelineRow | TransformationRow):
        return f"{row.pipeline_id}.yml"
    assert isinstance(row, SourceRow), "there are three control tables"
    return SOURCES_FILE


def _values(row: ControlRow, declared: ControlRow | None, state: ControlState) -> dict[str, Any]:
    """Return the values of a row for a file: column → JSON-ready value."""
    stored = row.model_dump(mode="json", by_alias=True)
    named = {} if declared is None else declared.model_dump(mode="json", by_alias=True, exclude_unset=True)
    changed = row.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    # A file that names no SELECT means the one that is called like the target.
    written = {*row.key_columns, *(["sql_path"] if isinstance(row, TransformationRow) and not row.copied else [])}
    values: dict[str, Any] = {}
    for column, value in stored.items():
        if column in row.framework_columns:
            continue
        if ColumnId(RowId.of(row), column) in state.framework_written:
            values |= {column: named[column]} if column in named else {}
        elif column in named or column in changed or column in written:
            values[column] = changed.get(column, value)
    return values


def _render(rows: Iterable[tuple[ControlRow, dict[str, Any]]]) -> str:
    sections: dict[str, list[Any]] = {}
    for name, row_type in SECTIONS.items():
        found = [_Row(values) for row, values in rows if isinstance(row, row_type)]
        if found:
            sections[name] = found
    text = yaml.dump(sections, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text if sections else ""


class _Row(dict[str, Any]):
    """A row: one column a line."""


class _Dumper(yaml.SafeDumper):
    """Indents list items under their key, writes no anchors, and writes multi-line texts as blocks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow=flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_row(dumper: _Dumper, row: _Row) -> yaml.Node:
    pairs = [(dumper.represent_data(column), _value_node(dumper, value)) for column, value in row.items()]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)


def _value_node(dumper: _Dumper, value: Any) -> yaml.Node:
    """Put a list of names on one line, and each mapping of a list on a line of its own."""
    node: yaml.Node = dumper.represent_data(value)
    if isinstance(node, yaml.SequenceNode) and any(isinstance(item, dict) for item in value):
        node.flow_style = False
        for item in node.value:
            _on_one_line(item)
    else:
        _on_one_line(node)
    return node


def _on_one_line(node: yaml.Node) -> None:
    if isinstance(node, yaml.CollectionNode):
        node.flow_style = True
        for part in node.value:
            for child in part if isinstance(part, tuple) else (part,):
                _on_one_line(child)


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text and text == text.strip() else None
    if not text.replace("\n", "").isprintable():
        style = '"'  # other styles write a NEL or a form feed unescaped, and read it back as a line break
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(_Row, _represent_row)
_Dumper.add_representer(str, _represent_text)
