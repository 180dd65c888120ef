"""Sync: write control rows as dbt models. Files of unchanged rows are not touched."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from metadata_sync.analysis.blame import COLUMNS_UNKNOWN, Blame
from metadata_sync.analysis.data_tests import TestScope
from metadata_sync.analysis.declared_tests import read_declared_tests
from metadata_sync.analysis.groups import with_groups
from metadata_sync.analysis.protocols import WarehouseColumns
from metadata_sync.analysis.unit_tests import dbt_unit_tests
from metadata_sync.errors import Fault, MetadataError, SyncError
from metadata_sync.project import Project
from metadata_sync.rows.model import Column, ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName, is_identifier, is_slug
from metadata_sync.rows.resolve import is_active, model_reads
from metadata_sync.sync.column_lists import (
    list_changes,
    refused_types,
    with_changed_lists,
    with_lists,
)
from metadata_sync.sync.definitions import model_file
from metadata_sync.sync.generated import (
    RENDER_VERSION,
    FileState,
    GeneratedFile,
    digest,
    file_state,
    find_orphans,
    remove_file,
    write_file,
    writing_lock,
)
from metadata_sync.sync.render import (
    Document,
    document_text,
    model_document,
    model_text,
    placeholder_document,
    placeholder_text,
    source_document,
)
from metadata_sync.sync.report import SyncReport

if TYPE_CHECKING:
    from metadata_sync.analysis.catalog import Catalog

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that rows require.

    Attributes:
        file: Its path and inputs.
        row: Its transformation or source.
        document: The document of a properties file; None for a model's SQL.
    """

    file: GeneratedFile
    row: TransformationRow | SourceRow
    document: Document | None


@dataclass(frozen=True, slots=True)
class _Plan:
    """The changes of files."""

    stale: tuple[_Wanted, ...]
    current: tuple[Path, ...]
    orphans: tuple[Path, ...]

    @property
    def is_empty(self) -> bool:
        return not self.stale and not self.orphans


def sync(
    rows: ControlRows,
    project: Project,
    columns: WarehouseColumns,
    *,
    check: bool = False,
    overwrite: bool = False,
    keep_going: bool = False,
    faults: tuple[Fault, ...] = (),
    taken: Callable[[Set[TableName]], Collection[TableName]] = lambda _: (),
) -> SyncReport:
    """Write the generated models so that they match the rows.

    All rows are rendered, also inactive ones: a missing model would break every `ref` to it. When nothing changed, no
    SELECT is parsed and the warehouse is not queried.

    Args:
        rows: All rows of the environment.
        project: The project with the files.
        columns: The warehouse, for changed SELECTs and missing column lists.
        check: Write nothing; report files that would be written or removed.
        overwrite: Replace files that were edited by hand.
        keep_going: Leave files of rows with faults unchanged, write the others, and report the faults.
        faults: Faults of stored rows, known from reading them; used with keep_going.
        taken: Returns which of these targets have a column list that follows the SELECT.

    Returns:
        The result.

    Raises:
        MetadataError: Without keep_going, when rows or changed SELECTs have faults; nothing was written.
        SyncError: When generated files were edited by hand, or cannot be written.
    """
    wanted = _wanted(rows, project, columns.dialect)
    plan = _plan(wanted, project, overwrite=overwrite)
    if plan.is_empty:
        return SyncReport(unchanged=_shown(plan.current, project), faults=faults)
    update = partial(
        _update_files,
        rows,
        project=project,
        columns=columns,
        overwrite=overwrite,
        keep_going=keep_going,
        known=faults,
        taken=taken,
    )
    if check:
        with columns.connected():
            return update(plan, check=True)
    with writing_lock(project), columns.connected():
        plan = _look_again(plan, wanted, project, overwrite=overwrite)
        return update(plan, check=False)


