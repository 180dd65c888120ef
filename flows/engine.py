"""The engine: plan a run, then run it wave by wave. Plain functions; neither Prefect nor the command line is needed.

    plan = prepare(context, request)              # sync when needed, gate; imports no dbt
    summary = execute(context, plan, observer)    # dbt in process, log read back, readers gated again, all recorded

A load counts when its row stands in the warehouse's load log, which commits with the data; dbt's word alone does not.
So a run that is killed at any moment leaves each target either loaded and logged or untouched; the next run goes on.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from tenacity import retry, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_exponential_jitter

from flows.context import Context
from flows.facts import Action, Decision, UpstreamState
from flows.gate import left_to
from flows.graph import read_targets, select_transformations
from flows.leases import LeaseKeeper, foreign_leases, wait_until_free
from flows.locks import warehouse_lock
from flows.profile import Profile
from flows.recording import record_adopted, record_decisions, record_outcomes
from flows.retries import RetryBook, RetryPolicy
from flows.rule_files import load_rules
from flows.runs import (
    OutcomeStatus,
    RunObserver,
    RunPlan,
    RunRequest,
    RunSummary,
    SilentObserver,
    TargetOutcome,
    Wave,
)
from metadata_sync.errors import RunError, SoftRunError
from metadata_sync.words import SourceKind

if TYPE_CHECKING:
    from flows.dbt_runner import DbtRunner
    from flows.decisions import Surroundings, Verdicts
    from flows.outcomes import Build
    from flows.state import LoggedLoad, WarehouseState
    from flows.warehouse import Warehouse
    from metadata_sync.names import TableName
    from metadata_sync.rows import ControlRows, SourceRow, TransformationRow

__all__ = [
    "RunObserver", "RunPlan", "RunRequest", "RunSummary", "SilentObserver", "execute", "hold_warehouse", "prepare",
]  # fmt: skip

logger = logging.getLogger(__name__)

_patiently = retry(
    retry=retry_if_exception_type(SoftRunError),
    stop=stop_after_attempt(4) | stop_after_delay(30),
    wait=wait_exponential_jitter(initial=1, max=10),
    reraise=True,
)
"""Reads again what reads the warehouse in the middle of a run, when the connection is lost."""


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


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


def prepare(
    context: Context,
    request: RunRequest,
    *,
    is_dry: bool = False,
    clock: Callable[[], datetime] = utc_now,
    on_wait: Callable[[str], None] = lambda _: None,
) -> RunPlan:
    """Decide what a run would do now. Brings generated models in step with the rows, and loads nothing.

    Args:
        context: Project, settings, control database.
        request: What is asked.
        is_dry: Write nothing at all, not even generated models.
        clock: Tells the current instant, with its zone.
        on_wait: Called once with a sentence when the request waits for another run.

    Returns:
        The plan, with a decision and its evidence per selected target.

    Raises:
        ConfigurationError: When a pipeline does not exist, or settings and profile do not fit.
        MetadataError: When rows or SELECTs are at fault.
        RunError: When the warehouse cannot be read.
    """
    profile = context.profile
    rows = context.store.read_rows() if is_dry else sync_rows(context)
    selected = select_transformations(rows, request)
    wait_until_free(context.store, {str(row.name) for row in selected}, request.wait_seconds, on_wait=on_wait)
    now = clock()
    with _reading(context, profile) as warehouse:
        state = _read_state(context, rows, warehouse, profile, is_dry=is_dry)
        around = _surroundings(context, rows, state, request)
        verdicts = _decide(context, selected, around, warehouse, now)
        orphans = _orphans(rows, state, warehouse, profile) if not request.pipelines else ()
    plan = RunPlan(
        run_id=f"{now:%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}",
        planned_at=now,
        request=request,
        rows=rows,
        selected=selected,
        decisions=verdicts.decisions,
        orphans=orphans,
        tokens=verdicts.tokens,
        absent=frozenset(row.name for row in rows.transformations) - state.existing,
    )
    for decision in plan.decisions:
        _log_decision(plan.run_id, decision)
    return plan


def execute(
    context: Context,
    plan: RunPlan,
    observer: RunObserver | None = None,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> RunSummary:
    """Do what a plan says, record it, and report it.

    Args:
        context: Project, settings, control database.
        plan: What `prepare` decided.
        observer: Watches; nobody by default.
        clock: Tells the current instant, with its zone.
        sleep: Waits that many seconds, until the next retry.

    Returns:
        One outcome per selected target. A plan in which nothing is due is recorded and reported like any other.

    Raises:
        RunError: When dbt or the warehouse cannot be started at all; what was loaded before is recorded.
    """
    watcher = observer or SilentObserver()
    keeper = LeaseKeeper(context.store, run_id=plan.run_id, held_by=plan.request.requested_by)
    with hold_warehouse(context, f"run {plan.run_id}"), keeper:
        return _Execution(context, plan, watcher, keeper, clock=clock, sleep=sleep).run()


def sync_rows(context: Context) -> ControlRows:
    """Bring the generated models in step with the rows, keep column lists that sync took from SELECTs; return the rows.

    Raises:
        MetadataError: When rows or SELECTs are at fault.
        SyncError: When generated files were edited by hand or cannot be written.
    """
    from metadata_sync.sync import sync_store

    stored = context.store.read_stored()
    report = sync_store(context.store, stored, context.project, context.columns)
    return context.store.read_rows() if report.filled else stored.rows


class _Execution:
    """One run of one plan."""

    def __init__(
        self,
        context: Context,
        plan: RunPlan,
        observer: RunObserver,
        leases: LeaseKeeper,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._context = context
        self._plan = plan
        self._observer = observer
        self._leases = leases
        self._clock = clock
        self._sleep = sleep
        self._rules = load_rules(context.project)
        self._retries = _retry_book(context, plan)
        self._profile = context.profile
        self._decisions = {decision.target: decision for decision in plan.decisions}
        self._outcomes: dict[str, TargetOutcome] = {}
        self._tokens = dict(plan.tokens)
        self._dbt: DbtRunner | None = None
        self._wave_count = 0

    def run(self) -> RunSummary:
        started_at = self._clock()
        self._settle(self._plan.decisions)
        while (due := self._await_due()) or self._waiting():
            if due:
                self._run_wave(due)
            self._decide_waiting()
        summary = RunSummary(
            run_id=self._plan.run_id,
            request=self._plan.request,
            started_at=started_at,
            finished_at=self._clock(),
            outcomes=tuple(self._outcomes[str(row.name)] for row in self._plan.selected),
            orphans=self._plan.orphans,
        )
        self._observer.finished(summary)
        return summary

    def _await_due(self) -> list[TransformationRow]:
        """Return what runs next, after the pause before a retry when there is nothing else; empty at the end."""
        while True:
            now = self._clock()
            open_ = [row for row in self._decided(Action.RUN) if str(row.name) not in self._outcomes]
            due = [row for row in open_ if self._retries.is_due(str(row.name), now)]
            seconds = self._retries.seconds_left(now)
            if due or seconds is None:
                return due
            self._sleep(seconds)

    def _waiting(self) -> list[TransformationRow]:
        return self._decided(Action.WAIT)

    def _decided(self, action: Action) -> list[TransformationRow]:
        return [row for row in self._plan.selected if self._decisions[str(row.name)].action is action]

    def _settle(self, decisions: Sequence[Decision]) -> None:
        """Record decisions that are final, and note the targets that will not run."""
        final = self._leased([decision for decision in decisions if decision.action is not Action.WAIT])
        record_decisions(self._context.store, self._plan.run_id, final, self._clock())
        for decision in final:
            self._decisions[decision.target] = decision
            if decision.action is not Action.RUN:
                status = OutcomeStatus.HELD if decision.action is Action.HOLD else OutcomeStatus.SKIPPED
                outcome = TargetOutcome(decision.target, decision.pipeline_id, decision, status)
                self._outcomes[decision.target] = outcome
        self._observer.decided([self._decisions[decision.target] for decision in decisions])

    def _leased(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Take the leases of what shall run; what another run was quicker to take is left to it."""
        due = [decision.target for decision in decisions if decision.action is Action.RUN]
        others = {lease.target: str(lease) for lease in self._leases.take(due)}
        return [left_to(item, others[item.target]) if item.target in others else item for item in decisions]

    def _run_wave(self, due: Sequence[TransformationRow]) -> None:
        """Build targets together, believe what the load log says of them, plan retries of what may heal."""
        from flows.outcomes import outcome_of

        self._wave_count += 1
        targets = tuple(str(row.name) for row in due)
        reads = read_targets({row.name: row for row in self._plan.selected})
        upstreams = {str(row.name): tuple(map(str, reads[row.name])) for row in due}
        self._observer.wave_started(Wave(self._wave_count, targets, upstreams))
        before = {target: self._retries.last_outcome(target) for target in targets}
        build = self._build(due, {target for target, outcome in before.items() if outcome and outcome.load_id})
        loads = self._read_back()
        outcomes = [
            outcome_of(
                self._decisions[target],
                row.name.model_name,
                build,
                loads.get(target),
                rules=self._rules,
                before=before[target],
            )
            for row, target in zip(due, targets, strict=True)
        ]
        self._end_wave(outcomes)

    def _end_wave(self, outcomes: Sequence[TargetOutcome]) -> None:
        now = self._clock()
        planned = [self._retries.consider(outcome, now) for outcome in outcomes]
        ended = [outcome for outcome, retry in zip(outcomes, planned, strict=True) if retry is None]
        self._outcomes |= {outcome.target: outcome for outcome in ended}
        record_outcomes(self._context.store, self._plan.run_id, ended, now)
        self._leases.give_back([outcome.target for outcome in ended])
        self._observer.loaded(ended)
        retries = [retry for retry in planned if retry is not None]
        if retries:
            self._observer.retrying(retries)

    def _build(self, due: Sequence[TransformationRow], loaded: Set[str]) -> Build:
        """Run dbt; when it stops before its first node, every target of the wave has failed for that reason."""
        from flows.dbt_runner import DbtRunner
        from flows.outcomes import Build, load_variables

        if self._dbt is None:
            self._dbt = DbtRunner(self._context.project, self._context.settings, self._profile)
        waiting = {row.name for row in self._plan.selected if str(row.name) not in self._outcomes}
        absent = {name for name in self._plan.absent if not self._has_loaded(name)}
        try:
            results = self._dbt.build(
                [row.name.model_name for row in due if str(row.name) not in loaded],
                tested=[row.name.model_name for row in due if str(row.name) in loaded],
                unbuilt=[name.model_name for name in waiting | absent],
                variables=load_variables(self._plan.run_id, self._tokens),
                callbacks=self._observer.dbt_callbacks,
            )
        except RunError as error:
            return Build(stop=str(error))
        return Build(results)

    def _has_loaded(self, name: TableName) -> bool:
        outcome = self._outcomes.get(str(name))
        return outcome is not None and outcome.load_id is not None

    @_patiently
    def _read_back(self) -> dict[str, LoggedLoad]:
        from flows.state import read_loads

        with _reading(self._context, self._profile) as warehouse:
            loads = read_loads(warehouse, self._profile, run_id=self._plan.run_id)
        return {load.target: load for load in loads}

    def _decide_waiting(self) -> None:
        """Ask the gate again about the targets whose upstreams have ended meanwhile."""
        waiting = self._waiting()
        if not waiting:
            return
        verdicts = self._ask_gate(waiting)
        self._tokens |= verdicts.tokens
        self._settle([decision for decision in verdicts.decisions if decision.action is not Action.WAIT])
        for decision in verdicts.decisions:
            _log_decision(self._plan.run_id, decision)

    @_patiently
    def _ask_gate(self, waiting: Sequence[TransformationRow]) -> Verdicts:
        with _reading(self._context, self._profile) as warehouse:
            state = _read_state(self._context, self._plan.rows, warehouse, self._profile, is_dry=True)
            around = _surroundings(self._context, self._plan.rows, state, self._plan.request, self._plan.run_id)
            around = replace(around, settled=self._states())
            return _decide(self._context, waiting, around, warehouse, self._clock())

    def _states(self) -> dict[str, UpstreamState]:
        from flows.decisions import state_after

        ended = {target: state_after(outcome.decision, outcome.status) for target, outcome in self._outcomes.items()}
        return ended | dict.fromkeys(self._retries.waiting, UpstreamState.PENDING)


