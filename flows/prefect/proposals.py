"""Proposals in Prefect: their pages, and who decides one by form."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.impact.brought import plan_of_proposal
from flows.prefect.pages.proposals import proposal_key, proposal_page
from flows.server.api import patiently
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database.approval.model import Proposal

log = logging.getLogger(__name__)

_USER: Final = "USER"
"""Type of the creator of a run that a person started (Prefect Cloud's)."""

_BUSY_SECONDS: Final = 10.0
"""How long a page is tried again while the server is busy."""


class Creator(Protocol):
    """Who created a run, as the server says."""

    id: UUID | None
    type: str | None


def write_page(context: Context, found: Proposal) -> None:
    """Write the page of a proposal, unless it stands as it is. An error of the server is logged."""
    key = proposal_key(context.settings.environment, found.number)
    description = f"Proposal {found.number}: {found.status}, {found.digest[:12]}."
    try:
        if patiently(partial(_described, key), _BUSY_SECONDS) != description:
            page = proposal_page(found, plan_of_proposal(context, found))
            patiently(partial(create_markdown_artifact, page, key=key, description=description), _BUSY_SECONDS)
    except httpx.HTTPError as error:
        log.warning("page key=%s written=false error=%r", key, error)


def _described(key: str) -> str | None:
    """Return the description of a page as it stands; its own method for it sends what the server refuses."""
    with get_client(sync_client=True) as client:
        asked = {"artifacts": {"key": {"any_": [key]}}, "limit": 1}
        found = client.request("POST", "/artifacts/latest/filter", json=asked).json()
    return str(found[0]["description"]) if found else None


def starter() -> str | None:
    """Return who started this flow run, as the server has authenticated it; None: it does not know.

    Only Prefect Cloud knows its users (read in its documentation, tried with a server whose record was set by hand).
    A user is named by the id: display names can be changed, and two users can have the same.
    """
    with get_client(sync_client=True) as client:
        return person_of(client.read_flow_run(flow_run.id).created_by)


def person_of(creator: Creator | None) -> str | None:
    """Return the identity of a run's creator; None: it is no person."""
    if creator is None or creator.type != _USER or creator.id is None:
        return None
    return f"prefect:{creator.id}"


def require_starter() -> str:
    """Return who started this flow run.

    Raises:
        ConfigurationError: When the server does not know.
    """
    person = starter()
    if person is None:
        raise ConfigurationError(
            "This Prefect server does not say who started the run, so nobody can decide by form; nothing was changed.",
            "Decide in a session of your own: `sluice proposals approve` or `reject`.",
        )
    return person
