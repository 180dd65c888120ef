"""EMR on EC2: a cluster for each run and job group, one step for each job, terminated in every case.

Three mechanisms terminate a cluster: `close` at every exit of a run; EMR's auto-termination policy, when the run's
process is gone and the steps are done; and the sweep (`sweep.py`), which finds clusters by their tags whose lease has
expired. A cluster or step whose response was lost is found and used, never requested twice (`idempotency.py`).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from flows.run.leases import LeaseKeeper
from flows.spark.aws import aws_client, aws_errors
from flows.spark.backend import Bill, JobEnd, JobStatus, OnStep, Order, Say
from flows.spark.emr.cluster_state import ClusterState, StepState, end_of, read_cluster
from flows.spark.emr.clusters import ManagedCluster, managed_clusters
from flows.spark.emr.idempotency import call_once
from flows.spark.emr.request import cluster_request, step_request
from flows.spark.jobs import SparkJob, jobs_text
from flows.spark.local import SCRIPT, utc_now
from flows.spark.settings import EmrSettings, SparkSettings
from metadata_sync.errors import ConfigurationError, RunError, SoftRunError

if TYPE_CHECKING:
    from metadata_sync.database import ControlStore

logger = logging.getLogger(__name__)

STEPS_AT_ONCE: Final = 256
"""EMR's limit of pending steps: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-work-with-steps.html."""

Sleep = Callable[[float], None]


def lease_of(token: str) -> str:
    """Return the name of the lease of the process that waits for the cluster with this token."""
    return f"emr.{token}"


class EmrBackend:
    """Creates clusters.

    Args:
        settings: Settings of clusters.
        spark: Packages and options of Spark.
        store: Holds the lease of each cluster, which tells the sweep that a run waits for it.
        owner_tag: Tag of the clusters of this control database.
        clock: Returns the current instant, with its zone.
        sleep: Waits a number of seconds.

    Raises:
        ConfigurationError: When SLUICE_EMR_WORK_URI is not set.
    """

    name = "emr"

    def __init__(
        self,
        settings: EmrSettings,
        spark: SparkSettings,
        store: ControlStore,
        owner_tag: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Sleep = time.sleep,
    ) -> None:
        if settings.work_uri is None:
            raise ConfigurationError(
                "SLUICE_SPARK_BACKEND is emr, but SLUICE_EMR_WORK_URI is not set.",
                "Set it to s3://bucket/prefix: the Spark script and the job files go there (docs/operations/emr.md).",
            )
        self.settings = settings
        self.spark = spark
        self.work_uri = settings.work_uri.rstrip("/")
        self.clock = clock
        self.sleep = sleep
        self.emr = aws_client("emr", settings.region)
        self.emr_once = aws_client("emr", settings.region, tries=1)
        self._store = store
        self._owner_tag = owner_tag

    @property
    def places(self) -> tuple[str | None, ...]:
        """The subnets to try, in order."""
        return self.settings.subnets or (None,)

    def obstacle(self, job: SparkJob) -> str | None:
        """Refuse a source or output that is not on S3: a cluster cannot access it."""
        local = next((place for place in job.places if not place.startswith("s3://")), None)
        if local is None:
            return None
        return (
            f"a cluster reads and writes s3:// only, not {local}. "
            "Move it to S3, set SLUICE_SPARK_BACKEND=local, or run it in the warehouse: --engine warehouse."
        )

    def start(self, order: Order, say: Say, on_step: OnStep) -> EmrCluster:
        """Request a cluster. It is not ready yet, but costs money from now on.

        Args:
            order: The request.
            say: Prints progress.
            on_step: Called when a step starts.

        Raises:
            RunError: When EMR refuses the request.
        """
        script = SCRIPT.read_text("utf-8")
        address = f"{self.work_uri}/code/spark_job-{hashlib.sha256(script.encode()).hexdigest()[:12]}.py"
        self.put(address, script)
        token = uuid4().hex[:12]
        with ExitStack() as lease:
            keeper = lease.enter_context(LeaseKeeper(self._store, run_id=order.run_id, held_by=order.owner))
            keeper.take([lease_of(token)])
            requested_at = self.clock()
            try:
                cluster_id = self._rent(order, token)
            except (KeyboardInterrupt, SystemExit):
                self.end_others(order, token)
                raise
            return EmrCluster(self, order, cluster_id, token=token, script=address, requested_at=requested_at, say=say,
                              on_step=on_step, lease=lease.pop_all())  # fmt: skip

    def end_others(self, order: Order, token: str, kept: str | None = None) -> None:
        """Terminate other clusters of an order, which exist when a response was lost. Never raises."""
        try:
            with aws_errors("looking for clusters whose response was lost"):
                others = [item for item in self._find_rented(order, token) if item.cluster_id != kept]
            for item in others:
                end_cluster(self.emr, item.cluster_id, is_protected=item.is_protected)
        except RunError as error:
            logger.warning("emr.not_looked_for run_id=%s error=%s", order.run_id, error.message)

    def _rent(self, order: Order, token: str) -> str:
        request = cluster_request(order, self.settings, self._tags(order, token))
        return call_once(
            f"creating a cluster of {order.sizing}",
            lambda: str(self.emr_once.run_job_flow(**request)["JobFlowId"]),
            lambda: next((item.cluster_id for item in self._find_rented(order, token)), None),
            self.sleep,
        )

    def _find_rented(self, order: Order, token: str) -> list[ManagedCluster]:
        with aws_errors("listing clusters"):
            ours = managed_clusters(self.emr, order.environment, self._owner_tag)
            return [item for item in ours if item.token == token]

    def put(self, url: str, text: str) -> None:
        """Write a small file to S3.

        Raises:
            RunError: When S3 refuses or does not answer.
        """
        address = urlsplit(url)
        with aws_errors(f"writing {url}"):
            aws_client("s3", self.settings.region).put_object(
                Bucket=address.netloc, Key=address.path.lstrip("/"), Body=text.encode()
            )

    def _tags(self, order: Order, token: str) -> dict[str, str]:
        return {
            "owner": self._owner_tag,
            "environment": order.environment,
            "job-group": order.job_group,
            "run-id": order.run_id,
            "requested-by": order.owner,
            "lease": token,
        }