def _retry_book(context: Context, plan: RunPlan) -> RetryBook:
    settings = context.settings
    minutes = {row.pipeline_id: row.sla_minutes or settings.retry_minutes for row in plan.rows.pipelines}
    return RetryBook(
        RetryPolicy(settings.tries, settings.retry_pause_seconds),
        deadlines={
            str(row.name): plan.planned_at + timedelta(minutes=minutes[row.pipeline_id]) for row in plan.selected
        },
        earlier_tries={},
        chance=random.random,
    )


@contextmanager
def _reading(context: Context, profile: Profile) -> Iterator[Warehouse]:
    from flows.warehouse import open_warehouse

    warehouse = open_warehouse(profile, wait_seconds=context.settings.lock_wait_seconds)
    try:
        yield warehouse
    finally:
        warehouse.close()


def _read_state(
    context: Context, rows: ControlRows, warehouse: Warehouse, profile: Profile, *, is_dry: bool
) -> WarehouseState:
    """Read the load log; loads that only it knows (of a killed run, of dbt by hand) go into the control database."""
    from flows.state import read_loads, read_state
    from metadata_sync.database.journal import LoadStatus

    state = read_state(warehouse, profile, [row.name for row in rows.transformations])
    if is_dry:
        return state
    pipelines = {str(row.name): row.pipeline_id for row in rows.transformations}
    recorded = (*context.store.latest_loads(), *context.store.latest_loads(LoadStatus.SUCCESS))
    unknown = {load_id for target, load_id in state.last_loads.items() if target in pipelines}
    unknown -= {entry.load_id for entry in recorded if entry.load_id is not None}
    if unknown:
        loads = read_loads(warehouse, profile, load_ids=unknown)
        record_adopted(context.store, loads, pipelines, utc_now())
    return state