def _update_files(
    rows: ControlRows,
    plan: _Plan,
    *,
    project: Project,
    columns: WarehouseColumns,
    check: bool,
    overwrite: bool,
    keep_going: bool,
    known: tuple[Fault, ...],
    taken: Callable[[Set[TableName]], Collection[TableName]],
) -> SyncReport:
    from metadata_sync.analysis.catalog import Catalog

    changed = {item.row.name for item in plan.stale if isinstance(item.row, TransformationRow)}
    rewritten = {item.row.name for item in plan.stale if item.document is None}
    retaken = rewritten.intersection(taken(rewritten)) if rewritten else set()
    catalog = Catalog(with_lists(rows, dict.fromkeys(retaken, ())), project, columns)
    faults = _find_faults(catalog, project, changed, retaken=retaken, keep_going=keep_going, known=known)
    filled = list_changes(rows, _columns_of_selects(catalog, Blame.of(faults)))
    refused = refused_types(rows, filled, columns.dialect)
    refusals = tuple(fault for found in refused.values() for fault in found)
    if refusals and not keep_going:
        raise MetadataError(refusals)
    faults = (*faults, *refusals)
    blame = Blame.of(faults)
    filled = {name: change for name, change in filled.items() if name not in refused}
    if filled:
        wanted = _wanted(with_changed_lists(rows, filled), project, columns.dialect)
        plan = _plan(wanted, project, overwrite=overwrite)
    valid = [item for item in plan.stale if not _is_stopped(item, blame, rows)]
    current, stale = _shown(plan.current, project), _shown([item.file.path for item in valid], project)
    orphans = _shown(plan.orphans, project)
    if check:
        return SyncReport(unchanged=current, drifted=tuple(sorted({*stale, *orphans})), filled=filled, faults=faults)
    texts = {str(item.file.path): write_file(item.file, _body(item, catalog)) for item in valid}
    _write_placeholders([item for item in plan.stale if item not in valid])
    for path in sorted(plan.orphans, key=lambda path: path.suffix):  # a model's .sql goes before its .yml
        remove_file(path)
        texts[str(path)] = ""
    log.info("sync written=%d removed=%d unchanged=%d faults=%d", len(stale), len(orphans), len(current), len(faults))
    return SyncReport(written=stale, removed=orphans, unchanged=current, filled=filled, faults=faults, texts=texts)


def _is_stopped(item: _Wanted, blame: Blame, rows: ControlRows) -> bool:
    if isinstance(item.row, TransformationRow):
        return blame.stops(item.row, rows)
    return bool(blame.faults_of(item.row))


def _write_placeholders(stopped: Sequence[_Wanted]) -> None:
    """Write a placeholder for a row with faults and no model yet: a missing model would break every `ref` to it."""
    absent = {item.file.path for item in stopped if not item.file.path.with_suffix(".sql").exists()}
    for item in stopped:
        row = item.row
        if not isinstance(row, TransformationRow) or item.file.path not in absent:
            continue
        if not (is_identifier(row.target_schema) and is_identifier(row.target_table) and is_slug(row.pipeline_id)):
            continue
        body = placeholder_text(row) if item.document is None else document_text(placeholder_document(row))
        write_file(replace(item.file, inputs=digest("placeholder", body)), body)


def _wanted(rows: ControlRows, project: Project, dialect: str) -> tuple[_Wanted, ...]:
    return (*_source_files(rows, project, dialect), *_model_files(rows, project, dialect))


def _plan(wanted: Sequence[_Wanted], project: Project, *, overwrite: bool, expected: set[Path] | None = None) -> _Plan:
    """Compare files with their inputs; `expected` are the files that rows require, by default those that are wanted."""
    states = {item.file.path: file_state(item.file) for item in wanted}
    orphans, edited = find_orphans(project.generated_dir, set(states) if expected is None else expected)
    edited += [path for path, state in states.items() if state is FileState.EDITED]
    if edited and not overwrite:
        raise _edited_by_hand(edited, project)
    return _Plan(
        stale=tuple(item for item in wanted if states[item.file.path] is not FileState.CURRENT),
        current=tuple(path for path, state in states.items() if state is FileState.CURRENT),
        orphans=(*orphans, *(path for path in edited if path not in states)),
    )


def _look_again(plan: _Plan, wanted: Sequence[_Wanted], project: Project, *, overwrite: bool) -> _Plan:
    """Look again at the files that would be written: another sync or a person may have changed them meanwhile.

    A file that was current, and is not any more, is left to the next sync: it finds it by its state.
    """
    again = _plan(plan.stale, project, overwrite=overwrite, expected={item.file.path for item in wanted})
    return replace(again, current=(*plan.current, *again.current))


def _source_files(rows: ControlRows, project: Project, dialect: str) -> Iterator[_Wanted]:
    for source in rows.sources:
        document = source_document(source, project, dialect)
        path = project.generated_dir / "sources" / f"{source.name.model_name}.yml"
        yield _Wanted(
            GeneratedFile(path, f"source_control[{source.key}]", _document_digest(document)), source, document
        )


