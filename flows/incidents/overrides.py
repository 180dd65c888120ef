"""The alert of an override: a protected environment was changed without another identity's approval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.incidents.channels import channels_of
from metadata_sync.database.approval.model import Identity, Proposal
from metadata_sync.database.engine import new_id
from metadata_sync.incident import Alert, AlertEvent

if TYPE_CHECKING:
    from flows.context import Context


def override_alerts(context: Context, proposal: Proposal, who: Identity, reason: str) -> tuple[Alert, ...]:
    """Return one alert for each channel of the environment and of its pipelines.

    Args:
        context: The project with its settings.
        proposal: What is applied.
        who: Who applies it.
        reason: Why nobody else could approve it.
    """
    rows, now = context.store.usable_rows(), context.now()
    named = channels_of([row.pipeline_id for row in rows.pipelines], rows, context.settings)
    channels = dict.fromkeys([*filter(None, [context.settings.alert_channel]), *named])
    environment = context.settings.environment
    title = f"Override in {environment}: {who} applied proposal {proposal.number} without approval"
    changed = ", ".join(f"{row.table}[{row.key}]" for row in proposal.rows[:20])
    body = f"Reason: {reason}\nProposed by {proposal.proposer}: {proposal.reason or 'no reason'}\nRows: {changed}"
    return tuple(
        Alert(new_id(now), None, channel, AlertEvent.OPENED, title, body, created_at=now, due_at=now)
        for channel in channels
    )
