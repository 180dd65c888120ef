"""The stage before dbt: run targets on Spark, one cluster per group, and pass the results to the load.

    stage = SparkStage(context, rows, run_id, requested_by, say)
    staged = stage.run(chosen, compile_models)       # variables for dbt, and errors by target; clusters are terminated

Compiling the models sets the windows, by the same macros as in the warehouse. Spark reads exactly these windows, and
the load logs them. So rows that land in the meantime are left for the next run, and the target's head row detects a
load in between.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final
from uuid import uuid4

from flows.context import Context
from flows.errors.classify import FailureClass, Rule, classify, read_facts
from flows.errors.team_rules import load_rules
from flows.gate.facts import EngineChoice
from flows.run.outcome import Compiled
from flows.spark.backend import Backend, Bill, JobEnd, JobStatus, Order, Say
from flows.spark.cost_caps import check_cap, tightest_cap
from flows.spark.jobs import Result, SparkJob, Window, windows_of
from flows.spark.lake_files import ListedFiles
from flows.spark.preparation import JobPreparer, PreparedJob
from flows.spark.progress import GroupProgress, OnChange
from flows.spark.settings import BackendName, EmrSettings, SparkSettings, load_emr_settings, load_spark_settings
from flows.spark.sigterm import closing_on_sigterm
from flows.spark.sizing.groups import Group, make_groups, parse_cluster
from flows.spark.sizing.learning import ClusterUse, advise
from flows.spark.sizing.prices import PriceList, load_instances
from flows.spark.sizing.sizing import Sizing, Workload, cluster_usd, work_minutes
from metadata_sync.database.journals.entries import LoadStatus, SparkEntry
from metadata_sync.errors import SluiceError
from metadata_sync.loads import ClusterCost
from metadata_sync.rows.model import ControlRows, TransformationRow

logger = logging.getLogger(__name__)

Chosen = tuple[TransformationRow, EngineChoice]
CompileModels = Callable[[Sequence[str]], Compiled]
"""Compiles dbt models by name."""

_SCARCITY: Final = frozenset({FailureClass.CAPACITY, FailureClass.SPOT_LOSS})

_STATUSES = {
    JobStatus.DONE: LoadStatus.SUCCESS,
    JobStatus.FAILED: LoadStatus.ERROR,
    JobStatus.LOST: LoadStatus.SKIPPED,
}


@dataclass(slots=True)
class Staged:
    """The result of the stage.

    Attributes:
        results: The input of the macro `result`, by target.
        failed: The error, by target.
        costs: The cost of Spark, by target.
    """

    results: dict[str, object] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    costs: dict[str, ClusterCost] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables for dbt, read only while it executes."""
        return {"SLUICE_RESULTS": json.dumps(self.results)} if self.results else {}


