"""Approve a proposal: its changes are validated again, because other rows and SELECTs may have changed since."""

from __future__ import annotations

from collections.abc import Sequence

from metadata_sync.analysis.kept_selects import read_selects, selects_of, written
from metadata_sync.control.apply import ChangeContext
from metadata_sync.control.restoring import Restoring, checked
from metadata_sync.database.approval.model import Proposal
from metadata_sync.database.approval.proposals import to_changes, to_selects
from metadata_sync.database.journals.select_texts import text_hash
from metadata_sync.errors import RequestError, StaleRowError
from metadata_sync.incident import Alert
from metadata_sync.rows.merge import all_rows, rows_by_id, with_changes


def plan_approval(context: ChangeContext, proposal: Proposal) -> Restoring:
    """Return what a proposal would write, once it is known to be sound; nothing is written.

    Args:
        context: The context of the change.
        proposal: An open proposal.

    Raises:
        StaleRowError: When its base has changed.
        RequestError: When the file of a SELECT is neither as the proposal saw it nor as it brings it.
        MetadataError: When the outcome has faults that the rows do not have now.
    """
    changes = tuple(to_changes(proposal.rows))
    rows = context.store.read_rows()
    stored = rows_by_id(rows)
    for change in changes:
        if stored.get(change.id) != change.before:
            raise StaleRowError(f"{change.id} has changed since it was proposed.", subject=str(change.id))
    paths = {row.key: row.sql_path for row in with_changes(rows, changes).transformations}
    hashes = {paths.get(row_id.key): change for row_id, change in to_selects(proposal.rows).items()}
    files = {path: change for path, change in hashes.items() if path is not None}
    for path, text in read_selects(files, context.project).items():
        if text_hash(text) not in {files[path].old, files[path].new}:
            raise RequestError(
                f"{path}: the file holds neither what the proposal changes nor what it brings. Nothing was changed.",
                f"Check out what {context.store.environment} runs, or reject the proposal.",
            )
    kept = context.store.select_texts([change.new for change in files.values()])
    return checked(context, changes, {path: kept[change.new] for path, change in files.items()})


def approve(
    context: ChangeContext, proposal: Proposal, *, override: str | None = None, alerts: Sequence[Alert] = ()
) -> str:
    """Apply a proposal in one transaction with its audit, and write the files of SELECTs that it brings.

    Args:
        context: The context of the change.
        proposal: The proposal that the caller has looked at.
        override: Why it must be applied without another identity; None: it has one.
        alerts: What tells of an override.

    Returns:
        The change id in the history.

    Raises:
        MetadataError: When the changes would cause faults; nothing was changed.
        RequestError: When the file of a SELECT is another one; nothing was changed.
        StaleRowError: When its base has changed.
        StoreError: When it is decided already, or the caller proposed it or may not approve.
    """
    approvals = context.store.approvals
    approvals.refuse_approver(proposal.number, override)
    try:
        restoring = plan_approval(context, proposal)
    except StaleRowError as error:
        raise approvals.stale(proposal.number, error) from error
    with written(restoring.texts, context.project):
        texts = selects_of(all_rows(restoring.outcome), context.project)
        return approvals.approve(proposal.number, proposal.digest, override=override, alerts=alerts, texts=texts)
