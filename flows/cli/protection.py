"""`sluice protection …`: protect an environment, and say who may do what in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.output.console import print_json, print_table, say
from flows.context import load_context
from metadata_sync.database.approval.model import Role

if TYPE_CHECKING:
    from metadata_sync.database.approval.model import ProposedRow

app = typer.Typer(
    name="protection", help="Protect an environment, and say who may do what in it.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; kept in the history.")]
RoleName = Annotated[Role, typer.Argument(help="What the identity may do.")]
Identity = Annotated[str, typer.Argument(help="A login of GitHub or GitLab, a role of PostgreSQL, or a system user.")]


def register(root: typer.Typer) -> None:
    """Add the commands to `sluice`."""
    root.add_typer(app)


@app.command("show")
def show(as_json: AsJson = False) -> None:
    """Show whether the environment is protected, who has which role, and who you are.

    Examples:
        sluice protection show
    """
    _show(as_json=as_json)


@app.command("on")
def on(reason: Reason = None, as_json: AsJson = False) -> None:
    """Let rows of the environment change only by proposals that another identity approves.

    Examples:
        sluice protection on --reason "it is production"
    """
    is_new = load_context().store.approvals.protect(reason)
    if not is_new:
        say("It was protected already.")
    _show(as_json=as_json)


@app.command("off")
def off(reason: Reason = None, as_json: AsJson = False) -> None:
    """Take the protection off. This is a proposal itself, which another identity must approve.

    Examples:
        sluice protection off --reason "the environment moves"
    """
    from metadata_sync.database.approval.protection import protection_row

    environment = load_context().settings.environment
    _change(protection_row(environment), reason, as_json=as_json)


@app.command("grant")
def grant(role: RoleName, identity: Identity, reason: Reason = None, as_json: AsJson = False) -> None:
    """Give a role to an identity. A role that nobody was granted is everyone's, except `ci`.

    Examples:
        sluice protection grant approve ada

        sluice protection grant ci sluice_ci --reason "sessions of our CI name the person"
    """
    from metadata_sync.database.approval.protection import grant_row

    _change(grant_row(role, identity), reason, as_json=as_json)


@app.command("revoke")
def revoke(role: RoleName, identity: Identity, reason: Reason = None, as_json: AsJson = False) -> None:
    """Take a role from an identity.

    Examples:
        sluice protection revoke approve ada --reason "she left the team"
    """
    from dataclasses import replace

    from metadata_sync.database.approval.protection import grant_row

    row = grant_row(role, identity)
    _change(replace(row, before=row.after, after=None), reason, as_json=as_json)


def _change(row: ProposedRow, reason: str | None, *, as_json: bool) -> None:
    load_context().store.approvals.change_protection([row], reason)
    _show(as_json=as_json)


def _show(*, as_json: bool) -> None:
    context = load_context()
    approvals = context.store.approvals
    protection, grants = approvals.protection()
    who = approvals.caller()
    if as_json:
        document = {
            "environment": context.settings.environment,
            "is_protected": protection is not None,
            "protected_by": protection["protected_by"] if protection else None,
            "reason": protection["reason"] if protection else None,
            "you": who.name,
            "roles": [{"role": role, "identity": name} for role, names in grants.items() for name in names],
        }
        print_json("protection", document)
        return
    state = f"protected by {protection['protected_by']}" if protection else "not protected"
    say(f"{context.settings.environment} is {state}. You are {who}{' (named by CI)' if who.in_ci else ''}.")
    default = {Role.CI: "nobody"}
    cells = ((role.value, ", ".join(grants.get(role, ())) or default.get(role, "everyone")) for role in Role)
    print_table("", ("role", "who"), cells)
