"""What has to change in Prefect: desired deployments against those that are there. Pure."""

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
    """A deployment that Prefect holds.

    Attributes:
        id: Prefect's id.
        flow_name: Its flow.
        name: Its name.
        content_hash: Hash under which it was written; None when Sluice did not write it.
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
        """Whether `sluice deploy` made it."""
        return MANAGED_TAG in self.tags

    @property
    def is_paused_by_hand(self) -> bool:
        """Whether a person paused it in Prefect, for its row did not."""
        return self.is_paused and self.is_managed and INACTIVE_TAG not in self.tags


class Action(StrEnum):
    """What happens to a deployment."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One change.

    Attributes:
        action: What happens.
        name: The deployment.
        desired: As it shall be; None when it is removed.
        existing: As it is; None when it is created.
        stays_paused: A person paused it in Prefect: it is written, and stays paused.
    """

    action: Action
    name: str
    desired: Deployment | None = None
    existing: Existing | None = None
    stays_paused: bool = False


@dataclass(frozen=True, slots=True)
class AutomationStep:
    """One change of an automation.

    Attributes:
        action: What happens.
        name: The automation.
        desired: As it shall be; None when it is removed.
        existing_id: Prefect's id; None when it is created.
    """

    action: Action
    name: str
    desired: Automation | None = None
    existing_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class DeployPlan:
    """What a deploy would do.

    Attributes:
        steps: What is written, in order.
        unchanged: How many are as they shall be.
        automations: What is written of automations, after the deployments.
        paused_by_hand: Deployments that a person paused in Prefect; they stay so until a person resumes them there.
        notes: What was left out and why, in sentences for people.
    """

    steps: tuple[Step, ...]
    unchanged: int
    paused_by_hand: tuple[str, ...]
    automations: tuple[AutomationStep, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it shall be."""
        return not (self.steps or self.automations)

    def count(self, action: Action) -> int:
        """Return how many steps of that kind there are."""
        return sum(step.action is action for step in self.steps)


def compare(
    desired: Sequence[Deployment], existing: Iterable[Existing], *, environment: str, work_pool: str
) -> DeployPlan:
    """Work out what to change.

    Args:
        desired: What shall be.
        existing: What is there of the same flows, whoever made it.
        environment: Only deployments of this environment are removed.
        work_pool: Only deployments of this pool are removed: another pool is another team's.

    Raises:
        ConfigurationError: When a deployment of a wanted name is not Sluice's; nothing is overwritten.
    """
    present = {(item.flow_name, item.name): item for item in existing}
    _refuse_foreign(desired, present)
    steps: list[Step] = []
    for wanted in desired:
        found = present.pop((wanted.flow_name, wanted.name), None)
        if found is None:
            steps.append(Step(Action.CREATE, wanted.name, wanted))
        elif not _is_same(wanted, found, work_pool):
            stays_paused = found.is_paused_by_hand and not wanted.is_paused
            steps.append(Step(Action.UPDATE, wanted.name, wanted, found, stays_paused))
    orphans = [item for item in present.values() if _is_ours(item, environment, work_pool)]
    steps += [Step(Action.REMOVE, item.name, existing=item) for item in sorted(orphans, key=lambda item: item.name)]
    return DeployPlan(
        steps=tuple(steps),
        unchanged=len(desired) - sum(step.desired is not None for step in steps),
        paused_by_hand=_paused_by_hand(desired, existing),
    )


def as_written(desired: Sequence[Deployment], paused: Sequence[Existing]) -> DeployPlan | None:
    """Return the plan of a deploy that finds everything as the last one wrote it; None: a row's pause was lifted.

    Args:
        desired: What shall be, and was written so.
        paused: Those that are paused now.
    """
    standing = {(item.flow_name, item.name) for item in paused}
    if any(item.is_paused and (item.flow_name, item.name) not in standing for item in desired):
        return None
    return DeployPlan((), unchanged=len(desired), paused_by_hand=_paused_by_hand(desired, paused))


def compare_automations(
    desired: Iterable[Automation], existing: Mapping[str, HeldAutomation]
) -> tuple[AutomationStep, ...]:
    """Work out what to change of automations.

    Args:
        desired: What shall be.
        existing: Those that Sluice made for this environment and pool, by name.
    """
    wanted = {item.name: item for item in desired}
    steps = []
    for name, item in wanted.items():
        found = existing.get(name)
        if found is None:
            steps.append(AutomationStep(Action.CREATE, name, item))
        elif found.content_hash != item.content_hash:
            steps.append(AutomationStep(Action.UPDATE, name, item, existing_id=found.id))
    gone = sorted(existing.keys() - wanted.keys())
    return (*steps, *(AutomationStep(Action.REMOVE, name, existing_id=existing[name].id) for name in gone))


def _refuse_foreign(desired: Sequence[Deployment], present: Mapping[tuple[str, str], Existing]) -> None:
    foreign = [
        f"{item.flow_name}/{item.name}"
        for item in desired
        if (found := present.get((item.flow_name, item.name))) is not None and not found.is_managed
    ]
    if foreign:
        raise ConfigurationError(
            f"Prefect already holds {', '.join(foreign)}, which Sluice did not make; nothing was changed.",
            f"Rename or delete it there, or give it the tag {MANAGED_TAG!r} to hand it over.",
        )


def _is_same(wanted: Deployment, found: Existing, work_pool: str) -> bool:
    # One that the row pauses must not have been resumed by hand: its runs would all be skipped.
    is_paused_enough = found.is_paused or not wanted.is_paused
    return found.content_hash == wanted.content_hash and found.work_pool == work_pool and is_paused_enough


def _is_ours(item: Existing, environment: str, work_pool: str) -> bool:
    return item.is_managed and environment_tag(environment) in item.tags and item.work_pool == work_pool


def _paused_by_hand(desired: Sequence[Deployment], existing: Iterable[Existing]) -> tuple[str, ...]:
    wanted = {(item.flow_name, item.name) for item in desired if not item.is_paused}
    return tuple(
        sorted(item.name for item in existing if item.is_paused_by_hand and (item.flow_name, item.name) in wanted)
    )
