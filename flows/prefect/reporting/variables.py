"""Notes for later runs, as variables on the Prefect server. Reading them does not import Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.server.api import Post

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


def read_note(post: Post, name: str) -> str | None:
    """Return a note, or None when it does not exist."""
    found = post("/variables/filter", {"variables": {"name": {"any_": [name]}}})
    return str(found[0]["value"]) if found else None


def write_note(client: SyncPrefectClient, name: str, text: str, tags: Sequence[str]) -> None:
    """Create or overwrite a note; only a new note gets the tags."""
    from prefect.client.schemas.actions import VariableCreate, VariableUpdate
    from prefect.exceptions import ObjectAlreadyExists

    try:
        client.create_variable(VariableCreate(name=name, value=text, tags=list(tags)))
    except ObjectAlreadyExists:
        client.update_variable(VariableUpdate(name=name, value=text))
