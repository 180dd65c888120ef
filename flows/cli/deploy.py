"""`sluice deploy`: synchronize Prefect's deployments with the control rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from flows.cli.output.console import err, out, print_json, progress, say
from flows.context import Context, load_context
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.prefect.deployments.diff import DeployPlan, DeployStep


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("deploy")(deploy)


def deploy(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change; change nothing.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running: check every ten seconds, deploy when rows changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Give every pipeline row its Prefect deployment: schedule, tags, description, one run at a time.

    Also deploys `monitor` and `heal` with their own schedules, the forms and the automations. Only differences are
    written. An inactive row pauses its deployment. A deployment without a row is removed if Sluice created it. A
    deployment that a person paused in Prefect stays paused. It is safe to interrupt and repeat the command.

    Examples:
        sluice deploy --plan

        sluice deploy

        sluice deploy --watch

        sluice deploy --json
    """
    from flows.prefect.deployments.deploy import deploy as deploy_rows
    from flows.prefect.deployments.deploy import require_server
    from flows.server.local import prepare_client, running_api_url

    context = load_context()
    if watch:
        _watch(context, is_alone=not (plan or as_json))
    api_url = require_server(running_api_url(context))
    prepare_client(context, api_url)
    with progress("Comparing deployments with the rows…", is_quiet=as_json):
        changes = deploy_rows(context, api_url, is_dry=plan, on_step=_print_step if not as_json else _ignore_step)
    if as_json:
        print_json("deploy", _document(changes, is_applied=not plan))
        return
    _print(changes, is_dry=plan)


def _watch(context: Context, *, is_alone: bool) -> NoReturn:
    from flows.prefect.deployments.watch import watch

    if not is_alone:
        raise ConfigurationError("--watch cannot be combined with other options.", "Run `sluice deploy --watch`.")
    say(f"Keeping deployments of {context.settings.environment} synchronized with the rows.")
    watch(context, say)


def _print_step(number: int, total: int, step: DeployStep) -> None:
    line = f"{number}/{total} {step.action} {step.name}"
    if err.is_terminal:
        err.print(line, end="\r" if number < total else "\n", highlight=False, markup=False)
    elif total < 20 or number % 20 == 0 or number == total:  # noqa: PLR2004 (in a log: every twentieth line)
        say(line)


def _ignore_step(_number: int, _total: int, _step: DeployStep) -> None:
    """Print nothing: with --json the document is the whole output."""


def _print(changes: DeployPlan, *, is_dry: bool) -> None:
    if is_dry:
        for step in changes.steps:
            sign = {"create": "[green]+[/]", "update": "[yellow]~[/]", "remove": "[red]-[/]"}[step.action]
            out.print(f"{sign} {step.name}{_change_note(step)}", highlight=False)
        for automation in changes.automations:
            out.print(f"{automation.action} automation: {automation.name}", highlight=False, markup=False)
    counts = ", ".join(
        f"{changes.count(action)} {word}" for action, word in _words(is_dry=is_dry) if changes.count(action)
    )
    say(f"{counts or 'Nothing to change'}; {changes.unchanged} unchanged.")
    if changes.automations and not is_dry:
        say(f"{len(changes.automations)} automations written or removed.")
    for note in changes.notes:
        say(note)
    for name in changes.paused_by_hand:
        say(f"{name} is paused in Prefect, but its row is active. Resume it there, or `sluice deactivate` the row.")


def _change_note(step: DeployStep) -> str:
    if step.desired is None:
        return "  (its row is gone)"
    return "  (paused: its row is switched off)" if step.desired.is_paused else ""


def _words(*, is_dry: bool) -> list[tuple[Any, str]]:
    from flows.prefect.deployments.diff import DeployAction

    if is_dry:
        return [
            (DeployAction.CREATE, "to create"),
            (DeployAction.UPDATE, "to update"),
            (DeployAction.REMOVE, "to remove"),
        ]
    return [(DeployAction.CREATE, "created"), (DeployAction.UPDATE, "updated"), (DeployAction.REMOVE, "removed")]


def _document(changes: DeployPlan, *, is_applied: bool) -> dict[str, Any]:
    return {
        "applied": is_applied and not changes.is_empty,
        "changes": [
            {
                "action": step.action.value,
                "deployment": step.name,
                "paused": bool(step.desired and (step.desired.is_paused or step.stays_paused)),
                "schedule": str(step.desired.schedule) if step.desired and step.desired.schedule else None,
            }
            for step in changes.steps
        ],
        "automations": [{"action": step.action.value, "automation": step.name} for step in changes.automations],
        "unchanged": changes.unchanged,
        "paused_by_hand": list(changes.paused_by_hand),
        "notes": list(changes.notes),
    }
