"""Writes and removes deployments with Prefect's client; reads.py reads them. One client, one request at a time.

One request at a time is on purpose: on the server's SQLite eight parallel writers are three times slower than one, and
lock the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from typing import Any, Final
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import ValidationError

from flows.incidents.prefect_blocks import find_block
from flows.prefect.deployments.automations import HEARTBEAT_SECONDS, Automation
from flows.prefect.deployments.diff import Existing
from flows.prefect.deployments.pipelines import Deployment, Schedule
from flows.prefect.deployments.reads import HASH_TAG, PrefectReads, deployment_tags
from flows.prefect.reporting.variables import write_note
from flows.server.companions import UPKEEP_QUEUE
from metadata_sync.errors import Fault, RunError, SoftRunError

POOL_TYPE: Final = "process"
SCHEDULE_SLUG: Final = "row"
"""Slug of the schedule of the row, so that it keeps its identity when it is written again."""
_EXCLUSIVE: Final = 1
_FIRST: Final = 1
"""Priority of the queue for upkeep: before all others."""
_RETRIES: Final = 8
"""A request of a run is tried again after 2, 4, … 256 s: for 8 minutes, and for 25 when it renews the run's slot."""
_DEFAULT_QUEUE: Final = "default"
"""The queue that Prefect gives every work pool."""


class PrefectDeployments(PrefectReads):
    """The deployments of one Prefect server.

    Args:
        client: An open client.
        work_pool: Pool of new deployments.
    """

    def __init__(self, client: SyncPrefectClient, work_pool: str) -> None:
        def post(path: Any, body: dict[str, Any]) -> Any:
            return client.request("POST", path, json=body).json()

        super().__init__(post, work_pool)
        self._client = client
        self._flow_ids: dict[str, UUID] = {}

    def ensure_work_pool(self) -> None:
        """Create the work pool, of type process, and its queue for upkeep, unless they exist.

        A worker of the whole pool takes the runs of that queue first.
        """
        try:
            self._client.read_work_pool(self._work_pool)
        except ObjectNotFound:
            with suppress(ObjectAlreadyExists):  # another process created it in the meantime
                self._client.create_work_pool(WorkPoolCreate(name=self._work_pool, type=POOL_TYPE))
        with suppress(ObjectAlreadyExists):
            self._client.create_work_queue(UPKEEP_QUEUE, work_pool_name=self._work_pool, priority=_FIRST)

    def write(self, wanted: Deployment, *, is_paused: bool) -> UUID:
        """Create a deployment, or replace the one of the same name."""
        return self._client.create_deployment(
            flow_id=self._flow_id(wanted.flow_name),
            name=wanted.name,
            version=wanted.content_hash,
            description=wanted.description,
            tags=list(wanted.tags),
            parameters=dict(wanted.parameters),
            parameter_openapi_schema=dict(wanted.schema),
            enforce_parameter_schema=True,
            schedules=[_schedule(wanted.schedule, wanted.schedule_parameters)] if wanted.schedule else [],
            paused=is_paused,
            concurrency_limit=_EXCLUSIVE if wanted.is_exclusive else None,
            concurrency_options=_REFUSE_SECOND if wanted.is_exclusive else None,
            work_pool_name=self._work_pool,
            work_queue_name=wanted.work_queue or _DEFAULT_QUEUE,
            entrypoint=wanted.entrypoint,
            job_variables=self._job_variables(wanted.environment),
        )

    def _job_variables(self, environment: str) -> dict[str, Any]:
        """Return the job variables of every run.

        A run on a process pool does not write through its worker: when only the worker is killed, the next line that
        the run prints would end it (rich leaves the process at a broken pipe). Prefect's server has its log.
        """
        variables: dict[str, Any] = {"env": run_environ(environment)}
        return variables | ({"stream_output": False} if self._is_process_pool else {})

    @cached_property
    def _is_process_pool(self) -> bool:
        return self._client.read_work_pool(self._work_pool).type == POOL_TYPE

    def remove(self, deployment: Existing) -> None:
        """Remove a deployment and keep its runs. A deployment that does not exist is ignored."""
        try:
            self._client.delete_deployment(deployment.id)
        except ObjectNotFound:
            return

    def _flow_id(self, name: str) -> UUID:
        if name not in self._flow_ids:
            self._flow_ids[name] = self._client.create_flow_from_name(name)
        return self._flow_ids[name]

    def remember(self, environment: str, text: str) -> None:
        """Write a note for the next deploy, as a Prefect variable."""
        write_note(self._client, self.note_name(environment), text, deployment_tags(environment))

    def write_automation(self, wanted: Automation, environment: str, existing_id: UUID | None) -> None:
        """Create an automation, or replace one."""
        automation = AutomationCore.model_validate(
            {
                "name": wanted.name,
                "description": wanted.description,
                "tags": [*self.automation_tags(environment), HASH_TAG + wanted.content_hash],
                "trigger": wanted.trigger,
                "actions": [wanted.action],
            }
        )
        if existing_id is None:
            self._client.create_automation(automation)
        else:
            self._client.update_automation(existing_id, automation)

    def notification_block(self, channel: str) -> UUID:
        """Return the id of the notification block that a channel names.

        Raises:
            ConfigurationError: When there is no such block, or there are several.
        """
        return find_block(self._client, channel).id

    def remove_automation(self, automation_id: UUID) -> None:
        """Remove an automation."""
        self._client.delete_automation(automation_id)


@contextmanager
def open_deployments(api_url: str, work_pool: str) -> Iterator[PrefectDeployments]:
    """Open the deployments of the server at api_url.

    Raises:
        SoftRunError: When the server does not answer, or is too busy.
        RunError: When it refuses a request.
    """
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        try:
            yield PrefectDeployments(client, work_pool)
        except httpx.HTTPStatusError as error:
            answer = error.response
            raise RunError(
                f"Prefect refused the request with HTTP {answer.status_code}: {answer.text[:500]}",
                "Earlier changes are kept; correct the cause, then run `sluice deploy` again.",
            ) from error
        except httpx.HTTPError as error:
            raise SoftRunError(
                f"The Prefect server at {api_url} does not answer: {error!r}",
                "Earlier changes are kept; run `sluice deploy` again.",
            ) from error


def schedule_faults(deployments: Sequence[Deployment]) -> tuple[Fault, ...]:
    """Return a fault for every schedule that Prefect would refuse, before anything is written."""
    faults = []
    for deployment in deployments:
        if deployment.schedule is None:
            continue
        try:
            _cron(deployment.schedule)
        except ValidationError as error:
            faults.append(
                Fault(
                    table="pipeline_control",
                    key=deployment.name.partition("@")[0],
                    column="schedule",
                    value=str(deployment.schedule),
                    rule="prefect_schedule",
                    message=f"Prefect refuses this schedule: {error.errors()[0]['msg']}.",
                    remedy="Write five fields: minute, hour, day, month, weekday.",
                )
            )
    return tuple(faults)


_REFUSE_SECOND: Final = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


def _schedule(schedule: Schedule, parameters: Mapping[str, Any]) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(
        schedule=_cron(schedule), active=True, slug=SCHEDULE_SLUG, parameters=dict(parameters)
    )


@cache  # Prefect reads all time zones of the system for each schedule
def _cron(schedule: Schedule) -> CronSchedule:
    return CronSchedule(cron=schedule.cron, timezone=schedule.timezone)


def run_environ(environment: str) -> dict[str, str]:
    """Return the environment variables of every run of an environment."""
    return {
        "SLUICE_ENVIRONMENT": environment,
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_CLIENT_MAX_RETRIES": str(_RETRIES),
    }
