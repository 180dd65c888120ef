"""One cluster from its request to its end: its steps, their limits, and what became of each job."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from flows.spark.aws import aws_errors
from flows.spark.backend import Bill, JobEnd, JobStatus, OnStep, Order, Say
from flows.spark.emr.calls import cancel_step, console_url, describe_cluster, end_cluster, list_steps
from flows.spark.emr.cluster_state import ClusterState, StepState, end_of
from flows.spark.emr.idempotency import call_once
from flows.spark.emr.request import step_request
from flows.spark.jobs import SparkJob, jobs_text
from metadata_sync.errors import RunError, SoftRunError

if TYPE_CHECKING:
    from flows.spark.emr.backend import EmrBackend

logger = logging.getLogger(__name__)

STEPS_AT_ONCE: Final = 256
"""EMR's limit of pending steps: https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-work-with-steps.html."""


class EmrCluster:
    """A cluster of one run, until it is closed."""

    def __init__(
        self,
        backend: EmrBackend,
        order: Order,
        cluster_id: str,
        *,
        token: str,
        code: tuple[str, str],
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
        self._script, self._functions = code
        self._say = say
        self._on_step = on_step
        self._targets: dict[str, str] = {}
        self._cancelled: dict[str, datetime] = {}
        self._unread: dict[str, datetime] = {}
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
        """Run jobs as steps, one after the other; trouble with EMR loses the jobs that have not ended, no others."""
        ends: dict[str, JobEnd] = {}
        left = iter(jobs)
        while batch := list(islice(left, STEPS_AT_ONCE)):
            error = self._reason() if self._seen.has_ended else ""
            if not error:
                try:
                    error = self._run_batch(batch, ends)
                except RunError as trouble:
                    error = str(trouble)
            status = JobStatus.FAILED if self._order.cap and self._order.cap in error else JobStatus.LOST
            now = self._backend.clock()
            for job in batch:
                ends.setdefault(job.target, JobEnd(status, None, now, error=error))
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

    def _run_batch(self, batch: Sequence[SparkJob], ends: dict[str, JobEnd]) -> str:
        """Run jobs and add their ends; return why the rest has none, or nothing."""
        try:
            waiting = dict(zip(self._add_steps(batch), batch, strict=True))
        except RunError:
            reason = self._end_reason()  # a cluster that is terminating takes no steps
            if reason is None:
                raise
            return reason
        self._targets |= {step_id: job.target for step_id, job in waiting.items()}
        while True:
            seen = self._poll()
            now = self._backend.clock()
            for step_id, job in list(waiting.items()):
                end = self._end_of(step_id, job, seen, now)
                if end is not None:
                    ends[job.target] = end
                    del waiting[step_id]
            if not waiting:
                return ""
            if (trouble := self._trouble(seen, now)) is not None:
                return trouble
            self._backend.sleep(self._backend.settings.poll_seconds)

    def _end_of(self, step_id: str, job: SparkJob, seen: ClusterState, now: datetime) -> JobEnd | None:
        """Return how a job ended, or None; a result that cannot be read now is read again at the next poll."""
        step = seen.steps.get(step_id, StepState("PENDING", None, None, ""))
        try:
            end = end_of(job, step, seen, now)
        except SoftRunError as error:
            since = self._unread.setdefault(job.target, now)
            lasts = now - since > timedelta(minutes=self._backend.settings.silence_minutes)
            return JobEnd(JobStatus.LOST, step.started_at, now, error=str(error)) if lasts else None
        except RunError as error:
            return JobEnd(JobStatus.FAILED, step.started_at, now, error=str(error))
        if end is None:
            return self._cut_off(step_id, job, step, now)
        return replace(end, error=self._reason()) if end.error == str(seen) else end

    def _cut_off(self, step_id: str, job: SparkJob, step: StepState, now: datetime) -> JobEnd | None:
        """Cancel a step that runs beyond its limit; the steps behind it go on."""
        limit = job.limit_seconds
        if limit is None or step.started_at is None or (now - step.started_at).total_seconds() <= limit:
            return None
        cancel_step(self._backend.emr, self._id, step_id)
        self._cancelled[step_id] = now
        error = (
            f"its step on {self._id} ran longer than its limit of {limit / 60:.0f} minutes and was cancelled "
            "(emr_step_limit times its forecast)"
        )
        self._say(f"{job.target}: {error}")
        return JobEnd(JobStatus.FAILED, step.started_at, now, error=error)

    def _trouble(self, seen: ClusterState, now: datetime) -> str | None:
        """Return why the cluster must end before its steps do, or None."""
        settings, age = self._backend.settings, now - self._bill.requested_at
        if self._order.most_seconds is not None and age.total_seconds() > self._order.most_seconds:
            return f"EMR cluster {self._id} was ended after {age.total_seconds() / 60:.0f} minutes: {self._order.cap}"
        if self._bill.ready_at is None and age > timedelta(minutes=settings.start_minutes):
            return f"insufficient capacity: {seen} {settings.start_minutes:g} minutes after the request"
        patience = timedelta(minutes=settings.silence_minutes)
        for step_id, since in self._cancelled.items():
            step = seen.steps.get(step_id)
            if step is not None and step.state in ("RUNNING", "CANCEL_PENDING") and now - since > patience:
                return f"EMR has not cancelled step {step_id} of {self._id}, on which the others wait: timeout"
        return None

    def _end_reason(self) -> str | None:
        """Return why the cluster has ended, waiting for it while it terminates; None: it has not."""
        began = self._backend.clock()
        patience = timedelta(minutes=self._backend.settings.silence_minutes)
        while self._poll().is_terminating:
            if self._backend.clock() - began > patience:
                return str(self._seen)
            self._backend.sleep(self._backend.settings.poll_seconds)
        return self._reason() if self._seen.has_ended else None

    def _reason(self) -> str:
        """Return why the cluster has ended; a sweep ends it like a person, but only without its lease."""
        if self._seen.is_ended_by_request and not self._backend.holds_lease(self._token):
            return f"EMR cluster {self._id} was ended by `sluice emr sweep` after the lease of its run had expired"
        return str(self._seen)

    def _add_steps(self, batch: Sequence[SparkJob]) -> list[str]:
        """Add a step for each job and return their ids; a step is identified by its job file."""
        steps = {}
        for job in batch:
            file = f"{self._backend.work_uri}/runs/run_id={self._order.run_id}/{job.target}-{job.attempt}.json"
            self._backend.put(file, jobs_text([self._backend.with_copies(job)], {}, self._functions))
            steps[file] = step_request(job, self._script, file, self._sizing, self._backend.spark)
        known: dict[str, str] = {}

        def add() -> list[str]:
            missing = [file for file in steps if file not in known]
            role = self._backend.settings.runtime_role
            answer = self._backend.emr_once.add_job_flow_steps(
                JobFlowId=self._id,
                Steps=[steps[file] for file in missing],
                **({"ExecutionRoleArn": role} if role else {}),
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
            seen = describe_cluster(self._backend.emr, self._id, now)
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
