"""Prefect's notification blocks as channels: custom webhook, Slack, Teams, e-mail, PagerDuty, …."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

from metadata_sync.errors import ConfigurationError, SoftRunError
from metadata_sync.redact import safe_text

_LIMIT: Final = 200
_REASON_LENGTH: Final = 300
_REFUSALS: Final = (httpx.HTTPError, PrefectException, NotificationError, ValueError, RuntimeError, OSError)


@dataclass(frozen=True, slots=True)
class BlockName:
    """A block: Prefect's id, its kind, its name."""

    id: UUID
    slug: str
    name: str


def send_by_block(api_url: str, channel: str, title: str, body: str) -> None:
    """Send by the block of this name.

    Args:
        api_url: The Prefect server that holds it.
        channel: The block's name, or `slug/name` where blocks of several kinds share a name.
        title: One line.
        body: Plain text.

    Raises:
        ConfigurationError: When no block or several blocks match.
        SoftRunError: When the channel did not accept it.
    """
    settings: dict[Any, Any] = {PREFECT_API_URL: api_url, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}
    with temporary_settings(settings):
        try:
            block = _load(channel)
            # The blocks of Slack, Teams and PagerDuty ignore a failure by default.
            with block.raise_on_failure():
                _notify(block, body, title)
        except _REFUSALS as error:
            reason = safe_text(str(error) or repr(error), _REASON_LENGTH)
            raise SoftRunError(f"Block {channel!r} did not take it: {reason}") from error


def _notify(block: Any, body: str, title: str) -> None:
    """Send by a block. Its `notify` is typed as a coroutine, but runs synchronously outside an event loop."""
    block.notify(body, title)


def find_block(client: SyncPrefectClient, channel: str) -> BlockName:
    """Return the one notification block that a channel names.

    Args:
        client: An open client.
        channel: The block's name, or `slug/name` where blocks of several kinds share a name.

    Raises:
        ConfigurationError: When no block or several blocks match.
    """
    slug, _, name = channel.rpartition("/")
    named = _named(client, name)
    found = [item for item in named if slug in ("", item.slug)]
    if not found:
        others = ", ".join(f"{item.slug}/{item.name}" for item in named)
        raise ConfigurationError(
            f"There is no Prefect block named {channel!r} that notifies" + (f"; there is {others}." if others else "."),
            "Correct it, create a notification block, or name a webhook in the channel's SLUICE_CHANNEL_ variable.",
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"Several Prefect blocks are named {name!r}: {', '.join(item.slug for item in found)}.",
            f"Write {found[0].slug}/{name}.",
        )
    return found[0]


def _load(channel: str) -> NotificationBlock:
    with get_client(sync_client=True) as client:
        found = find_block(client, channel)
    block: Any = Block.load(f"{found.slug}/{found.name}")
    assert isinstance(block, NotificationBlock), "its schema can notify"
    return block


def _named(client: SyncPrefectClient, name: str) -> list[BlockName]:
    """Return the notification blocks with this name."""
    path: Any = "/block_documents/filter"  # missing from the literals of the client's annotation
    body = {"block_schemas": {"block_capabilities": {"all_": ["notify"]}}, "limit": _LIMIT}
    found = client.request("POST", path, json=body).json()
    named = [BlockName(UUID(item["id"]), item["block_type"]["slug"], name) for item in found if item["name"] == name]
    return sorted(named, key=lambda item: item.slug)
