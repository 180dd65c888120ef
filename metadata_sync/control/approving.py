"""Approve a proposal: its changes are validated again, because other rows and SELECTs may have changed since."""

from __future__ import annotations

from collections.abc import Sequence

from metadata_sync.control.apply import ChangeContext, refuse_new_faults
from metadata_sync.database.approval.model import Proposal
from metadata_sync.database.approval.proposals import to_changes
from metadata_sync.incident import Alert
from metadata_sync.rows.merge import RowId, all_rows


def approve(
    context: ChangeContext, proposal: Proposal, *, override: str | None = None, alerts: Sequence[Alert] = ()
) -> str:
    """Apply a proposal in one transaction with its audit.

    Args:
        context: The context of the change.
        proposal: The proposal that the caller has looked at.
        override: Why it must be applied without another identity; None: it has one.
        alerts: What tells of an override.

    Returns:
        The change id in the history.

    Raises:
        MetadataError: When the changes would cause faults; nothing was changed.
        StaleRowError: When its base has changed.
        StoreError: When it is decided already, or the caller proposed it or may not approve.
    """
    changes = to_changes(proposal.rows)
    rows = context.store.read_rows()
    stored = {RowId.of(row): row for row in all_rows(rows)}
    if changes and all(stored.get(change.id) == change.before for change in changes):  # a stale one is refused below
        refuse_new_faults(context, changes)
    return context.store.approvals.approve(proposal.number, proposal.digest, override=override, alerts=alerts)
