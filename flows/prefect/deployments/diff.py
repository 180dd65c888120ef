"""The difference between desired deployments and those on the server. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from flows.prefect.deployments.automations import Automation, HeldAutomation
from flows.prefect.deployments.pipelines import INACTIVE_TAG, MANAGED_TAG, Deployment, environment_tag
from metadata_sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Existing:
    """A deployment on the server.

    Attributes:
        id: Prefect's id.
        flow_name: Its flow.
        name: Its name.
        content_hash: Hash when it was written; None when Sluice did not write it.
        tags: Its tags.
        is_paused: Whether it is paused now.
        work_pool: Its work pool.
    """

    id: UUID
    flow_name: str
    name: str
    content_hash: str | None
    tags: frozenset[str]
    is_paused: bool
    work_pool: str | None

    @property
    def is_managed(self) -> bool:
        """Whether `sluice deploy` created it."""
        return MANAGED_TAG in self.tags

    @property
    def is_paused_by_hand(self) -> bool:
        """Whether a person paused it in Prefect: it is paused although its row was active."""
        return self.is_paused and self.is_managed and INACTIVE_TAG not in self.tags


class DeployAction(StrEnum):
    """The kind of a change."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class DeployStep:
    """One change of a deployment.

    Attributes:
        action: The kind of change.
        name: The deployment.
        desired: The desired deployment; None when it is removed.
        existing: The deployment on the server; None when it is created.
        stays_paused: Whether it is written as paused, because a person paused it in Prefect.
    """

    action: DeployAction
    name: str
    desired: Deployment | None = None
    existing: Existing | None = None
    stays_paused: bool = False


@dataclass(frozen=True, slots=True)
class AutomationStep:
    """One change of an automation.

    Attributes:
        action: The kind of change.
        name: The automation.
        desired: The desired automation; None when it is removed.
        existing_id: Prefect's id; None when it is created.
    """

    action: DeployAction
    name: str
    desired: Automation | None = None
    existing_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeployPlan:
    """The changes of a deploy.

    Attributes:
        steps: Changes of deployments, in order.
        unchanged: Number of deployments without changes.
        automations: Changes of automations; they are written after the deployments.
        paused_by_hand: Deployments that a person paused in Prefect; they stay paused until a person resumes them.
        notes: What was left out and why, in sentences for people.
    """

    steps: tuple[DeployStep, ...]
    unchanged: int
    paused_by_hand: tuple[str, ...]
    automations: tuple[AutomationStep, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to change."""
        return not (self.steps or self.automations)

    def count(self, action: DeployAction) -> int:
        """Return the number of steps of a kind."""
        return sum(step.action is action for step in self.steps)


def compare(
    desired: Sequence[Deployment], existing: Iterable[Existing], *, environment: str, work_pool: str
) -> DeployPlan:
    """Return the changes that make the server's deployments match the desired ones.

    Args:
        desired: The desired deployments.
        existing: All deployments of the same flows, created by Sluice or not.
        environment: Only deployments of this environment are removed.
        work_pool: Only deployments of this pool are removed: another pool belongs to another team.

    Raises:
        ConfigurationError: When a deployment with a desired name was not created by Sluice; nothing is overwritten.
    """
    present = {(item.flow_name, item.name): item for item in existing}
    _refuse_foreign(desired, present)
    steps: list[DeployStep] = []
    for wanted in desired:
        found = present.pop((wanted.flow_name, wanted.name), None)
        if found is None:
            steps.append(DeployStep(DeployAction.CREATE, wanted.name, wanted))
        elif not _is_same(wanted, found, work_pool):
            stays_paused = found.is_paused_by_hand and not wanted.is_paused
            steps.append(DeployStep(DeployAction.UPDATE, wanted.name, wanted, found, stays_paused))
    orphans = sorted((item for item in present.values() if _is_ours(item, environment, work_pool)), key=_by_name)
    steps += [DeployStep(DeployAction.REMOVE, item.name, existing=item) for item in orphans]
    return DeployPlan(
        steps=tuple(steps),
        unchanged=len(desired) - sum(step.desired is not None for step in steps),
        paused_by_hand=_paused_by_hand(desired, existing),
    )


def _by_name(item: Existing) -> str:
    return item.name


def as_written(desired: Sequence[Deployment], paused: Sequence[Existing]) -> DeployPlan | None:
    """Return the plan when the server has what the last deploy wrote; None: a person resumed an inactive deployment.

    Args:
        desired: The desired deployments, as the last deploy wrote them.
        paused: The deployments that are paused now.
    """
    paused_names = {(item.flow_name, item.name) for item in paused}
    if any(item.is_paused and (item.flow_name, item.name) not in paused_names for item in desired):
        return None
    return DeployPlan((), unchanged=len(desired), paused_by_hand=_paused_by_hand(desired, paused))


def compare_automations(
    desired: Iterable[Automation], existing: Mapping[str, HeldAutomation]
) -> tuple[AutomationStep, ...]:
    """Return the changes that make the server's automations match the desired ones.

    Args:
        desired: The desired automations.
        existing: Those that Sluice created for this environment and pool, by name.
    """
    wanted = {item.name: item for item in desired}
    steps = []
    for name, item in wanted.items():
        found = existing.get(name)
        if found is None:
            steps.append(AutomationStep(DeployAction.CREATE, name, item))
        elif found.content_hash != item.content_hash:
            steps.append(AutomationStep(DeployAction.UPDATE, name, item, existing_id=found.id))
    orphans = sorted(existing.keys() - wanted.keys())
    return (*steps, *(AutomationStep(DeployAction.REMOVE, name, existing_id=existing[name].id) for name in orphans))


def _refuse_foreign(desired: Sequence[Deployment], present: Mapping[tuple[str, str], Existing]) -> None:
    foreign = [
        f"{item.flow_name}/{item.name}"
        for item in desired
        if (found := present.get((item.flow_name, item.name))) is not None and not found.is_managed
    ]
    if foreign:
        raise ConfigurationError(
            f"Prefect already has {', '.join(foreign)}, which Sluice did not create; nothing was changed.",
            f"Rename or delete it in Prefect, or add the tag {MANAGED_TAG!r} to let Sluice manage it.",
        )


def _is_same(wanted: Deployment, found: Existing, work_pool: str) -> bool:
    # A person may have resumed the deployment of an inactive row. It is paused again: its runs would be skipped.
    is_pause_kept = found.is_paused or not wanted.is_paused
    return found.content_hash == wanted.content_hash and found.work_pool == work_pool and is_pause_kept


def _is_ours(item: Existing, environment: str, work_pool: str) -> bool:
    return item.is_managed and environment_tag(environment) in item.tags and item.work_pool == work_pool


def _paused_by_hand(desired: Sequence[Deployment], existing: Iterable[Existing]) -> tuple[str, ...]:
    wanted = {(item.flow_name, item.name) for item in desired if not item.is_paused}
    return tuple(
        sorted(item.name for item in existing if item.is_paused_by_hand and (item.flow_name, item.name) in wanted)
    )