class EmrCluster:
    """A cluster of one run, until it is closed."""

    def __init__(
        self,
        backend: EmrBackend,
        order: Order,
        cluster_id: str,
        *,
        token: str,
        script: str,
        requested_at: datetime,
        say: Say,
        on_step: OnStep,
        lease: ExitStack,
    ) -> None:
        assert order.sizing is not None
        self._backend = backend
        self._order = order
        self._id = cluster_id
        self._token = token
        self._script = script
        self._say = say
        self._on_step = on_step
        self._targets: dict[str, str] = {}
        self._lease = lease
        self._sizing = order.sizing
        self._bill = Bill("emr", cluster_id, order.sizing, order.sizing.cores, requested_at)
        self._seen = ClusterState(cluster_id, "STARTING", "", order.sizing.master_count > 1, {})
        self._answered_at = requested_at
        say(f"{order.job_group}: EMR cluster {cluster_id} is starting, {self._page}")

    @property
    def bill(self) -> Bill:
        """Its size and lifetime."""
        return self._bill

    @property
    def links(self) -> str:
        """Links to its page in the console and to its logs."""
        logs = self._backend.settings.log_uri
        return f"EMR cluster {self._id}: {self._page}" + (f" Logs: {logs.rstrip('/')}/{self._id}/" if logs else "")

    @property
    def _page(self) -> str:
        return console_url(self._backend.settings.region, self._id)

    def run(self, jobs: Sequence[SparkJob]) -> Mapping[str, JobEnd]:
        """Run jobs as steps, one after the other.

        Raises:
            RunError: When EMR refuses the steps, or does not answer for too long.
        """
        ends: dict[str, JobEnd] = {}
        left = iter(jobs)
        while batch := list(islice(left, STEPS_AT_ONCE)):
            if self._seen.has_ended:
                now = self._backend.clock()
                ends |= {job.target: JobEnd(JobStatus.LOST, None, now, error=str(self._seen)) for job in batch}
            else:
                ends |= self._run_batch(batch)
        return ends

    def close(self) -> None:
        """Terminate the cluster and release its lease; a second call does nothing."""
        if self._bill.closed_at is not None:
            return
        self._bill.closed_at = self._backend.clock()
        with self._lease:
            try:
                end_cluster(self._backend.emr, self._id, is_protected=self._seen.is_protected)
                self._backend.end_others(self._order, self._token, kept=self._id)
            except RunError as error:
                logger.warning("emr.not_ended cluster=%s error=%s", self._id, error.message)
                self._say(
                    f"EMR cluster {self._id} could not be terminated: {error.message} EMR terminates it when it has "
                    f"been idle for {self._backend.settings.idle_minutes} minutes; `sluice emr sweep` does so now."
                )

    def _run_batch(self, batch: Sequence[SparkJob]) -> dict[str, JobEnd]:
        waiting = dict(zip(self._add_steps(batch), batch, strict=True))
        self._targets |= {step_id: job.target for step_id, job in waiting.items()}
        ends: dict[str, JobEnd] = {}
        while True:
            seen = self._poll()
            now = self._backend.clock()
            for step_id, job in list(waiting.items()):
                step = seen.steps.get(step_id, StepState("PENDING", None, None, ""))
                if (end := end_of(job, step, seen, now)) is not None:
                    ends[job.target] = end
                    del waiting[step_id]
            if not waiting:
                return ends
            if self._bill.ready_at is None and now - self._bill.requested_at > self._start_limit:
                minutes = self._backend.settings.start_minutes
                short = f"insufficient capacity: {seen} {minutes:g} minutes after the request"
                return ends | {job.target: JobEnd(JobStatus.LOST, None, now, error=short) for job in waiting.values()}
            self._backend.sleep(self._backend.settings.poll_seconds)

    @property
    def _start_limit(self) -> timedelta:
        return timedelta(minutes=self._backend.settings.start_minutes)

    def _add_steps(self, batch: Sequence[SparkJob]) -> list[str]:
        """Add a step for each job and return their ids; a step is identified by its job file."""
        steps = {}
        for job in batch:
            file = f"{self._backend.work_uri}/runs/run_id={self._order.run_id}/{job.target}-{job.attempt}.json"
            self._backend.put(file, jobs_text([job], {}))
            steps[file] = step_request(job, self._script, file, self._sizing, self._backend.spark)
        known: dict[str, str] = {}

        def add() -> list[str]:
            missing = [file for file in steps if file not in known]
            answer = self._backend.emr_once.add_job_flow_steps(
                JobFlowId=self._id, Steps=[steps[file] for file in missing]
            )
            known.update(zip(missing, answer["StepIds"], strict=True))
            return [known[file] for file in steps]

        def find() -> list[str] | None:
            with aws_errors(f"listing the steps of {self._id}"):
                listed = list_steps(self._backend.emr, self._id)
            known.update({file: step["Id"] for step in listed for file in step["Config"]["Args"][-1:]})
            return [known[file] for file in steps] if steps.keys() <= known.keys() else None

        return call_once(f"adding steps to {self._id}", add, find, self._backend.sleep)

    def _poll(self) -> ClusterState:
        """Read the state from EMR; while EMR does not answer, return the last state for a limited time."""
        now = self._backend.clock()
        try:
            seen = describe_cluster(self._backend.emr, self._id)
        except SoftRunError:
            if now - self._answered_at > timedelta(minutes=self._backend.settings.silence_minutes):
                raise
            return self._seen
        if seen.is_ready and self._bill.ready_at is None:
            self._bill.ready_at = now
        self._report_changes(seen)
        self._answered_at, self._seen = now, seen
        return seen

    def _report_changes(self, seen: ClusterState) -> None:
        if seen.state != self._seen.state:
            self._say(f"{self._order.job_group}: {seen}")
        for step_id, step in seen.steps.items():
            before = self._seen.steps.get(step_id)
            target = self._targets.get(step_id)
            if target is not None and step.started_at is not None and (before is None or before.started_at is None):
                self._on_step(target, step.started_at, self._step_links(step_id))
            if step.state == "FAILED" and (before is None or before.state != step.state):
                self._say(f"Step {step_id} of {self._id} failed. {self._step_links(step_id)}")

    def _step_links(self, step_id: str) -> str:
        logs = self._backend.settings.log_uri
        where = f" Logs: {logs.rstrip('/')}/{self._id}/steps/{step_id}/" if logs else ""
        return f"Step {step_id}: {self._page}{where}"


