"""The engine: plan a run, then run it wave by wave. Plain functions; neither Prefect nor the command line is needed.

    plan = prepare(context, request)              # sync when needed, gate; imports no dbt
    summary = execute(context, plan, observer)    # dbt in process, log read back, readers gated again, all recorded

A load counts when its row stands in the warehouse's load log, which commits with the data; dbt's word alone does not.
So a run that is killed at any moment leaves each target either loaded and logged or untouched; the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from tenacity import retry, retry_if_exception_type, stop_after_attempt

from flows.engine.execution import Execution
from flows.engine.recovery import adopt_unknown, mark_crashes
from flows.gate.facts import Action
from flows.gate.gather import log_decision, open_gate
from flows.incidents.settle import deliver_or_log
from flows.run.leases import LeaseKeeper, lease_texts, wait_until_free
from flows.run.model import RunObserver, RunPlan, RunRequest, RunSummary, SilentObserver
from flows.run.selection import select_transformations
from flows.warehouse.file_lock import warehouse_lock
from metadata_sync.analysis.blame import Blame
from metadata_sync.errors import RequestError, StaleRowError, StoreError

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.facts import Decision
    from flows.warehouse.load_log import WarehouseState
    from metadata_sync.rows.model import ControlRows

__all__ = [
    "RunObserver", "RunPlan", "RunRequest", "RunSummary", "SilentObserver", "execute", "hold_warehouse", "prepare",
    "startup_failures_reported",
]  # fmt: skip


@contextmanager
def hold_warehouse(context: Context, command: str, on_wait: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Keep other writers off the embedded warehouse; held again within the same process it costs nothing.

    Args:
        context: Project and settings.
        command: What the holder does, for those who wait.
        on_wait: Called once with a sentence when somebody else holds it.

    Raises:
        SoftRunError: When somebody else still holds it after `SLUICE_LOCK_WAIT_SECONDS`.
    """
    wait_seconds = context.settings.lock_wait_seconds
    with warehouse_lock(context.project, context.profile, command=command, wait_seconds=wait_seconds, on_wait=on_wait):
        yield


@contextmanager
def startup_failures_reported(context: Context, request: RunRequest) -> Iterator[None]:
    """Report whatever ends the block early as an incident, then raise it again.

    A faulty request concerns only the person who made it. Without a control database nothing can be recorded.

    Args:
        context: Control database, settings.
        request: What was asked.
    """
    try:
        yield
    except (RequestError, StoreError):
        raise
    except Exception as error:
        from flows.engine.startup_failures import report_startup_failure

        report_startup_failure(context, request, error)
        raise


def prepare(
    context: Context,
    request: RunRequest,
    *,
    is_dry: bool = False,
    on_wait: Callable[[str], None] = lambda _: None,
) -> RunPlan:
    """Decide what a run would do now. Brings generated models in step with the rows, and loads nothing.

    Args:
        context: Project, settings, control database.
        request: What is asked.
        is_dry: Write nothing at all, not even generated models.
        on_wait: Called once with a sentence when the request waits for another run.

    Returns:
        The plan, with a decision and its evidence per selected target.

    Raises:
        ConfigurationError: When a pipeline does not exist, or settings and profile do not fit.
        MetadataError: When the control database holds rows that are none.
        RunError: When the warehouse cannot be read.
    """
    rows, blame = (context.store.read_rows(), Blame()) if is_dry else sync_rows(context)
    stopped = frozenset(row.name for row in rows.transformations if blame.stops(row, rows))
    selected = select_transformations(rows, request, stopped)
    wait_until_free(context.store, {str(row.name) for row in selected}, request.wait_seconds, on_wait=on_wait)
    now = context.now()
    with open_gate(context, rows, selected, blame) as gate:
        loads = context.store.latest_loads()
        if not is_dry:
            loads = adopt_unknown(gate, loads)
        forced_by = request.requested_by if request.is_forced else None
        answer = gate.decide(loads, now, forced_by=forced_by, leases=lease_texts(context.store))
        orphans = gate.orphans() if not request.pipelines else ()
        decisions = _with_engines(context, request, rows, gate.state, answer.decisions)
    plan = RunPlan(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}",
        planned_at=now,
        request=request,
        rows=rows,
        selected=selected,
        decisions=decisions,
        orphans=orphans,
        tokens=answer.tokens,
        absent=frozenset(row.name for row in rows.transformations) - gate.state.existing,
        blame=blame,
        rejecting=loads.rejecting,
    )
    for decision in plan.decisions:
        log_decision(plan.run_id, decision)
    return plan


def execute(
    context: Context,
    plan: RunPlan,
    observer: RunObserver | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    url: str | None = None,
) -> RunSummary:
    """Do what a plan says, record it, and report it.

    Args:
        context: Project, settings, control database.
        plan: What `prepare` decided.
        observer: Watches; nobody by default.
        sleep: Waits that many seconds, until the next retry.
        url: The run's page, for alerts; None when it has none.

    Returns:
        One outcome per selected target. A plan in which nothing is due is recorded and reported like any other.

    Raises:
        RunError: When dbt or the warehouse cannot be started at all; what was loaded before is recorded.
    """
    watcher = observer or SilentObserver()
    keeper = LeaseKeeper(context.store, run_id=plan.run_id, held_by=plan.request.requested_by)
    with hold_warehouse(context, f"run {plan.run_id}"), keeper:
        mark_crashes(context, plan.rows)
        summary = Execution(context, plan, watcher, keeper, sleep=sleep, url=url).run()
    deliver_or_log(context)
    return summary


@retry(retry=retry_if_exception_type(StaleRowError), stop=stop_after_attempt(3), reraise=True)
def sync_rows(context: Context) -> tuple[ControlRows, Blame]:
    """Bring the generated models in step with the rows, and keep column lists that sync took from SELECTs.

    When another run has filled in the lists of the same new rows meanwhile, it begins anew: theirs are as good.

    Returns:
        The rows, and what is wrong with them and their SELECTs: the models of those stay as they are.

    Raises:
        MetadataError: When the control database holds a row that cannot stand without what is wrong in it.
        SyncError: When generated files were edited by hand or cannot be written.
    """
    from metadata_sync.sync.sync import sync_store

    stored = context.store.read_stored()
    report = sync_store(context.store, stored, context.project, context.columns, keep_going=True)
    return context.store.usable_rows() if report.filled else stored.usable, Blame.of(report.faults)


def _with_engines(
    context: Context, request: RunRequest, rows: ControlRows, state: WarehouseState, decisions: tuple[Decision, ...]
) -> tuple[Decision, ...]:
    """Say of every target that is due where it runs."""
    if all(decision.action is not Action.RUN for decision in decisions):
        return decisions
    from flows.spark.engine_choice import with_engines

    return with_engines(context, request, rows, state, decisions)