class SparkStage:
    """Spark, for one run.

    Args:
        context: Project, settings, control database.
        rows: The environment's rows.
        run_id: The run.
        requested_by: Person or schedule that requested the run.
        say: Prints progress.
        on_change: Called with each change of a cluster or step.
        cluster: The cluster of the request, TYPE:N; None: Sluice sizes it.
        backend: The backend; by default that of the settings.
    """

    def __init__(
        self,
        context: Context,
        rows: ControlRows,
        run_id: str,
        *,
        requested_by: str,
        say: Say,
        on_change: OnChange = lambda _: None,
        cluster: str | None = None,
        backend: Backend | None = None,
    ) -> None:
        self._context = context
        self._rows = rows
        self._run_id = run_id
        self._requested_by = requested_by
        self._say = say
        self._on_change = on_change
        self._cluster = parse_cluster(cluster) if cluster else None
        self._given_backend = backend
        self._known: dict[str, tuple[Result, Mapping[str, Window]]] = {}
        self._scarce: set[str] = set()

    def run(self, chosen: Sequence[Chosen], compile_models: CompileModels, files: str | None = None) -> Staged:
        """Run transformations on Spark.

        Args:
            chosen: Transformations with their engine choice.
            compile_models: Compiles dbt models, which sets the windows.
            files: The listing of lake sources that the windows were cut by (SLUICE_FILES).

        Returns:
            Results for the load, and errors. A target without new rows is in neither.

        Raises:
            RunError: When dbt cannot compile at all.
        """
        staged = Staged()
        compiled = compile_models([row.name.model_name for row, _ in chosen])
        prepared = self._prepare(chosen, compiled, ListedFiles(files), staged)
        items = [one.item for one in prepared]
        for group in make_groups(items, self._cluster, self._emr.architecture, self._emr.primary_type):
            members = {str(item.row.name) for item in group.items}
            self._run_group(group, [one for one in prepared if one.job.target in members], staged)
        return staged

    @cached_property
    def _emr(self) -> EmrSettings:
        return load_emr_settings(self._context.project)

    @cached_property
    def _spark(self) -> SparkSettings:
        return load_spark_settings(self._context.project)

    @cached_property
    def _prices(self) -> PriceList:
        return load_instances(self._context.project).in_region(self._emr.region)

    @cached_property
    def _backend(self) -> Backend:
        if self._given_backend is not None:
            return self._given_backend
        if self._spark.backend is BackendName.EMR:
            from flows.spark.emr.backend import EmrBackend
            from flows.spark.emr.sweep import owner_tag

            return EmrBackend(
                self._emr, self._spark, self._context.store, owner_tag(self._context), clock=self._context.now
            )
        from flows.spark.local import LocalBackend

        return LocalBackend(self._context.project.state_dir / "spark", self._spark)

    def _prepare(
        self, chosen: Sequence[Chosen], compiled: Compiled, listed: ListedFiles, staged: Staged
    ) -> list[PreparedJob]:
        """Return the jobs of the targets with new rows; a target that cannot run fails, and the others go on."""
        preparer = JobPreparer(self._context, self._rows, self._run_id, self._spark, self._backend)
        prepared = []
        for row, choice in chosen:
            target, model = str(row.name), row.name.model_name
            windows = windows_of(compiled.sql.get(model, ""))
            known = self._known.get(target)
            if model in compiled.errors:
                staged.failed[target] = compiled.errors[model]
            elif known is not None and _heads(known[1]) == _heads(windows):
                staged.results[target] = known[0].for_macros(known[1])  # a retry after a failed load
            elif any(window["new"] for window in windows.values()):
                found = preparer.prepare(row, choice, windows, listed)
                if isinstance(found, PreparedJob):
                    prepared.append(found)
                else:
                    staged.failed[target] = f"It cannot run on Spark: {found}"
        return prepared

    def _run_group(self, group: Group, prepared: Sequence[PreparedJob], staged: Staged) -> None:
        """Run jobs on one cluster; jobs lost for lack of capacity continue on the next size or in the next place."""
        left, progress = list(prepared), GroupProgress(group, self._on_change)
        try:
            orders = list(self._orders(group))
            for number, order in enumerate(orders, start=1):
                is_last = number == len(orders)
                try:
                    bill, ends = self._run_on(group, self._within_cap(group, order), left, staged, progress)
                except SluiceError as error:  # EMR refused the request
                    if is_last or not self._is_scarce(str(error)):
                        raise
                    self._say(f"{group.job_group}: {error} The next one is tried.")
                else:
                    for one in left:
                        self._collect(one, ends[one.job.target], staged)
                    left = [_new_attempt(one) for one in left if ends[one.job.target].status is JobStatus.LOST]
                    goes_on = not is_last and any(self._is_scarce(ends[one.job.target].error or "") for one in left)
                    progress.cluster_ended(bill, ends, goes_on=goes_on)
                    if not goes_on:
                        return
                if order.sizing is not None:
                    self._scarce.add(order.sizing.instance_type)
        except SluiceError as error:
            errors = {one.job.target: str(error) for one in left}
            staged.failed |= errors
            progress.cluster_failed(errors, self._context.now())
            self._say(f"Spark could not run for job group {group.job_group}: {error}")

    def _orders(self, group: Group) -> Iterator[Order]:
        """Yield the clusters to try, best first: each size in every place; types without capacity come last."""
        sizings: tuple[Sizing | None, ...] = (None,)
        if self._backend.name != BackendName.LOCAL:
            best = group.sized(self._prices)
            sizings = (best, *group.alternatives(best, self._prices))
        for sizing in sorted(sizings, key=lambda one: one is not None and one.instance_type in self._scarce):
            for place in self._backend.places:
                yield Order(
                    run_id=self._run_id,
                    environment=self._context.settings.environment,
                    job_group=group.job_group,
                    owner=self._requested_by,
                    sizing=sizing,
                    bounds=group.bounds,
                    place=place,
                )

    def _run_on(
        self, group: Group, order: Order, prepared: Sequence[PreparedJob], staged: Staged, progress: GroupProgress
    ) -> tuple[Bill, Mapping[str, JobEnd]]:
        """Create a cluster, run jobs on it, terminate it, and record its cost."""
        sizing, jobs = order.sizing, [self._limited(one, order.sizing) for one in prepared]
        if sizing is not None:
            self._say(f"{group.job_group}: {sizing}, {sizing.minutes:.0f} minutes, ${sizing.usd:.2f} ({sizing.reason})")
        with closing_on_sigterm(lambda: self._backend.start(order, self._say, progress.step_started)) as cluster:
            progress.cluster_started(cluster)
            try:
                ends = cluster.run(jobs)
            except SluiceError as error:
                ends = {job.target: JobEnd(JobStatus.LOST, None, self._context.now(), error=str(error)) for job in jobs}
        self._record(group, cluster.bill, prepared, ends, staged)
        return cluster.bill, ends

    def _within_cap(self, group: Group, order: Order) -> Order:
        """Return an order with the lifetime that its pipelines' caps leave it.

        Raises:
            HardRunError: When its forecast costs more.
        """
        if order.sizing is None:
            return order
        pipelines = {item.pipeline.pipeline_id: item.pipeline for item in group.items}
        cap = tightest_cap(self._context.store, self._rows, [*pipelines.values()], self._context.now(), self._run_id)
        check_cap(cap, group.job_group, order.sizing.usd)
        if cap is None:
            return order
        hourly = cluster_usd(order.sizing, 3600, self._prices)
        return replace(order, most_seconds=3600 * cap.left / hourly, cap=str(cap))

    def _limited(self, one: PreparedJob, sizing: Sizing | None) -> SparkJob:
        """Return a job with its step's time limit: a multiple of its forecast on this cluster."""
        if sizing is None:
            return one.job
        work = Workload(max(1, one.item.scan_bytes))
        forecast = work_minutes(work, sizing.cores, one.item.learned.calibration)
        factor = float(one.item.pipeline.emr_step_limit or self._emr.step_limit)
        return replace(one.job, limit_seconds=60 * max(self._emr.step_minutes, factor * forecast))

    def _is_scarce(self, error: str) -> bool:
        """Tell whether a cluster was lost for lack of capacity, so that another type may succeed at once."""
        return classify(read_facts(error), self._rules).failure_class in _SCARCITY

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return load_rules(self._context.project)

    def _collect(self, one: PreparedJob, end: JobEnd, staged: Staged) -> None:
        target = one.job.target
        staged.failed.pop(target, None)
        if end.result is None:
            staged.failed[target] = end.error or "its cluster was lost"
            self._say(f"{target} failed on Spark: {staged.failed[target]}")
            return
        self._known[target] = (end.result, one.windows)
        staged.results[target] = end.result.for_macros(one.windows)
        self._say(f"{target}: {end.result.row_count:,} rows from Spark in {end.seconds:.0f} s")
        logger.info("spark.done run_id=%s target=%s rows=%d", self._run_id, target, end.result.row_count)

    def _record(
        self,
        group: Group,
        bill: Bill,
        prepared: Sequence[PreparedJob],
        ends: Mapping[str, JobEnd],
        staged: Staged,
    ) -> None:
        """Record each job's cost: its share of the cluster is its share of the steps' time."""
        steps = sum(end.seconds for end in ends.values())
        rented = bill.sizing
        seconds = bill.seconds or (self._context.now() - bill.requested_at).total_seconds()
        usd = cluster_usd(rented, seconds, self._prices) if rented is not None else 0.0
        advice = None
        if rented is not None and steps > 0:
            use = ClusterUse(rented, group.workload.scan_bytes, steps, bill.startup_seconds, usd, group.sla_minutes)
            advice = advise(use, group.bounds, self._prices)
            self._say(f"{group.job_group}: {advice}")
        entries = []
        for one in prepared:
            end = ends[one.job.target]
            share = end.seconds / steps if steps else 1 / len(prepared)
            cost = ClusterCost(seconds * share, usd * share, self._prices.as_of if rented else None)
            known = staged.costs.get(one.job.target)
            staged.costs[one.job.target] = known + cost if known else cost
            entries.append(
                SparkEntry(
                    run_id=self._run_id,
                    job_group=group.job_group,
                    target=one.job.target,
                    status=_STATUSES[end.status],
                    backend=bill.backend,
                    cluster_id=bill.cluster_id,
                    instance_type=rented.instance_type if rented else None,
                    core_count=rented.core_count if rented else 1,
                    task_cores=bill.task_cores,
                    started_at=end.started_at or end.finished_at,
                    finished_at=end.finished_at,
                    scan_bytes=one.job.scan_bytes,
                    row_count=end.result.row_count if end.result else None,
                    predicted_minutes=rented.minutes if rented else None,
                    predicted_usd=rented.usd if rented else None,
                    startup_seconds=bill.startup_seconds,
                    step_seconds=end.seconds,
                    cluster_seconds=cost.seconds,
                    usd=cost.usd,
                    prices_as_of=cost.prices_as_of,
                    advice=advice,
                    error_message=end.error,
                )
            )
        self._context.store.record_spark(entries)


def _new_attempt(one: PreparedJob) -> PreparedJob:
    """Return a job as another attempt, so that late files of the first attempt are ignored."""
    return replace(one, job=replace(one.job, attempt=uuid4().hex[:12]))


def _heads(windows: Mapping[str, Window]) -> list[tuple[str, object]]:
    """Return the target's last load at the time of each window; after another load the windows are outdated."""
    return sorted((source, window["head"]) for source, window in windows.items())