def describe_cluster(emr: Any, cluster_id: str) -> ClusterState:
    """Read the state of a cluster and its steps. Steps come first: the cluster's state then explains ended steps.

    Raises:
        RunError: When EMR does not answer.
    """
    with aws_errors(f"describing {cluster_id}"):
        steps = list_steps(emr, cluster_id)
        return read_cluster(emr.describe_cluster(ClusterId=cluster_id)["Cluster"], steps)


def list_steps(emr: Any, cluster_id: str) -> list[Mapping[str, Any]]:
    """Return a cluster's steps as documents of EMR's API."""
    pages = emr.get_paginator("list_steps").paginate(ClusterId=cluster_id)
    return [step for page in pages for step in page["Steps"]]


def end_cluster(emr: Any, cluster_id: str, *, is_protected: bool) -> None:
    """Terminate a cluster; a terminated cluster is not changed.

    Raises:
        RunError: When EMR refuses or does not answer.
    """
    with aws_errors(f"terminating {cluster_id}"):
        if is_protected:
            emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
        emr.terminate_job_flows(JobFlowIds=[cluster_id])


def console_url(region: str, cluster_id: str) -> str:
    """Return the cluster's page in AWS's console."""
    return f"https://{region}.console.aws.amazon.com/emr/home?region={region}#/clusterDetails/{cluster_id}"
