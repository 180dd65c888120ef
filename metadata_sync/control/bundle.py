"""Read YAML files of control rows, with all their faults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from metadata_sync.control.yaml_source import YamlError, YamlItem, read_yaml
from metadata_sync.errors import ConfigurationError, Fault
from metadata_sync.problems import Problem, did_you_mean
from metadata_sync.rows.merge import RowId
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, SourceRow, TransformationRow, collect_rows
from metadata_sync.rows.names import is_slug
from metadata_sync.rows.parsing import key_of, parse_row, shown

SECTIONS: Final[Mapping[str, type[ControlRow]]] = {
    "sources": SourceRow,
    "pipelines": PipelineRow,
    "transformations": TransformationRow,
}
"""Top-level keys of a file and the rows under them."""

OVERRIDES: Final = "environments"
"""Key of a row that holds values for single environments: `environments: {stage: {is_active: false}}`."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The rows that files declare for one environment.

    Attributes:
        rows: The rows with overrides merged; `model_fields_set` holds the columns that the files name. Rows with faults
            are included if possible, with defaults for the faulty columns, so that they can be validated further.
        faults: All faults of the files.
        unreadable: Rows that are missing from `rows` because of their faults.
        files: The files read.
        places: File and line of each row (None) and of its columns.
        has_unread_files: Whether a file could not be read, so that nobody knows which rows it declares.
    """

    rows: ControlRows
    faults: tuple[Fault, ...]
    unreadable: frozenset[RowId]
    files: tuple[Path, ...]
    places: Mapping[RowId, Mapping[str | None, str]]
    has_unread_files: bool = False

    def located(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return faults with the file and line of what they are about."""
        return [replace(fault, place=fault.place or self._place(fault)) for fault in faults]

    def _place(self, fault: Fault) -> str | None:
        known = self.places.get(RowId(fault.table, fault.key), {})
        column = re.split(r"[.\[]", fault.column or "", maxsplit=1)[0]  # of a part of a value, the whole value
        return known.get(fault.column) or known.get(column) or known.get(None)


def bundle_files(folder: Path, confine: Path) -> tuple[Path, ...]:
    """Return the .yml and .yaml files of a folder and the folders in it, sorted.

    Args:
        folder: The folder; it may be missing.
        confine: Folder that every file must be in, after links are resolved.

    Raises:
        ConfigurationError: When a file is a link to a place outside.
    """
    found = [path for path in folder.rglob("*") if path.suffix in {".yml", ".yaml"} and path.is_file()]
    for path in found:
        if not path.resolve().is_relative_to(confine.resolve()):
            raise ConfigurationError(f"{path} links to a file outside {confine}.", "Replace the link by a copy.")
    return tuple(sorted(found))


def read_bundle(files: Sequence[Path], environment: str, root: Path) -> Bundle:
    """Read files of control rows.

    Args:
        files: YAML files.
        environment: The environment whose overrides apply.
        root: Folder that paths in messages are relative to.

    Returns:
        The rows and every fault of every file.
    """
    reader = _BundleReader(environment)
    for path in files:
        name = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        reader.read_file(path, name)
    bundle = Bundle(
        rows=collect_rows(reader.rows.values()),
        faults=tuple(reader.faults),
        unreadable=frozenset(reader.unreadable - reader.rows.keys()),
        files=tuple(files),
        places=reader.column_places,
        has_unread_files=reader.has_unread_files,
    )
    return replace(bundle, faults=tuple(bundle.located(bundle.faults)))


