"""`sluice deploy`: Prefect's deployments in step with the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from flows.cli.output.console import err, out, print_json, progress, say
from flows.context import Context, load_context
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.prefect.deployments.diff import DeployPlan, Step


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("deploy")(deploy)


def deploy(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change; change nothing.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until ended: look every ten seconds, deploy when rows changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Give every pipeline row its Prefect deployment: schedule, tags, description, one run at a time.

    Beside them: `monitor` and `heal` on schedules of their own, the forms, and the automations. Only what differs is
    written; a row that is switched off pauses its deployment; deployments whose row is gone are removed, unless Sluice
    did not make them. What a person paused in Prefect stays paused. May be killed and run again.

    Examples:
        sluice deploy --plan

        sluice deploy

        sluice deploy --watch

        sluice deploy --json
    """
    from flows.prefect.deployments.deploy import deploy as bring_in_step
    from flows.prefect.deployments.deploy import require_server
    from flows.server.local import prepare_client, running_api_url

    context = load_context()
    if watch:
        _watch(context, is_alone=not (plan or as_json))
    api_url = require_server(running_api_url(context))
    prepare_client(context, api_url)
    with progress("Comparing deployments with the rows…", is_quiet=as_json):
        done = bring_in_step(context, api_url, is_dry=plan, on_step=_tell if not as_json else _be_quiet)
    if as_json:
        print_json(_document(done, is_applied=not plan))
        return
    _print(done, is_dry=plan)


def _watch(context: Context, *, is_alone: bool) -> NoReturn:
    from flows.prefect.deployments.watch import watch

    if not is_alone:
        raise ConfigurationError("--watch goes with no other option.", "Run `sluice deploy --watch`.")
    say(f"Keeping deployments of {context.settings.environment} in step with the rows.")
    watch(context, say)


def _tell(number: int, total: int, step: Step) -> None:
    line = f"{number}/{total} {step.action} {step.name}"
    if err.is_terminal:
        err.print(line, end="\r" if number < total else "\n", highlight=False, markup=False)
    elif total < 20 or number % 20 == 0 or number == total:  # noqa: PLR2004 (a log wants a line now and then)
        say(line)


def _be_quiet(_number: int, _total: int, _step: Step) -> None:
    """With --json nothing but the document is printed."""


def _print(done: DeployPlan, *, is_dry: bool) -> None:
    if is_dry:
        for step in done.steps:
            sign = {"create": "[green]+[/]", "update": "[yellow]~[/]", "remove": "[red]-[/]"}[step.action]
            out.print(f"{sign} {step.name}{_change_note(step)}", highlight=False)
        for automation in done.automations:
            out.print(f"{automation.action} automation: {automation.name}", highlight=False, markup=False)
    counts = ", ".join(f"{done.count(action)} {word}" for action, word in _words(is_dry=is_dry) if done.count(action))
    say(f"{counts or 'Nothing to change'}; {done.unchanged} as the rows say.")
    if done.automations and not is_dry:
        say(f"{len(done.automations)} automations written or removed.")
    for note in done.notes:
        say(note)
    for name in done.paused_by_hand:
        say(f"{name} is paused in Prefect though its row is active. Resume it there, or `sluice deactivate` the row.")


def _change_note(step: Step) -> str:
    if step.desired is None:
        return "  (its row is gone)"
    return "  (paused: its row is switched off)" if step.desired.is_paused else ""


def _words(*, is_dry: bool) -> list[tuple[Any, str]]:
    from flows.prefect.deployments.diff import Action

    done = {Action.CREATE: "created", Action.UPDATE: "updated", Action.REMOVE: "removed"}
    would = {Action.CREATE: "to create", Action.UPDATE: "to update", Action.REMOVE: "to remove"}
    return list((would if is_dry else done).items())


def _document(done: DeployPlan, *, is_applied: bool) -> dict[str, Any]:
    return {
        "applied": is_applied and not done.is_empty,
        "changes": [
            {
                "action": step.action.value,
                "deployment": step.name,
                "paused": bool(step.desired and (step.desired.is_paused or step.stays_paused)),
                "schedule": str(step.desired.schedule) if step.desired and step.desired.schedule else None,
            }
            for step in done.steps
        ],
        "automations": [{"action": step.action.value, "automation": step.name} for step in done.automations],
        "unchanged": done.unchanged,
        "paused_by_hand": list(done.paused_by_hand),
        "notes": list(done.notes),
    }
