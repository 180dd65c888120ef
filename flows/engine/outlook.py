"""What is pending: rows in files that are not applied, models that are out of step, and what a run would do now."""

from __future__ import annotations

from dataclasses import dataclass

from flows.context import Context
from flows.engine.engine import prepare
from flows.run.model import RunPlan, RunRequest
from flows.spark.sizing.forecast import PlannedCluster, planned_clusters
from metadata_sync.errors import Fault, MetadataError, SyncError


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A row that `sluice control apply` would change.

    Attributes:
        row: The row, e.g. `transformation_control[dwh.dim_aircraft]`.
        kind: add, change, adopt or remove.
        columns: The columns whose values would change.
    """

    row: str
    kind: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Everything that is pending.

    Attributes:
        rows: What applying the YAML files would change.
        drifted: Generated files that sync would write or remove.
        faults: Faults of files, rows or SELECTs. If there are any, the rest may be incomplete.
        run: What a run would do now; None when faults prevent a plan.
        clusters: The clusters that the run would rent on EMR.
        trouble: Why sync cannot write the generated files, or None.
        columns: Target and sentence for each column list that follows a changed SELECT.
        lookups: Target and sentences on its lookups: what goes stale, and what the last load left out.
    """

    rows: tuple[PendingRow, ...]
    drifted: tuple[str, ...]
    faults: tuple[Fault, ...]
    run: RunPlan | None
    clusters: tuple[PlannedCluster, ...] = ()
    trouble: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    lookups: tuple[tuple[str, tuple[str, ...]], ...] = ()


def look_ahead(context: Context, request: RunRequest) -> Outlook:
    """Find out what is pending, without writing anything.

    Args:
        context: The project.
        request: The request of the run.

    Raises:
        ConfigurationError: When a pipeline does not exist.
        RunError: When the warehouse cannot be read.
    """
    faults: list[Fault] = []
    pending = _pending_rows(context, faults)
    drifted, trouble, columns = _drift(context, faults)
    run = None
    try:
        run = prepare(context, request, is_dry=True)
    except MetadataError as error:
        faults += error.faults
    clusters = planned_clusters(context, run.rows, run.decisions) if run is not None else ()
    lookups = () if run is None else _lookups(context, run)
    return Outlook(pending, drifted, tuple(dict.fromkeys(faults)), run, clusters, trouble, columns, lookups)


def _lookups(context: Context, run: RunPlan) -> tuple[tuple[str, tuple[str, ...]], ...]:
    from flows.reports.lookups import lookup_notes

    targets = {decision.target for decision in run.decisions}
    return lookup_notes(run.rows, targets, context.store.latest_loads().successful)


def _pending_rows(context: Context, faults: list[Fault]) -> tuple[PendingRow, ...]:
    from metadata_sync.control.apply import plan_files

    if not context.project.control_dir.is_dir():
        return ()
    try:
        plan = plan_files(context.change_context)
    except MetadataError as error:
        faults += error.faults
        return ()
    return tuple(
        PendingRow(str(change.id), change.kind.value, tuple(column.column for column in change.columns))
        for change in plan.changes
    )


def _drift(context: Context, faults: list[Fault]) -> tuple[tuple[str, ...], str | None, tuple[tuple[str, str], ...]]:
    """Return the files that sync would write, why it cannot write them, and how column lists would change."""
    from metadata_sync.sync.store import sync_store

    try:
        report = sync_store(context.store, context.store.read_stored(), context.project, context.columns, check=True)
    except MetadataError as error:
        faults += error.faults
        return (), None, ()
    except SyncError as error:
        return (), str(error), ()
    columns = tuple((str(target), change.sentence) for target, change in report.filled.items() if change.sentence)
    return report.drifted, None, columns