@dataclass
class _BundleReader:
    """Collects rows and faults over all files."""

    environment: str
    rows: dict[RowId, ControlRow] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unreadable: set[RowId] = field(default_factory=set)
    places: dict[RowId, str] = field(default_factory=dict)
    column_places: dict[RowId, dict[str | None, str]] = field(default_factory=dict)
    has_unread_files: bool = False

    def read_file(self, path: Path, name: str) -> None:
        try:
            document = read_yaml(path)
        except YamlError as error:
            self._file_fault(name, error.line, None, Problem(error.rule, error.message, error.remedy))
            self.has_unread_files = True
            return
        if document is None or document.value is None:
            return
        if not isinstance(document.value, dict):
            remedy = f"Begin with one of: {', '.join(SECTIONS)}."
            self._file_fault(name, document.line, None, Problem("wrong_type", "The file is not a mapping.", remedy))
            return
        self._duplicate_keys(name, document)
        for section, items in document.value.items():
            self._read_section(name, section, items)

    def _read_section(self, name: str, section: str, items: YamlItem) -> None:
        row_type = SECTIONS.get(section)
        self.has_unread_files = self.has_unread_files or not isinstance(items.value, list | None) or row_type is None
        if row_type is None:
            remedy = did_you_mean(section, SECTIONS) or f"A file holds: {', '.join(SECTIONS)}."
            self._file_fault(name, items.line, section, Problem("unknown_key", "There is no such section.", remedy))
        elif items.value is None:
            return
        elif not isinstance(items.value, list):
            self._file_fault(
                name, items.line, section, Problem("wrong_type", "Is not a list of rows.", "Begin each row with '- '.")
            )
        else:
            for item in items.value:
                self._read_row(name, row_type, item)

    def _read_row(self, name: str, row_type: type[ControlRow], item: YamlItem) -> None:
        where = f"{name}:{item.line}"
        if not isinstance(item.value, dict):
            self._file_fault(
                name, item.line, None, Problem("wrong_type", "A row is not a mapping.", "Write `column: value`.")
            )
            return
        values = {column: value.plain for column, value in item.value.items() if column != OVERRIDES}
        row_id = RowId(row_type.control_table, key_of(row_type, values))
        before = len(self.faults)
        self._duplicate_keys(name, item, row_id)
        if row_id in self.places:
            message = f"The row is declared a second time; the first is at {self.places[row_id]}."
            self._fault(row_id, None, None, Problem("duplicate_row", message, "Keep one of them."), where)
            return
        self.places[row_id] = where
        self.column_places[row_id] = {
            None: where,
            **{column: f"{name}:{value.line}" for column, value in item.value.items()},
        }
        row = self._merge(row_type, row_id, values, item, where)
        if row is not None:
            self.rows[row_id] = row
        elif len(self.faults) > before:
            self.unreadable.add(row_id)

    def _merge(
        self, row_type: type[ControlRow], row_id: RowId, values: dict[str, Any], item: YamlItem, where: str
    ) -> ControlRow | None:
        """Return the row for the current environment, and validate it for the others."""
        self._refuse_framework_columns(row_type, row_id, values, where)
        plain = _without(values, row_type.framework_columns)
        parsed = parse_row(row_type, plain, row_id.key)
        found = list(parsed.faults)
        row = parsed.row
        for environment, override in self._overrides(row_type, row_id, item, where).items():
            merged = parse_row(row_type, {**plain, **override}, row_id.key, f"environment {environment}")
            # Faults that do not come from the override are in the list already.
            place = self.column_places[row_id][OVERRIDES]
            found += [
                replace(fault, place=place)
                for fault in merged.faults
                if fault.column in override and fault not in found
            ]
            if environment == self.environment:
                row = merged.row
        self.faults += found
        return row

    def _overrides(
        self, row_type: type[ControlRow], row_id: RowId, item: YamlItem, where: str
    ) -> dict[str, dict[str, Any]]:
        """Return the allowed overrides of every environment."""
        block = item.value.get(OVERRIDES)
        if block is None or block.value is None:
            return {}
        place = f"{where.rpartition(':')[0]}:{block.line}"
        shape = "Write `environments: {stage: {column: value}}`."
        if not isinstance(block.value, dict):
            self._fault(row_id, OVERRIDES, None, Problem("wrong_type", "Is not a mapping.", shape), place)
            return {}
        self._duplicate_keys(where.rpartition(":")[0], block, row_id)
        overrides: dict[str, dict[str, Any]] = {}
        for environment, values in block.value.items():
            if not is_slug(environment):
                remedy = "Use lower case letters, digits, '_' or '-'."
                self._fault(
                    row_id,
                    OVERRIDES,
                    environment,
                    Problem("bad_name", "Is not an environment name.", remedy),
                    place,
                )
            elif not isinstance(values.value, dict | None):
                self._fault(row_id, OVERRIDES, environment, Problem("wrong_type", "Is not a mapping.", shape), place)
            elif values.value:
                self._duplicate_keys(where.rpartition(":")[0], values, row_id)
                overrides[environment] = self._allowed(row_type, row_id, values.plain, place)
        return overrides

    def _allowed(
        self, row_type: type[ControlRow], row_id: RowId, override: dict[str, Any], place: str
    ) -> dict[str, Any]:
        self._refuse_framework_columns(row_type, row_id, override, place)
        for column in row_type.key_columns:
            if column in override:
                problem = Problem(
                    "key_override", "An override cannot change the row's key.", "Write another row instead."
                )
                self._fault(row_id, column, override[column], problem, place)
        return _without(override, {*row_type.framework_columns, *row_type.key_columns})

    def _refuse_framework_columns(
        self, row_type: type[ControlRow], row_id: RowId, values: Mapping[str, Any], where: str
    ) -> None:
        for column in values:
            if column in row_type.framework_columns:
                problem = Problem(
                    "framework_column", "Only the framework writes this column.", "Remove it from the file."
                )
                self._fault(row_id, column, values[column], problem, where)

    def _duplicate_keys(self, name: str, item: YamlItem, row_id: RowId | None = None) -> None:
        for key, line in item.duplicates:
            problem = Problem("duplicate_key", "The key is used twice.", "Keep one of them.")
            if row_id is None:
                self._file_fault(name, line, key, problem)
            else:
                self._fault(row_id, key, None, problem, f"{name}:{line}")
        if row_id is not None and isinstance(item.value, dict):
            for value in item.value.values():
                self._nested_duplicates(name, value, row_id)

    def _nested_duplicates(self, name: str, item: YamlItem, row_id: RowId) -> None:
        if isinstance(item.value, list):
            for child in item.value:
                if isinstance(child.value, dict):
                    self._duplicate_keys(name, child, row_id)

    def _fault(self, row_id: RowId, column: str | None, value: Any, problem: Problem, place: str | None = None) -> None:
        self.faults.append(
            Fault(
                table=row_id.table,
                key=row_id.key,
                column=shown(column),
                value=shown(value),
                rule=problem.rule,
                message=problem.message,
                remedy=problem.remedy,
                place=place,
            )
        )

    def _file_fault(self, name: str, line: int, column: str | None, problem: Problem) -> None:
        self._fault(RowId(name, f"line {line}"), column, None, problem)


def _without(values: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    dropped = set(columns)
    return {column: value for column, value in values.items() if column not in dropped}
