"""The page of a proposal for Prefect's UI: who, why, each row before and after, and how it is decided. Pure text."""

from __future__ import annotations

from typing import Any

from flows.prefect.pages.summary import escape
from metadata_sync.database.approval.model import Proposal, ProposalStatus, ProposedRow
from metadata_sync.redact import redact, redact_text

_DASH = "–"


def proposal_key(environment: str, number: int) -> str:
    """Return the artifact key of a proposal.

    >>> proposal_key("prod_eu", 7)
    'proposal-prod-eu-7'
    """
    return f"proposal-{environment.replace('_', '-')}-{number}"


def proposal_page(found: Proposal) -> str:
    """Return a proposal as Markdown."""
    said = f" (said to be for {found.on_behalf_of})" if found.on_behalf_of else ""
    lines = [
        f"## Proposal {found.number}: {found.status}",
        "",
        f"Proposed by **{_text(found.proposer.name)}**{_text(said)}, {found.proposed_at:%Y-%m-%d %H:%M} UTC. "
        f"Reason: {_text(found.reason or _DASH)}",
        "",
    ]
    if found.decider is not None:
        how = ", without another identity" if found.is_override else ""
        because = f": {found.decision_reason}" if found.decision_reason else ""
        lines += [f"{found.status.capitalize()} by **{_text(found.decider.name)}**{how}{_text(because)}", ""]
    for row in found.rows:
        lines += _row_lines(row)
    if found.status is ProposalStatus.OPEN:
        lines += [
            "Another identity approves it, in a session of its own: "
            f"`sluice proposals approve {found.number} --digest {found.digest[:12]}`",
        ]
    return "\n".join(lines) + "\n"


def _row_lines(row: ProposedRow) -> list[str]:
    before, after = redact(row.before) or {}, redact(row.after) or {}
    verb = "added" if row.before is None else "removed" if row.after is None else "changed"
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    cells = [f"| {name} | {_shown(before.get(name))} | {_shown(after.get(name))} |" for name in names]
    head = [f"### {_text(f'{row.table}[{row.key}]')} {verb}", ""]
    if not cells:
        return [*head, "From now on declared by a file.", ""]
    return [*head, "| Column | Before | After |", "| --- | --- | --- |", *cells, ""]


def _shown(value: Any) -> str:
    return _DASH if value in (None, "", [], {}) else _text(str(value))


def _text(value: str) -> str:
    return escape(redact_text(value))
