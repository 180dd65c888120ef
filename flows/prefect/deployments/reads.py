"""Reads deployments and automations from Prefect's API, without importing Prefect: that takes longer than the reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from flows.prefect.deployments.automations import HeldAutomation
from flows.prefect.deployments.diff import Existing
from flows.prefect.deployments.pipelines import MANAGED_TAG, environment_tag
from flows.prefect.reporting.variables import read_note
from flows.server.api import Post, open_api

HASH_TAG: Final = "hash:"
"""Prefix of the tag that holds an automation's content hash."""
_PAGE: Final = 200


class PrefectReads:
    """Reads the deployments of one Prefect server.

    Args:
        post: Sends a request.
        work_pool: Pool of the managed deployments.
    """

    def __init__(self, post: Post, work_pool: str) -> None:
        self._post = post
        self._work_pool = work_pool

    def existing(self, flow_names: Sequence[str]) -> tuple[Existing, ...]:
        """Return every deployment of these flows, managed or not. Each costs the server ten milliseconds."""
        return self._read(flow_names, {})

    def paused(self, flow_names: Sequence[str], environment: str) -> tuple[Existing, ...]:
        """Return the paused deployments of an environment."""
        only = {"paused": {"eq_": True}, "tags": {"all_": deployment_tags(environment)}}
        return self._read(flow_names, {"deployments": only})

    def count(self, environment: str) -> int:
        """Return the number of managed deployments of an environment in this work pool."""
        only = {
            "deployments": {"tags": {"all_": deployment_tags(environment)}},
            **_named("work_pools", [self._work_pool]),
        }
        return int(self._post("/deployments/count", only))

    def remembered(self, environment: str) -> str | None:
        """Return the note that the last deploy wrote."""
        return read_note(self._post, self.note_name(environment))

    def note_name(self, environment: str) -> str:
        """Return the name of the variable that holds the note."""
        return f"sluice-deployed-{environment}-{self._work_pool}"

    def _read(self, flow_names: Sequence[str], only: dict[str, Any]) -> tuple[Existing, ...]:
        flows = {flow["id"]: flow["name"] for flow in self._pages("/flows/filter", _named("flows", flow_names))}
        found = self._pages("/deployments/filter", _named("flows", flow_names) | only) if flows else ()
        return tuple(_existing(item, flows[item["flow_id"]]) for item in found if item["flow_id"] in flows)

    def _pages(self, path: Any, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        # Plain documents: parsing hundreds of deployments with their schemas into Prefect's models takes seconds.
        offset = 0
        while True:
            page = self._post(path, {**body, "limit": _PAGE, "offset": offset})
            yield from page
            if len(page) < _PAGE:
                return
            offset += _PAGE

    def existing_automations(self, environment: str) -> dict[str, HeldAutomation]:
        """Return the automations that Sluice created for an environment, by name."""
        only = {"automations": {"tags": {"all_": self.automation_tags(environment)}}}
        return {item["name"]: _held(item) for item in self._pages("/automations/filter", only)}

    def automation_tags(self, environment: str) -> list[str]:
        """Return the tags of the managed automations of an environment."""
        return [*deployment_tags(environment), f"pool:{self._work_pool}"]


@contextmanager
def open_reads(api_url: str, work_pool: str) -> Iterator[PrefectReads]:
    """Read over plain HTTP with the credentials of the environment variables.

    Raises:
        httpx.HTTPError: When the server does not answer or refuses; Prefect's own client may still succeed.
    """
    with open_api(api_url) as api:
        yield PrefectReads(api.post, work_pool)


def deployment_tags(environment: str) -> list[str]:
    """Return the tags of the managed deployments of an environment."""
    return [MANAGED_TAG, environment_tag(environment)]


def _held(document: dict[str, Any]) -> HeldAutomation:
    started = [action["deployment_id"] for action in document["actions"] if action.get("deployment_id")]
    return HeldAutomation(
        UUID(document["id"]), _hash_of(document["tags"]), UUID(started[0]) if len(started) == 1 else None
    )


def _hash_of(tags: Sequence[str]) -> str | None:
    return next((tag.removeprefix(HASH_TAG) for tag in tags if tag.startswith(HASH_TAG)), None)


def _named(what: str, names: Sequence[str]) -> dict[str, Any]:
    return {what: {"name": {"any_": list(names)}}}


def _existing(document: dict[str, Any], flow_name: str) -> Existing:
    return Existing(
        id=UUID(document["id"]),
        flow_name=flow_name,
        name=document["name"],
        content_hash=document["version"],
        tags=frozenset(document["tags"]),
        is_paused=document["paused"],
        work_pool=document["work_pool_name"],
    )