def _model_files(rows: ControlRows, project: Project, dialect: str) -> Iterator[_Wanted]:
    """Yield each model's properties before its SQL.

    A killed sync must not leave a model without properties: dbt would build it as a view with a wrong name.
    """
    declared = read_declared_tests(project)
    for row in rows.transformations:
        base = project.generated_dir / row.pipeline_id / row.name.model_name
        origin = f"transformation_control[{row.key}]"
        document = model_document(TestScope(row, rows, dialect, declared, project.allowed_functions))
        if unit_tests := dbt_unit_tests(project, row.name, dialect):
            document["unit_tests"] = unit_tests
        yield _Wanted(GeneratedFile(base.with_suffix(".yml"), origin, _document_digest(document)), row, document)
        yield _Wanted(model_file(row, rows, project, dialect), row, None)


def _document_digest(document: Document) -> str:
    return digest(str(RENDER_VERSION), json.dumps(document, sort_keys=True, default=str))


def _body(item: _Wanted, catalog: Catalog) -> str:
    if item.document is not None:
        return document_text(item.document)
    assert isinstance(item.row, TransformationRow)
    select = catalog.analysis(item.row).select
    assert select is not None  # a SELECT that cannot be parsed is a fault, found before
    meant = with_groups(item.row, catalog)
    groups = {} if meant is item.row else {one.table: one.recompute_by for one in meant.driving}
    return model_text(select, model_reads(item.row, catalog.rows), catalog.lookups(item.row), groups)


def _find_faults(
    catalog: Catalog,
    project: Project,
    changed: set[TableName],
    *,
    retaken: set[TableName],
    keep_going: bool,
    known: tuple[Fault, ...],
) -> tuple[Fault, ...]:
    """Return the faults; a row with faults from reading it is not checked by further rules.

    The columns of an active row must be known, and those of a row whose column list is taken again.

    Raises:
        MetadataError: Without keep_going when there are faults; with it, when a fault does not belong to a row.
    """
    from metadata_sync.rows.merge import all_rows
    from metadata_sync.validation.row_rules import row_faults
    from metadata_sync.validation.select_rules import select_faults

    rows = catalog.rows
    broken = Blame.of(known)
    found = (*row_faults(rows, project), *select_faults(catalog, changed))
    faults = [*known, *(fault for fault in found if (fault.table, fault.key) not in broken.by_row)]
    if not faults or keep_going:
        blame = Blame.of(faults)
        faults += [
            _unknown_columns(row, catalog.analysis(row).refusal)
            for row in rows.transformations
            if (is_active(row, rows) or row.name in retaken)
            and not blame.stops(row, rows)
            and catalog.target_columns(row) is None
        ]
    keys = {(row.control_table, row.key) for row in all_rows(rows)}
    if faults and not (keep_going and keys.issuperset(Blame.of(faults).by_row)):
        raise MetadataError(faults)
    return tuple(faults)


def _unknown_columns(row: TransformationRow, refusal: str | None) -> Fault:
    if refusal is not None:
        from metadata_sync.validation.select_rules import binding_problem

        found = binding_problem(refusal)
        return Fault(
            row.control_table, row.key, row.select_column, row.select_origin, found.rule, found.message, found.remedy
        )
    return Fault(
        table=row.control_table,
        key=row.key,
        column="column_list",
        value=None,
        rule=COLUMNS_UNKNOWN,
        message="is missing, and the warehouse cannot return the SELECT's columns now.",
        remedy="Try again when the warehouse and the sources can be read, or write the column list into the row.",
    )


def _columns_of_selects(catalog: Catalog, blame: Blame) -> dict[TableName, tuple[Column, ...]]:
    """Return the columns of the SELECTs of valid rows without a column list, as far as they are known."""
    rows = catalog.rows
    missing = (row for row in rows.transformations if not row.column_list and not blame.stops(row, rows))
    described = ((row.name, catalog.target_columns(row)) for row in missing)
    return {name: columns for name, columns in described if columns is not None}


def _edited_by_hand(paths: list[Path], project: Project) -> SyncError:
    names = ", ".join(sorted(_shown(paths, project)))
    return SyncError(
        f"Generated files were edited by hand, or were not written by Sluice: {names}.",
        "Move the edits into the SELECT or the row, then run `sluice sync --overwrite` to write the files again.",
        subject=names,
    )


def _shown(paths: list[Path] | tuple[Path, ...], project: Project) -> tuple[str, ...]:
    return tuple(path.relative_to(project.generated_dir).as_posix() for path in paths)
