"""The alerts of overrides: a protected environment was changed without another identity's approval."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from flows.incidents.channels import channels_of
from metadata_sync.incident import Alert, AlertEvent

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database.approval.model import Identity, Proposal

_LOOKED_BACK: Final = timedelta(days=7)
"""How long after an override by SQL it is still told."""


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
        Alert(
            f"{_prefix(proposal)}{hashlib.sha256(channel.encode()).hexdigest()[:16]}",
            None,
            channel,
            AlertEvent.OPENED,
            title,
            body,
            created_at=now,
            due_at=now,
        )
        for channel in channels
    )


def tell_overrides(context: Context) -> None:
    """Put the alerts of overrides that were made by SQL, past `sluice proposals approve`, into the outbox."""
    approvals, since = context.store.approvals, context.now() - _LOOKED_BACK
    for item in approvals.list():
        if item.is_override and item.decider is not None and item.decided_at is not None and item.decided_at > since:
            alerts = override_alerts(context, item, item.decider, item.decision_reason or "none")
            approvals.tell_once(_prefix(item), alerts)


def _prefix(proposal: Proposal) -> str:
    return f"override-{proposal.number}-"
