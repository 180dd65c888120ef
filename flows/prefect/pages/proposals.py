"""The page of a proposal for Prefect's UI: who, why, each row before and after, and how it is decided. Pure text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flows.impact.brought import ProposalPlan, select_diff
from flows.impact.text import HEADERS, table_rows
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


def proposal_page(found: Proposal, plan: ProposalPlan) -> str:
    """Return a proposal as Markdown, with what it would do while it is open."""
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
    lines += _plan_lines(plan)
    if found.status is ProposalStatus.OPEN:
        digest = found.digest[:12]
        lines += [
            f"Another identity decides it: `sluice proposals approve {found.number} --digest {digest}` in a session of "
            f"its own, or the form *decide* with the digest `{digest}` where the server knows its users.",
        ]
    return "\n".join(lines) + "\n"


def _plan_lines(plan: ProposalPlan) -> Iterator[str]:
    if plan.problem is not None:
        yield from (f"**It cannot be applied now:** {_text(plan.problem)}", "")
    for item in plan.selects:
        lines = [redact_text(line) for line in select_diff(item)]
        fence = "`" * max(3, *(len(ticks) + 1 for ticks in re.findall("`+", "\n".join(lines))), 3)
        yield from (fence + "diff", *lines, fence, "")
    if plan.impact is not None and plan.impact.effects:
        yield from ("### What it does", "", f"| {' | '.join(HEADERS)} |", "| --- | --- | --- |")
        yield from (f"| {' | '.join(_text(cell) for cell in cells)} |" for cells in table_rows(plan.impact))
        yield ""


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
