"""Notes that Sluice leaves on a Prefect server for itself to read: Prefect variables. Reading imports no Prefect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

Post = Callable[[str, dict[str, Any]], Any]
"""Asks the API; returns what it answers, raises `httpx.HTTPError` when it does not."""


def read_note(post: Post, name: str) -> str | None:
    """Return a note; None when there is none of that name."""
    found = post("/variables/filter", {"variables": {"name": {"any_": [name]}}})
    return str(found[0]["value"]) if found else None


def write_note(client: SyncPrefectClient, name: str, text: str, tags: Sequence[str]) -> None:
    """Write a note, or write over it; a new one gets the tags."""
    from prefect.client.schemas.actions import VariableCreate, VariableUpdate
    from prefect.exceptions import ObjectAlreadyExists

    try:
        client.create_variable(VariableCreate(name=name, value=text, tags=list(tags)))
    except ObjectAlreadyExists:
        client.update_variable(VariableUpdate(name=name, value=text))
