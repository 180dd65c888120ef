"""`sluice proposals …`: look at changes of a protected environment that wait, and decide them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output.changes import brief, changed_lines
from flows.cli.output.console import out, print_json, print_table, say
from flows.cli.output.restoring import plan_document, print_plan
from flows.context import load_context
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.impact.brought import ProposalPlan
    from metadata_sync.database.approval.model import Proposal, ProposedRow
    from metadata_sync.incident import Alert

app = typer.Typer(
    name="proposals",
    help="Look at changes that wait in a protected environment, and decide them.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Number = Annotated[int, typer.Argument(help="The proposal's number.", min=1)]


def register(root: typer.Typer) -> None:
    """Add the commands to `sluice`."""
    root.add_typer(app)


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that are decided.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the proposals that wait, newest first.

    Examples:
        sluice proposals list

        sluice proposals list --all --json
    """
    context = load_context()
    found = context.store.approvals.list(open_only=not every)
    if as_json:
        document = {"environment": context.settings.environment, "proposals": [_document(item) for item in found]}
        print_json("proposals-list", document)
    elif not found:
        say("No proposal waits." if not every else "There are no proposals.")
    else:
        headers = ("number", "status", "when (UTC)", "by", "rows", "reason")
        cells = (
            (item.number, item.status, f"{item.proposed_at:%Y-%m-%d %H:%M}", item.proposer, len(item.rows), item.reason)
            for item in found
        )
        print_table("", headers, cells)


@app.command("show")
def show(number: Number, as_json: AsJson = False) -> None:
    """Show a proposal: who, when, why, each row before and after, and what it would do to rows that stand.

    Examples:
        sluice proposals show 7
    """
    from flows.impact.brought import plan_of_proposal

    context = load_context()
    found = context.store.approvals.find(number)
    plan = plan_of_proposal(context, found)
    if as_json:
        told = plan_document(plan.selects, plan.impact) | {"problem": plan.problem}
        print_json("proposals-show", _document(found) | told)
    else:
        _print(found, plan)


@app.command("approve")
def approve(
    number: Number,
    override: Annotated[
        str | None,
        typer.Option(
            "--override", metavar="REASON", help="Emergency: apply it without another identity. It is told and audited."
        ),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", help="Approve only what `show` printed with this digest, or its beginning."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Apply a proposal of another identity, in one transaction with its audit.

    Your identity is the person that CI names, your role in PostgreSQL, or your user of the operating system. A proposal
    whose rows changed meanwhile is stale and is not applied.

    Examples:
        sluice proposals approve 7

        sluice proposals approve 7 --digest 4be1c09a --yes

        sluice proposals approve 7 --override "wrong fares are live, nobody else is awake"
    """
    from flows.impact.brought import plan_of_proposal
    from flows.incidents import overrides
    from flows.incidents.settle import deliver_or_log
    from metadata_sync.control import approving

    context = load_context()
    found = context.store.approvals.find(number)
    if override is not None and not override.strip():
        raise ConfigurationError("An override needs a reason.", 'Write for example --override "prices are wrong".')
    if digest is not None and (len(digest) < _FEWEST or not found.digest.startswith(digest)):
        raise ConfigurationError(
            f"Proposal {number} has another digest; nothing was changed.",
            f"Look at it: `sluice proposals show {number}`.",
        )
    if not as_json:
        _print(found, plan_of_proposal(context, found))
    _confirm(yes=yes, as_json=as_json)
    alerts: tuple[Alert, ...] = ()
    if override is not None:
        alerts = overrides.override_alerts(context, found, context.store.approvals.caller(), override)
    change_id = approving.approve(context.change_context, found, override=override, alerts=alerts)
    if alerts:
        deliver_or_log(context)
    elif override is not None:
        say("No channel is set that could tell of the override (SLUICE_ALERT_CHANNEL); the history shows it.")
    _report(context.store.approvals.find(number), change_id, as_json=as_json)


@app.command("reject")
def reject(
    number: Number,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; kept with the proposal.")],
    as_json: AsJson = False,
) -> None:
    """Reject a proposal, or take your own back. Its rows stay as they are.

    Examples:
        sluice proposals reject 7 --reason "the schedule collides with the backup"
    """
    _report(load_context().store.approvals.reject(number, reason), None, as_json=as_json)


_FEWEST = 8
"""Characters of a digest that tell proposals apart."""


def _confirm(*, yes: bool, as_json: bool) -> None:
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise ConfigurationError("Nothing was changed: no terminal to confirm on.", "Pass --yes to approve.")
    typer.confirm("Approve?", abort=True, err=True)


def _report(found: Proposal, change_id: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json("proposals-decide", _document(found) | {"change_id": change_id})
    else:
        say(f"Proposal {found.number} is {found.status}{f', change {change_id}' if change_id else ''}.")


def _document(found: Proposal) -> dict[str, Any]:
    from metadata_sync.redact import redact

    return {
        "number": found.number,
        "status": found.status,
        "via": found.via,
        "proposed_by": found.proposer.name,
        "proposed_at": found.proposed_at,
        "on_behalf_of": found.on_behalf_of,
        "reason": found.reason,
        "digest": found.digest,
        "decided_by": found.decider.name if found.decider else None,
        "decided_at": found.decided_at,
        "decision_reason": found.decision_reason,
        "is_override": found.is_override,
        "rows": [
            {"table": row.table, "key": row.key, "before": redact(row.before), "after": redact(row.after)}
            for row in found.rows
        ],
    }


def _print(found: Proposal, plan: ProposalPlan) -> None:
    said = f" (said to be for {found.on_behalf_of})" if found.on_behalf_of else ""
    lines = [
        f"Proposal {found.number}: {found.status}",
        f"  proposed by {found.proposer}{said} at {found.proposed_at:%Y-%m-%d %H:%M:%S} UTC via {found.via}",
        f"  reason: {found.reason or '–'}",
        f"  digest: {found.digest}",
    ]
    if found.decider and found.decided_at:
        how = "by override " if found.is_override else ""
        lines.append(f"  decided {how}by {found.decider} at {found.decided_at:%Y-%m-%d %H:%M:%S} UTC")
        lines += [f"  because: {found.decision_reason}"] if found.decision_reason else []
    for row in found.rows:
        lines += _row_lines(row)
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    print_plan(plan.selects, plan.impact)
    if plan.problem is not None:
        say(f"It cannot be applied now: {plan.problem}")


def _row_lines(row: ProposedRow) -> list[str]:
    from metadata_sync.redact import redact

    before, after = redact(row.before) or {}, redact(row.after) or {}
    sign = "+" if row.before is None else "-" if row.after is None else "~"
    lines = [f"{sign} {row.table}[{row.key}]"]
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old == new or (row.before is None and brief(new) is None):
            continue
        if row.after is not None:
            lines += [f"    {line}" for line in changed_lines(name, old, new)]
    return lines if row.before != row.after else [*lines, "    (from now on declared by a file)"]
