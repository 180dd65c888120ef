"""Sync of a control database: nothing is parsed, and little imported, when neither rows nor files have changed."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Final

from metadata_sync.analysis.declared_tests import FILE_NAME
from metadata_sync.analysis.unit_tests import find_test_files
from metadata_sync.sync.generated import RENDER_VERSION
from metadata_sync.sync.last_look import Snapshot, differ_only_in, recall, remember, take_snapshot
from metadata_sync.sync.report import SyncReport

if TYPE_CHECKING:
    from metadata_sync.analysis.protocols import WarehouseColumns
    from metadata_sync.database import ControlStore, StoredRows
    from metadata_sync.project import Project
    from metadata_sync.rows.model import ControlRows
    from metadata_sync.rows.names import TableName
    from metadata_sync.sync.column_lists import ListChange

_KEPT: Final = "SELECTs are kept"
"""Part of what a sync compares: the first sync after an upgrade from a version that kept no SELECT looks at all."""


def sync_store(
    store: ControlStore,
    stored: StoredRows,
    project: Project,
    columns: WarehouseColumns,
    *,
    check: bool = False,
    overwrite: bool = False,
    keep_going: bool = False,
) -> SyncReport:
    """Sync the rows of a control database, and store the column lists that sync took from SELECTs.

    When neither rows nor files have changed since the last sync, the rows are not even parsed.

    Args:
        store: The environment's control database.
        stored: All its rows, as they were read.
        project: The project with the files.
        columns: The warehouse.
        check: Write nothing, neither files nor rows.
        overwrite: Replace files that were edited by hand.
        keep_going: Leave files of rows with faults unchanged, write the others, and report the faults.

    Returns:
        The result.

    Raises:
        MetadataError: Without keep_going, when rows or changed SELECTs have faults; nothing was written.
        SyncError: When generated files were edited by hand, or cannot be written.
        StaleRowError: When a row was changed in the meantime; the files are written, the next sync stores the list.
    """
    snapshot = _snapshot(project, stored, columns.dialect)
    unchanged = recall(project, snapshot)
    if unchanged is not None:
        return SyncReport(unchanged=unchanged)
    from metadata_sync.sync.column_lists import with_changed_lists
    from metadata_sync.sync.sync import sync

    rows, faults = (stored.usable, stored.faults) if keep_going else (stored.rows, ())
    report = sync(
        rows,
        project,
        columns,
        check=check,
        overwrite=overwrite,
        keep_going=keep_going,
        faults=faults,
        taken=lambda names: _taken(store, stored, rows, names),
    )
    if check:
        return report
    _keep_selects(store, rows, project)
    if report.filled:
        _store_columns(store, rows, report.filled)
    if report == SyncReport(unchanged=report.unchanged):
        remember(project, snapshot, report.unchanged)
    elif not report.faults:
        now = store.read_stored() if report.filled else stored
        is_ours = not report.filled or now.usable == with_changed_lists(rows, report.filled)
        if is_ours:  # nobody else changed a row meanwhile
            _remember_written(project, snapshot, now, columns.dialect, report)
    return report


def _keep_selects(store: ControlStore, rows: ControlRows, project: Project) -> None:
    """Let the control database keep what the targets' SELECTs are now, so that a rollback finds them."""
    from metadata_sync.analysis.kept_selects import selects_of

    store.keep_selects(selects_of(rows.transformations, project))


def _taken(store: ControlStore, stored: StoredRows, rows: ControlRows, names: Set[TableName]) -> Set[TableName]:
    """Return which of these targets have a column list that Sluice took from the SELECT."""
    from metadata_sync.sync.column_lists import taken_lists

    asked = rows.model_copy(
        update={
            "sources": (),
            "pipelines": (),
            "transformations": tuple(row for row in rows.transformations if row.name in names),
        }
    )
    declared = stored.declared_targets({row.key for row in asked.transformations})
    return taken_lists(asked, store.framework_written(asked), declared)


def _remember_written(project: Project, before: Snapshot, stored: StoredRows, dialect: str, report: SyncReport) -> None:
    """Let the next sync skip the comparison, unless a file that this sync did not write changed meanwhile."""
    texts = {path: text for path, text in report.texts.items() if text}
    after = _snapshot(project, stored, dialect, {**before.contents, **texts})
    if differ_only_in(before, after, report.texts):
        remember(project, after, sorted({*report.written, *report.unchanged}))


def _snapshot(
    project: Project, stored: StoredRows, dialect: str, contents: Mapping[str, str] | None = None
) -> Snapshot:
    inputs = _KEPT, str(RENDER_VERSION), dialect, stored.digest, *sorted(project.allowed_functions)
    tests = [str(path.relative_to(project.dbt_dir)) for path in find_test_files(project)]
    return take_snapshot(project, inputs, [*stored.sql_paths, FILE_NAME, *tests], contents)


def _store_columns(store: ControlStore, rows: ControlRows, filled: Mapping[TableName, ListChange]) -> None:
    from metadata_sync.rows.merge import RowChange

    changes: dict[str, list[RowChange]] = {}
    for row in rows.transformations:
        if row.name in filled:
            reason = filled[row.name].sentence or "column list taken from the SELECT"
            after = row.model_copy(update={"column_list": filled[row.name].after})
            changes.setdefault(reason, []).append(RowChange(before=row, after=after))
    for reason, written in changes.items():
        store.write(written, who="sluice", via="framework", reason=reason)
