"""One run of one plan: waves of dbt, their outcomes by the load log, retries, consequences of failures."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from flows.context import reading
from flows.engine.engines import with_engines
from flows.errors.run_rules import RunRules
from flows.gate.facts import Action, Decision, UpstreamState
from flows.gate.gather import log_decision, open_gate
from flows.gate.rules import outdated, skip_leased, switched_off
from flows.incidents.settle import RunSettler
from flows.run.leases import LeaseKeeper, lease_texts, renamed_since
from flows.run.model import OutcomeStatus, Retry, RunObserver, RunPlan, RunSummary, TargetOutcome, Wave
from flows.run.outcome import record_decisions
from flows.run.retry import RetryBook, RetryPolicy
from flows.run.selection import read_targets, switched_off_since
from flows.warehouse.connection import retry_reads
from metadata_sync.errors import RunError
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.context import Context
    from flows.dbt.runner import DbtRunner
    from flows.gate.decide import GateDecisions
    from flows.run.outcome import Build
    from flows.spark import run_hook
    from flows.spark.stage import CompileModels, Staged
    from flows.warehouse.load_log import LoggedLoad
    from metadata_sync.rows.model import TransformationRow
    from metadata_sync.rows.names import TableName


_MOST_DAMAGED_FILES: Final = 3
"""How many damaged files a load meets in one run before it counts as failed."""


class Execution:
    """One run of one plan."""

    def __init__(
        self,
        context: Context,
        plan: RunPlan,
        observer: RunObserver,
        leases: LeaseKeeper,
        *,
        sleep: Callable[[float], None],
        url: str | None = None,
    ) -> None:
        self._context = context
        self._plan = plan
        self._observer = observer
        self._leases = leases
        self._sleep = sleep
        self._rules = RunRules(context.project)
        self._settler = RunSettler(context, plan.run_id, plan.rows, self._rules, fingerprint=self._fingerprint, url=url)
        self._retries: RetryBook | None = None  # opened at the first failure
        self._profile = context.profile
        self._decisions = {decision.target: decision for decision in plan.decisions}
        self._outcomes: dict[str, TargetOutcome] = {}
        self._tokens = dict(plan.tokens)
        self._dbt: DbtRunner | None = None
        self._spark: run_hook.SparkInRun | None = None
        self._wave_count = 0
        self._begun: set[str] = set()
        self._files_met: list[str] = []
        self._lake = plan.lake

    def run(self) -> RunSummary:
        """Run the plan to its end."""
        started_at = self._context.now()
        self._settle(self._plan.decisions)
        while (due := self._await_due()) or self._waiting():
            if due := self._without_off_retries(due):
                self._run_wave(due)
            self._decide_waiting()
        summary = RunSummary(
            run_id=self._plan.run_id,
            request=self._plan.request,
            started_at=started_at,
            finished_at=self._context.now(),
            outcomes=tuple(self._outcomes[str(row.name)] for row in self._plan.selected),
            orphans=self._plan.orphans,
        )
        self._observer.finished(summary)
        return summary

    def _await_due(self) -> list[TransformationRow]:
        """Return what runs next; wait for the next retry if nothing else is due. Empty at the end of the run."""
        open_ = [row for row in self._with_action(Action.RUN) if str(row.name) not in self._outcomes]
        while self._retries is not None:
            now = self._context.now()
            due = [row for row in open_ if self._retries.is_due(str(row.name), now)]
            seconds = self._retries.seconds_left(now)
            if due or seconds is None:
                return due
            self._sleep(seconds)
        return open_

    def _waiting(self) -> list[TransformationRow]:
        return self._with_action(Action.WAIT)

    def _with_action(self, action: Action) -> list[TransformationRow]:
        return [row for row in self._plan.selected if self._decisions[str(row.name)].action is action]

    def _settle(self, decisions: Sequence[Decision]) -> None:
        """Record decisions that are final, and note the targets that will not run."""
        from flows.run.outcome import outcome_without_run

        final = self._take_leases([decision for decision in decisions if decision.action is not Action.WAIT])
        record_decisions(self._context.store, self._plan.run_id, final, self._context.now())
        for decision in final:
            self._decisions[decision.target] = decision
            if decision.action is not Action.RUN:
                self._outcomes[decision.target] = outcome_without_run(decision, self._rules)
        self._settler.settle([self._outcomes[item.target] for item in final if item.target in self._outcomes])
        self._observer.decided([self._decisions[decision.target] for decision in decisions])

    def _take_leases(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Take the leases of the targets to run; skip those whose lease another run took first."""
        due = [decision.target for decision in decisions if decision.action is Action.RUN]
        others = {lease.target: str(lease) for lease in self._leases.take(due)}
        left = [skip_leased(item, others[item.target]) if item.target in others else item for item in decisions]
        renamed = renamed_since(self._context.store, self._plan.planned_at) if due else {}
        current = [outdated(item, renamed[item.target]) if item.target in renamed else item for item in left]
        return self._without_off(current) if due and self._wave_count else current

    def _without_off(self, decisions: Sequence[Decision]) -> list[Decision]:
        """Leave out what somebody switched off, with its pipeline or alone, while this run was at work."""
        off = switched_off_since(self._plan.rows, self._context.store.usable_rows())
        return [switched_off(item) if item.target in off else item for item in decisions]

    def _without_off_retries(self, due: Sequence[TransformationRow]) -> list[TransformationRow]:
        """Leave out the targets that were switched off before another try of them."""
        again = {str(row.name) for row in due} & (self._retries.waiting if self._retries else frozenset())
        if not again:
            return list(due)
        decided = self._without_off([self._decisions[target] for target in again])
        left = [decision for decision in decided if decision.action is not Action.RUN]
        self._end_without_retry(left)
        targets = {decision.target for decision in left}
        return [row for row in due if str(row.name) not in targets]

    def _end_without_retry(self, decisions: Sequence[Decision]) -> None:
        """End the targets that are not tried again; one whose rows were loaded keeps the outcome of that try."""
        assert self._retries is not None, "only a target that is tried again can be left out"
        loaded = []
        for decision in decisions:
            last = self._retries.last_outcome(decision.target)
            self._retries.drop(decision.target)
            if last is not None and last.load_id:
                loaded.append(last)
        kept = {outcome.target for outcome in loaded}
        self._end(loaded)
        self._settle([decision for decision in decisions if decision.target not in kept])
        self._leases.give_back([decision.target for decision in decisions])

    def _run_wave(self, due: Sequence[TransformationRow]) -> None:
        """Build targets together, read their outcomes from the load log, plan retries of soft failures."""
        from flows.run.outcome import outcome_of

        self._wave_count += 1
        targets = tuple(str(row.name) for row in due)
        reads = read_targets({row.name: row for row in self._plan.selected})
        upstreams = {str(row.name): tuple(map(str, reads[row.name])) for row in due}
        self._observer.wave_started(Wave(self._wave_count, targets, upstreams))
        before = {target: self._retries.last_outcome(target) if self._retries else None for target in targets}
        build = self._build(due, {target for target, outcome in before.items() if outcome and outcome.load_id})
        loads = self._read_back()
        outcomes = [
            replace(
                outcome_of(
                    self._decisions[target],
                    row.name.model_name,
                    build,
                    loads.get(target),
                    rules=self._rules,
                    before=before[target],
                ),
                cluster=self._spark.cost(target) if self._spark else None,
            )
            for row, target in zip(due, targets, strict=True)
        ]
        self._end_wave(outcomes)

    def _end_wave(self, outcomes: Sequence[TargetOutcome]) -> None:
        now = self._context.now()
        outcomes = [outcome for outcome in outcomes if not self._goes_on_without_a_file(outcome)]
        planned = [self._plan_retry(outcome, now) for outcome in outcomes]
        self._end([outcome for outcome, retry in zip(outcomes, planned, strict=True) if retry is None])
        retries = [retry for retry in planned if retry is not None]
        if retries:
            self._observer.retrying(retries)

    def _end(self, ended: Sequence[TargetOutcome]) -> None:
        self._outcomes |= {outcome.target: outcome for outcome in ended}
        self._settler.settle(ended)
        self._leases.give_back([outcome.target for outcome in ended])
        self._observer.loaded(ended)

    def _goes_on_without_a_file(self, outcome: TargetOutcome) -> bool:
        """Whether a load failed at a damaged file that nobody had noticed: the gate then decides again without it."""
        from flows.errors.classify import FailureClass

        target = outcome.target
        if outcome.verdict is None or outcome.verdict.failure_class is not FailureClass.UNREADABLE_FILE:
            return False
        if self._files_met.count(target) >= _MOST_DAMAGED_FILES:
            return False
        from flows.engine.shapes import note_damaged
        from flows.warehouse.lake.variable import lake_view

        (row,) = [row for row in self._plan.selected if str(row.name) == target]
        rows = self._plan.rows
        sources = [source for item in resolve_dependencies(row, rows) if (source := rows.source(item.name)) is not None]
        if not note_damaged(self._context, lake_view(self._context, rows), sources, outcome.error or ""):
            return False
        self._files_met.append(target)
        self._decisions[target] = replace(self._decisions[target], action=Action.WAIT)
        return True

    def _plan_retry(self, outcome: TargetOutcome, now: datetime) -> Retry | None:
        if self._retries is None:
            if outcome.status is not OutcomeStatus.FAILED:
                return None
            self._retries = _retry_book(self._context, self._plan, self._settler.earlier_tries)
        return self._retries.consider(outcome, now)

    def _build(self, due: Sequence[TransformationRow], loaded: Set[str]) -> Build:
        """Run dbt; when it stops before its first node, every target of the wave has failed for that reason."""
        from flows.dbt.runner import DbtRunner
        from flows.run.outcome import Build, load_variables, windows_variable
        from flows.warehouse.lake.variable import files_variable

        if self._dbt is None:
            scope = [row.name.model_name for row in self._plan.selected]
            self._dbt = DbtRunner(self._context.project, self._context.settings, self._profile, scope)
        waiting = {row.name for row in self._plan.selected if str(row.name) not in self._outcomes}
        absent = {name for name in self._plan.absent if not self._has_loaded(name)}
        chunks = self._chunks_of_first_loads(due)
        variables = load_variables(self._plan.run_id, self._tokens) | (windows_variable(chunks) if chunks else {})
        decided = [self._decisions[str(row.name)] for row in due]
        left_out = {(decision.target, *file) for decision in decided for file in decision.left_out}
        with self._context.columns.connected():
            variables |= files_variable(
                *(self._context, self._plan.rows, due, self._plan.run_id),
                left_out=left_out,
                seen=self._lake,
                is_whole=False,
            )
        try:
            unloaded = [row for row in due if str(row.name) not in loaded]
            compile_models = partial(self._dbt.compile, variables=variables)
            staged = self._run_on_spark(unloaded, compile_models, variables.get("SLUICE_FILES"))
            failed = staged.failed if staged else {}
            if len(failed) == len(due):
                return Build(stopped=failed)
            results = self._dbt.build(
                [row.name.model_name for row in unloaded if str(row.name) not in failed],
                tested=[row.name.model_name for row in due if str(row.name) in loaded],
                unbuilt=[name.model_name for name in waiting | absent],
                untested=[row.name.model_name for row in self._plan.selected if self._holds_a_part(str(row.name))],
                variables={**variables, **(staged.variables if staged else {})},
                callbacks=self._observer.dbt_callbacks,
            )
        except RunError as error:
            return Build(stop=str(error))
        return Build(results, stopped=failed)

    def _holds_a_part(self, target: str) -> bool:
        """Whether chunks of a target's first load are left after this run: its data tests wait for the last one."""
        first = self._plan.first_loads.get(target)
        return first is not None and first.done + len(first.run_chunks) < len(first.chunks)

    def _chunks_of_first_loads(self, due: Sequence[TransformationRow]) -> dict[str, dict[str, dict[str, object]]]:
        """Return the chunks that the targets read in place of all that is new, by target and source."""
        found = {}
        for row in due:
            first = self._plan.first_loads.get(str(row.name))
            if first is None or not first.run_chunks:
                continue
            if first.is_new and first.target not in self._begun:
                from flows.engine.first_loads import begin_first_load

                begin_first_load(self._context, first, self._plan.request.requested_by)
                self._begun.add(first.target)
            found[first.target] = first.windows(first.run_chunks)
        return found

    def _run_on_spark(
        self, due: Sequence[TransformationRow], compile_models: CompileModels, files: str | None
    ) -> Staged | None:
        """Run the SELECTs whose engine is Spark; None when there are none."""
        choices = [self._decisions[str(row.name)].choice for row in due]
        if all(choice is None or choice.engine is not Engine.SPARK for choice in choices):
            return None
        if self._spark is None:
            from flows.spark.run_hook import SparkInRun

            self._spark = SparkInRun(self._context, self._plan, self._observer.say, self._observer.spark_changed)
        return self._spark.run(due, self._decisions, compile_models, files)

    def _fingerprint(self, outcome: TargetOutcome) -> str | None:
        from flows.incidents.fingerprint import take_fingerprint

        (row,) = [row for row in self._plan.selected if str(row.name) == outcome.target]
        return str(take_fingerprint(self._context, row, self._plan.rows, outcome.decision))

    def _has_loaded(self, name: TableName) -> bool:
        outcome = self._outcomes.get(str(name))
        return outcome is not None and outcome.load_id is not None

    @retry_reads
    def _read_back(self) -> dict[str, LoggedLoad]:
        from flows.warehouse.load_log import read_loads

        plan = self._plan
        with reading(self._context, self._profile) as warehouse:
            loads = read_loads(warehouse, self._profile, run_id=plan.run_id)
            if plan.rejecting or any(load.rows.rejected for load in loads):
                from flows.warehouse.rejects import with_rejects

                loads = with_rejects(warehouse, self._profile, plan.rows, loads, plan.rejecting)
        return {load.target: load for load in loads}

    def _decide_waiting(self) -> None:
        """Apply the gate again to the targets whose upstreams have ended."""
        waiting = self._waiting()
        if not waiting:
            return
        answer = self._ask_gate(waiting)
        self._tokens |= answer.tokens
        self._settle([decision for decision in answer.decisions if decision.action is not Action.WAIT])
        for decision in answer.decisions:
            log_decision(self._plan.run_id, decision)

    @retry_reads
    def _ask_gate(self, waiting: Sequence[TransformationRow]) -> GateDecisions:
        plan, store = self._plan, self._context.store
        with open_gate(self._context, plan.rows, waiting, plan.blame) as gate:
            self._lake = gate.lake
            answer = gate.decide(
                store.latest_loads(),
                self._context.now(),
                forced_by=plan.request.requested_by if plan.request.is_forced else None,
                leases=lease_texts(store, plan.run_id),
                settled=self._states(),
            )
            decided = with_engines(self._context, plan.request, plan.rows, gate.state, answer.decisions)
            return replace(answer, decisions=decided)

    def _states(self) -> dict[str, UpstreamState]:
        ended = {target: _state_of(outcome) for target, outcome in self._outcomes.items()}
        retried = self._retries.waiting if self._retries else frozenset[str]()
        return ended | dict.fromkeys(retried, UpstreamState.PENDING)


def _state_of(outcome: TargetOutcome) -> UpstreamState:
    """Return the state that readers see of a target whose outcome is known."""
    from flows.gate.decide import state_after

    if outcome.status is OutcomeStatus.FAILED:
        return UpstreamState.FAILED
    if outcome.status in (OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED):
        return UpstreamState.SETTLED
    return state_after(outcome.decision)


def _retry_book(context: Context, plan: RunPlan, earlier_tries: Mapping[str, int]) -> RetryBook:
    settings = context.settings
    minutes = {row.pipeline_id: row.sla_minutes or settings.retry_minutes for row in plan.rows.pipelines}
    return RetryBook(
        RetryPolicy(settings.tries, settings.retry_pause_seconds),
        deadlines={
            str(row.name): plan.planned_at + timedelta(minutes=minutes[row.pipeline_id]) for row in plan.selected
        },
        earlier_tries=earlier_tries,
        chance=random.random,
    )
