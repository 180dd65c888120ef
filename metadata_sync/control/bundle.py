"""Read YAML files of control rows, with all their faults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from metadata_sync.control.shorthand import (
    DEFAULTS,
    OVERRIDES,
    SECTIONS,
    Declared,
    Defaults,
    Document,
    expand,
    merged_defaults,
    of_views,
    own_defaults,
)
from metadata_sync.control.yaml_source import YamlError, YamlItem, read_yaml
from metadata_sync.errors import ConfigurationError, Fault
from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.rows.merge import RowId
from metadata_sync.rows.model import ControlRow, ControlRows, collect_rows
from metadata_sync.rows.names import is_slug
from metadata_sync.rows.parsing import key_of, parse_row, shown

DEFAULTS_FILE: Final = "defaults.yml"
"""File whose `defaults:` are those of the files in its folder and in the folders below."""


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
    reader = _BundleReader(environment, root)
    reader.read_files(files)
    bundle = Bundle(
        rows=collect_rows(reader.rows.values()),
        faults=tuple(reader.faults),
        unreadable=frozenset(reader.unreadable - reader.rows.keys()),
        files=tuple(files),
        places=reader.column_places,
        has_unread_files=reader.has_unread_files,
    )
    return replace(bundle, faults=tuple(bundle.located(bundle.faults)))


def read_project(project: Project, environment: str) -> Bundle:
    """Read all files of control rows of a project; see `read_bundle`."""
    return read_bundle(bundle_files(project.control_dir, project.root), environment, project.root)


def inherited_defaults(path: Path, root: Path) -> Defaults:
    """Return the defaults that a file takes from its folders; `read_bundle` tells what is wrong with them.

    Args:
        path: A file of control rows.
        root: The topmost folder that is looked into.
    """
    return _BundleReader("", root).inherited(path.parent)


@dataclass
class _BundleReader:
    """Collects rows and faults over all files."""

    environment: str
    root: Path
    rows: dict[RowId, ControlRow] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unreadable: set[RowId] = field(default_factory=set)
    places: dict[RowId, str] = field(default_factory=dict)
    column_places: dict[RowId, dict[str | None, str]] = field(default_factory=dict)
    has_unread_files: bool = False
    defaults: dict[Path, Defaults] = field(default_factory=dict)

    def read_files(self, files: Sequence[Path]) -> None:
        found = [(path, row) for path in files for row in self._declared(path)]
        rows = of_views([row for _, row in found])
        for (path, _), row in zip(found, rows, strict=True):
            self._read_row(self._name(path), row)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def _declared(self, path: Path) -> list[Declared]:
        """Return the rows of a file in the long form."""
        inherited = self.inherited(path.parent)
        if path.name == DEFAULTS_FILE:
            return []
        document = self._read(path)
        if document is None:
            return []
        found = expand(document, inherited)
        self._misplaced(self._name(path), found)
        return found.rows

    def inherited(self, folder: Path) -> Defaults:
        """Return the defaults of a folder: its own, over those of the folders above."""
        if folder not in self.defaults:
            is_inside = folder != self.root and folder.is_relative_to(self.root)
            outer = self.inherited(folder.parent) if is_inside else {}
            self.defaults[folder] = merged_defaults(outer, self._folder_defaults(folder / DEFAULTS_FILE))
        return self.defaults[folder]

    def _folder_defaults(self, path: Path) -> Defaults:
        document = self._read(path) if path.is_file() else None
        if document is None:
            return {}
        found, name = Document(), self._name(path)
        values = own_defaults(document, found)
        self._misplaced(name, found)
        for key, item in document.value.items():
            if key != DEFAULTS:
                problem = Problem("unknown_key", "This file holds defaults only.", "Move the rows to another file.")
                self._file_fault(name, item.line, key, problem)
                self.has_unread_files = True
        return {
            section: {column: replace(value, file=name) for column, value in columns.items()}
            for section, columns in values.items()
        }

    def _read(self, path: Path) -> YamlItem | None:
        """Return the mapping that a file holds; None when it holds nothing, or a fault was found."""
        name = self._name(path)
        try:
            document = read_yaml(path)
        except YamlError as error:
            self._file_fault(name, error.line, None, Problem(error.rule, error.message, error.remedy))
            self.has_unread_files = True
            return None
        if document is None or document.value is None:
            return None
        if not isinstance(document.value, dict):
            remedy = f"Begin with one of: {', '.join(SECTIONS)}."
            self._file_fault(name, document.line, None, Problem("wrong_type", "The file is not a mapping.", remedy))
            return None
        self._duplicate_keys(name, document)
        return document

    def _misplaced(self, name: str, found: Document) -> None:
        for fault in found.misplaced:
            self._file_fault(name, fault.item.line, fault.key, fault.problem)
            self.has_unread_files = True

    def _read_row(self, name: str, declared: Declared) -> None:
        item, row_type = declared.item, SECTIONS[declared.section]
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
            **{column: f"{value.file or name}:{value.line}" for column, value in item.value.items()},
        }
        for column, problem in declared.problems:
            self._fault(row_id, column, None, problem)
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