def _surroundings(
    context: Context, rows: ControlRows, state: WarehouseState, request: RunRequest, run_id: str | None = None
) -> Surroundings:
    from flows.decisions import Surroundings
    from metadata_sync.database.journal import LoadStatus

    failed = context.store.latest_loads()
    names = frozenset(entry.target for entry in failed if entry.status is LoadStatus.ERROR)
    leases = {target: str(lease) for target, lease in foreign_leases(context.store, run_id).items()}
    return Surroundings(rows, state, is_forced=request.is_forced, failed_before=names, leases=leases)


def _decide(
    context: Context,
    targets: Sequence[TransformationRow],
    around: Surroundings,
    warehouse: Warehouse,
    now: datetime,
) -> Verdicts:
    from flows.decisions import decide_targets
    from flows.probes import Prober

    def examine(source: SourceRow) -> str | None:
        """Look at the schemas of a lake folder's files before they are read: DuckDB would silently cast the odd one."""
        if source.kind is not SourceKind.LAKE:
            return None
        try:
            context.columns.source_columns(source)
        except ValueError as error:
            return str(error)
        return None

    return decide_targets(targets, around, Prober(context.project, warehouse, now), examine)


def _orphans(rows: ControlRows, state: WarehouseState, warehouse: Warehouse, profile: Profile) -> tuple[Decision, ...]:
    from flows.decisions import hold_orphans
    from flows.state import existing_tables
    from metadata_sync.names import TableName

    unfilled = state.logged - {str(row.name) for row in rows.transformations}
    if not unfilled:
        return ()
    return hold_orphans(existing_tables(warehouse, profile, [TableName.parse(name) for name in unfilled]))


def _log_decision(run_id: str, decision: Decision) -> None:
    logger.info(
        "gate.decided run_id=%s target=%s action=%s reason=%s",
        run_id, decision.target, decision.action, decision.reason,
    )  # fmt: skip
