"""`sluice promote` and `sluice rollback`: bring rows and SELECTs of another environment, or of an earlier moment."""

from __future__ import annotations

import sys
from difflib import unified_diff
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output.changes import change_document, print_change
from flows.cli.output.completion import complete_targets
from flows.cli.output.console import out, print_json, print_table, progress, say
from flows.context import Context, environment_home, load_context
from metadata_sync.errors import ConfigurationError, RequestError

if TYPE_CHECKING:
    from flows.impact.plan import Impact
    from metadata_sync.control.apply import ChangeContext
    from metadata_sync.control.restoring import Restoring, SelectFile
    from metadata_sync.database import Via

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Reason = Annotated[str | None, typer.Option("--reason", "-r", help="Why; kept in the history.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("promote")(promote)
    app.command("rollback")(rollback)


def promote(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Targets, with their pipelines and sources; all by default.",
            show_default=False,
            autocompletion=complete_targets,
        ),
    ] = None,
    *,
    source: Annotated[str, typer.Option("--from", help="The environment whose rows and SELECTs are promoted.")],
    to: Annotated[
        str | None, typer.Option("--to", help="The environment that gets them: that of the process, to be sure of it.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Take the other environment's value also where this one was changed.")
    ] = False,
    yes: Yes = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Bring rows and SELECTs of another environment here. Tables, watermarks and history stay as they are.

    Shows what changes in rows and SELECTs, what that does to rows that stand, and what breaks. A value that was
    changed here since the last promotion is kept; one that both changed is a conflict. Values that files declare for
    one environment alone, and switches, stay each environment's own. `sluice diff` compares the data.

    Examples:
        SLUICE_ENVIRONMENT=prod sluice promote --from stage --to prod

        SLUICE_ENVIRONMENT=prod sluice promote dwh.fact_order --from stage --yes --reason "release 41"
    """
    from metadata_sync.control.promotion import plan_promotion
    from metadata_sync.database import ControlStore, Via

    context = load_context()
    here = context.settings.environment
    if to not in {None, here}:
        raise RequestError(
            f"This process works in {here}, not in {to}.",
            f"SLUICE_ENVIRONMENT={to} sluice promote --from {source} --to {to}",
        )
    if source == here:
        raise RequestError(f"{source} is promoted into itself.", "Name another environment: --from stage")
    if environment_home(context.project, source).exists():
        raise RequestError(
            f"{source} was made by `sluice env create`: it has the rows of a branch, without schedules and channels.",
            "Merge the branch, and apply its files here: sluice control apply",
        )
    with progress(f"Comparing {source} with {here}…", is_quiet=as_json):
        with ControlStore.open(context.control_url, source) as other:
            restoring = plan_promotion(context.change_context, other, tuple(targets or ()), overwrite=overwrite)
        impact = _impact(context, restoring)
    found = _carried_out(
        context.change_context,
        restoring,
        impact,
        Via.PROMOTE,
        reason=reason or f"promoted from {source}",
        yes=yes,
        as_json=as_json,
    )
    if as_json:
        print_json("promote", {"from": source, "to": here, **found})
    _end(restoring, is_written=found["applied"])


def rollback(
    change: Annotated[str, typer.Argument(help="A change, as `sluice control history` shows it.")],
    *,
    yes: Yes = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Bring rows and SELECTs back to the moment before a change: it and all later ones are undone.

    What the framework alone wrote since then stays, such as a row that it switched off. Tables, watermarks and history
    stay too: the plan says which rows that stand would have to be restated. A rollback is a change itself, and can be
    rolled back.

    Examples:
        sluice control history --limit 5

        sluice rollback 20261201T004238884345-c58090c553b9c4b2 --yes --reason "wrong fares"
    """
    from metadata_sync.control.rollback import plan_rollback
    from metadata_sync.database import Via

    context = load_context()
    with progress("Looking for the rows and SELECTs of that moment…", is_quiet=as_json):
        restoring = plan_rollback(context.change_context, change)
        impact = _impact(context, restoring)
    found = _carried_out(
        context.change_context,
        restoring,
        impact,
        Via.ROLLBACK,
        reason=reason or f"back to before {change}",
        yes=yes,
        as_json=as_json,
    )
    if as_json:
        print_json("rollback", {"before": change, "environment": context.settings.environment, **found})
    _end(restoring, is_written=found["applied"])


def _impact(context: Context, restoring: Restoring) -> Impact | None:
    from flows.impact.plan import impact_of
    from metadata_sync.analysis.kept_selects import as_if_written

    if restoring.is_empty:
        return None
    with as_if_written(restoring.texts, restoring.outcome, context.project) as project:
        return impact_of(context, restoring.outcome, project)


def _carried_out(
    context: ChangeContext,
    restoring: Restoring,
    impact: Impact | None,
    via: Via,
    *,
    reason: str,
    yes: bool,
    as_json: bool,
) -> dict[str, Any]:
    """Show the plan, ask, and write it; return it as a document."""
    from metadata_sync.control.restoring import carry_out

    may_write = not restoring.is_empty and yes
    if not as_json:
        _print(restoring, impact)
        may_write = may_write or (
            not restoring.is_empty and sys.stdin.isatty() and typer.confirm("Write this?", err=True)
        )
    change_id = carry_out(context, restoring, via, reason) if may_write else None
    if change_id is not None and not as_json:
        say(f"Written as change {change_id}. `sluice rollback {change_id}` undoes it; the next run loads by it.")
    return _document(restoring, impact) | {"applied": may_write, "change": change_id}


def _end(restoring: Restoring, *, is_written: bool) -> None:
    if not is_written and not restoring.is_empty:
        say("Nothing was changed. Pass --yes to write it.")
        raise typer.Exit(ConfigurationError.exit_code)


def _print(restoring: Restoring, impact: Impact | None) -> None:
    from flows.impact import text

    if restoring.is_empty:
        say("Nothing to change: rows and SELECTs are the same.")
    for change in restoring.changes:
        print_change(change)
    for item in restoring.selects:
        for line in _diff(item):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
    if impact is not None and impact.effects:
        print_table("What it does", text.HEADERS, text.table_rows(impact))
    for note in restoring.notes:
        say(note)


def _diff(item: SelectFile) -> list[str]:
    before = "" if item.before is None else item.before
    lines = unified_diff(
        before.splitlines(), item.after.splitlines(), f"a/{item.sql_path}", f"b/{item.sql_path}", lineterm="", n=2
    )
    return list(lines)


def _document(restoring: Restoring, impact: Impact | None) -> dict[str, Any]:
    from flows.impact import text

    return {
        "changes": [change_document(change) for change in restoring.changes],
        "selects": [{"sql_path": item.sql_path, "diff": _diff(item)} for item in restoring.selects],
        "effects": [] if impact is None else text.document(impact)["changes"],
        "notes": list(restoring.notes),
    }
