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
from flows.spark.backend import Backend, Bill, JobEnd, JobStatus, Order, Say
from flows.spark.jobs import Result, SparkJob, Window, cuts_of, result_folder, spark_location, windows_of
from flows.spark.progress import GroupProgress, OnChange
from flows.spark.settings import BackendName, EmrSettings, SparkSettings, load_emr_settings, load_spark_settings
from flows.spark.sigterm import closing_on_sigterm
from flows.spark.sizing.groups import Group, GroupMember, make_groups, parse_cluster
from flows.spark.sizing.learning import REMEMBERED, ClusterUse, Learned, Sample, advise, learn
from flows.spark.sizing.prices import PriceList, load_instances
from flows.spark.sizing.sizing import PRIOR, Sizing, cluster_usd
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.spark import SparkSelect, translate
from metadata_sync.database.journals.entries import LoadStatus, SparkEntry
from metadata_sync.errors import SluiceError
from metadata_sync.loads import ClusterCost
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.sql.spark import view_name

logger = logging.getLogger(__name__)

Chosen = tuple[TransformationRow, EngineChoice]
CompileModels = Callable[[Sequence[str]], Mapping[str, str]]
"""Compiles dbt models by name and returns their SQL."""

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


@dataclass(frozen=True, slots=True)
class _Prepared:
    job: SparkJob
    item: GroupMember
    windows: Mapping[str, Window]


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

    def run(self, chosen: Sequence[Chosen], compile_models: CompileModels) -> Staged:
        """Run transformations on Spark.

        Args:
            chosen: Transformations with their engine choice.
            compile_models: Compiles dbt models, which sets the windows.

        Returns:
            Results for the load, and errors. A target without new rows is in neither.

        Raises:
            RunError: When dbt cannot compile at all.
        """
        staged = Staged()
        prepared = self._prepare(chosen, compile_models, staged)
        items = [one.item for one in prepared]
        for group in make_groups(items, self._cluster, self._emr.architecture):
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

    def _prepare(self, chosen: Sequence[Chosen], compile_models: CompileModels, staged: Staged) -> list[_Prepared]:
        """Compile the models to get their windows, and return the jobs; what cannot run on Spark fails."""
        compiled = compile_models([row.name.model_name for row, _ in chosen])
        catalog = Catalog(self._rows, self._context.project, self._context.columns)
        prepared = []
        for row, choice in chosen:
            target = str(row.name)
            windows = windows_of(compiled.get(row.name.model_name, ""))
            known = self._known.get(target)
            if known is not None and _heads(known[1]) == _heads(windows):
                staged.results[target] = known[0].for_macros(known[1])  # a retry after a failed load
                continue
            if not any(window["new"] for window in windows.values()):
                continue
            select = translate(row, catalog, cuts_of(row, resolve_dependencies(row, self._rows), windows))
            pipeline = self._rows.pipeline(row.pipeline_id)
            if not isinstance(select, SparkSelect) or pipeline is None:
                staged.failed[target] = f"It cannot run on Spark: {_first_problem(select)}"
                continue
            scan_bytes = choice.scan_bytes or 0
            job = self._job(row, select, scan_bytes)
            if (obstacle := self._backend.obstacle(job)) is not None:
                staged.failed[target] = f"It cannot run on Spark: {obstacle}"
                continue
            prepared.append(_Prepared(job, GroupMember(row, pipeline, scan_bytes, self.learned(target)), windows))
        return prepared

    def _job(self, row: TransformationRow, select: SparkSelect, scan_bytes: int) -> SparkJob:
        project = self._context.project
        return SparkJob(
            target=str(row.name),
            attempt=uuid4().hex[:12],
            select=select,
            locations={view_name(source.name): spark_location(project, source) for source in select.sources},
            folder=result_folder(project, row, self._run_id),
            scan_bytes=scan_bytes,
            catalog=self._spark.catalog,
        )

    def learned(self, target: str) -> Learned:
        """Return a target's calibration by its own runs on this backend."""
        entries = self._context.store.spark_entries(target, limit=5 * REMEMBERED)
        return learn_from(entries, self._spark.backend.value)

    def _run_group(self, group: Group, prepared: Sequence[_Prepared], staged: Staged) -> None:
        """Run jobs on one cluster; jobs lost for lack of capacity continue on the next size or in the next place."""
        left, progress = list(prepared), GroupProgress(group, self._on_change)
        try:
            orders = list(self._orders(group))
            for number, order in enumerate(orders, start=1):
                bill, ends = self._run_on(group, order, left, staged, progress)
                for one in left:
                    self._collect(one, ends[one.job.target], staged)
                left = [_new_attempt(one) for one in left if ends[one.job.target].status is JobStatus.LOST]
                goes_on = number < len(orders) and any(self._is_scarce(ends[one.job.target]) for one in left)
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
        self, group: Group, order: Order, prepared: Sequence[_Prepared], staged: Staged, progress: GroupProgress
    ) -> tuple[Bill, Mapping[str, JobEnd]]:
        """Create a cluster, run jobs on it, terminate it, and record its cost."""
        sizing, jobs = order.sizing, [one.job for one in prepared]
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

    def _is_scarce(self, end: JobEnd) -> bool:
        """Tell whether a cluster was lost for lack of capacity, so that another type may succeed at once."""
        return classify(read_facts(end.error or ""), self._rules).failure_class in _SCARCITY

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return load_rules(self._context.project)

    def _collect(self, one: _Prepared, end: JobEnd, staged: Staged) -> None:
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
        prepared: Sequence[_Prepared],
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


def learn_from(entries: Sequence[SparkEntry], backend: str) -> Learned:
    """Calibrate by the successful entries of one target on one backend, newest first."""
    samples = [
        Sample(entry.scan_bytes, entry.step_seconds, entry.task_cores, entry.startup_seconds)
        for entry in entries
        if entry.status is LoadStatus.SUCCESS and entry.backend == backend
    ]
    return learn(samples, PRIOR)


def _new_attempt(one: _Prepared) -> _Prepared:
    """Return a job as another attempt, so that late files of the first attempt are ignored."""
    return replace(one, job=replace(one.job, attempt=uuid4().hex[:12]))


def _heads(windows: Mapping[str, Window]) -> list[tuple[str, object]]:
    """Return the target's last load at the time of each window; after another load the windows are outdated."""
    return sorted((source, window["head"]) for source, window in windows.items())


def _first_problem(found: object) -> str:
    if isinstance(found, tuple) and found:
        return f"{found[0].message} {found[0].remedy}"
    return "its pipeline no longer exists."
