"""`sluice rename` and `sluice retire`: a target under a new name, and the end of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import is_confirmed, out, print_json, print_table, progress, say
from flows.context import load_context

if TYPE_CHECKING:
    from flows.lifecycle.rename import RenamePlan
    from flows.lifecycle.retire import RetirePlan
    from metadata_sync.database.journals.entries import LifecycleEntry
    from metadata_sync.rows.merge import RowChange

_USAGE_EXIT_CODE: Final = 2


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("rename")(rename)
    app.command("retire")(retire)


def rename(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="The target, schema.table.", autocompletion=complete_targets)
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name, schema.table.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Give a target a new name. Its rows, history, watermark and load log stay; no source is read.

    Shows first what changes: tables, control rows, files with their lines, and what is left to you; then asks. After an
    interruption the same command does what is left; until then no run loads the target and its readers. Exit code 1:
    the warehouse or a file refused. Exit code 2: it needs confirmation and there is no terminal, or NEW is taken.

    Examples:
        sluice rename dwh.dim_aircraft dwh.dim_plane

        sluice rename dwh.dim_aircraft archive.dim_aircraft --yes --json
    """
    from flows.lifecycle.rename import plan_rename, rename_steps

    context = load_context()
    with progress(f"Looking for {old}…", is_quiet=as_json):
        plan = plan_rename(context, old, new)
    if plan.is_done:
        if as_json:
            print_json("rename", _document(plan, is_renamed=True))
        else:
            assert plan.done is not None, "a plan without work ends an earlier renaming"
            out.print(f"Nothing is left to do: {plan.done}, is complete.", highlight=False, markup=False)
        return
    if not as_json:
        _print_plan(plan)
    if not is_confirmed("Rename it?", yes=yes, as_json=as_json):
        if as_json:
            print_json("rename", _document(plan, is_renamed=False))
        say("Nothing was changed. Pass --yes to rename it.")
        raise typer.Exit(_USAGE_EXIT_CODE)
    with progress(f"Renaming {old} to {new}…", is_quiet=as_json):
        for _ in rename_steps(context, plan):
            pass
    if as_json:
        print_json("rename", _document(plan, is_renamed=True))
    else:
        rows = plan.warehouse.row_count
        what = "" if rows is None else f": {rows:,} rows under the new name"
        out.print(f"{old} is {new} now{what}.", highlight=False, markup=False)


def retire(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The target, schema.table.", autocompletion=complete_targets)
    ],
    *,
    grace: Annotated[int, typer.Option("--grace", min=0, help="Days that the tables stay.")] = 7,
    export: Annotated[
        str | None,
        typer.Option("--export", help="Write the tables to this folder first; on Redshift to s3://bucket/folder."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Drop the tables now, without a grace period.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back, while the tables stand.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Switch a target off, and drop its tables after a grace period. Its rows of the load log stay.

    Shows first what is dropped and when, then asks. The first call switches the target off; a call after the grace
    period drops table, side table, rejects and head, and removes the row. Refused while another target reads it, and
    when it is to be dropped while a file declares its row. Exit code 1: the warehouse or the export failed. Exit
    code 2: it needs confirmation and there is no terminal, or it is refused.

    Examples:
        sluice retire dwh.dim_aircraft

        sluice retire dwh.dim_aircraft --undo

        sluice retire dwh.dim_aircraft --now --export archive --yes --json
    """
    from flows.lifecycle.retire import RetireRequest, plan_retirement, retire_steps, undo_retirement

    context = load_context()
    if undo:
        _take_back(undo_retirement(context, target), as_json=as_json)
        return
    with progress(f"Looking for {target}…", is_quiet=as_json):
        plan = plan_retirement(context, RetireRequest(target, grace, is_now=now, export=export))
    if not as_json:
        _print_retirement(plan)
    if not plan.has_work:
        if as_json:
            print_json("retire", _retirement_document(plan, is_done=False))
        return
    question = "Drop its tables now?" if plan.drops else "Retire it?"
    if not is_confirmed(question, yes=yes, as_json=as_json):
        if as_json:
            print_json("retire", _retirement_document(plan, is_done=False))
        say("Nothing was changed. Pass --yes to retire it.")
        raise typer.Exit(_USAGE_EXIT_CODE)
    with progress(f"Retiring {target}…", is_quiet=as_json):
        for _ in retire_steps(context, plan):
            pass
    if as_json:
        print_json("retire", _retirement_document(plan, is_done=True))
    else:
        stay = f"is switched off; its tables stay until {plan.due_at:%Y-%m-%d %H:%M} UTC"
        ending = "was dropped" if plan.drops else stay
        out.print(f"{target} {ending}.", highlight=False, markup=False)


def _print_plan(plan: RenamePlan) -> None:
    old, new, move = plan.renaming.old, plan.renaming.new, plan.warehouse
    if plan.begun is not None:
        say(f"Goes on with {plan.begun}.")
    tables = [
        *(("table", before, after) for _, before, after in move.tables),
        *([("load log", f"{move.log_count:,} rows of {old}", str(new))] if move.log_count else []),
        *(("row", str(change.id), _after(plan, change)) for change in plan.changes if change.kind != "add"),
        *(("file", change.shown, "see below") for change in plan.files),
    ]
    rows = "" if move.row_count is None else f", {move.row_count:,} rows"
    print_table(f"{old} → {new}{rows}", ("what", "now", "then"), tables)
    for change in plan.files:
        out.print(change.diff, highlight=False, markup=False)
    print_table("", ("What is left to you",), [(text,) for text in plan.remarks])


def _after(plan: RenamePlan, change: RowChange) -> str:
    if change.kind == "remove":
        return f"{change.id.table}[{plan.renaming.new}]"
    return ", ".join(item.column for item in change.columns)


def _document(plan: RenamePlan, *, is_renamed: bool) -> dict[str, Any]:
    move = plan.warehouse
    return {
        "old": str(plan.renaming.old),
        "new": str(plan.renaming.new),
        "tables": [{"part": part, "before": before, "after": after} for part, before, after in move.tables],
        "row_count": move.row_count,
        "log_count": move.log_count,
        "readers": sorted(set(plan.involved) - {str(plan.renaming.old), str(plan.renaming.new)}),
        "changes": [{"kind": change.kind, "table": change.id.table, "key": change.id.key} for change in plan.changes],
        "files": [{"path": change.shown, "diff": change.diff} for change in plan.files],
        "remarks": list(plan.remarks),
        "is_resumed": plan.begun is not None,
        "is_renamed": is_renamed,
    }


def _take_back(entry: LifecycleEntry, *, as_json: bool) -> None:
    if as_json:
        print_json("retire", {"target": entry.target, "is_taken_back": True})
    else:
        out.print(f"Taken back: {entry}.", highlight=False, markup=False)


def _print_retirement(plan: RetirePlan) -> None:
    when = "now" if plan.drops else f"from {plan.due_at:%Y-%m-%d %H:%M} UTC on"
    dropped = [
        *(("table", table, f"dropped {when}") for _, table in plan.tables),
        *([("row", f"{plan.row.control_table}[{plan.row.key}]", f"removed {when}")] if plan.row else []),
        ("load log", f"{plan.log_count:,} rows", "stay as history"),
        *([("export", plan.export, "written first")] if plan.export else []),
    ]
    rows = "" if plan.row_count is None else f": {plan.row_count:,} rows"
    if plan.begun is not None:
        say(f"Goes on with {plan.begun}.")
    print_table(f"{plan.request.target}{rows}", ("what", "which", "what happens"), dropped)
    if plan.remarks:
        print_table("", ("What is left to you",), [(text,) for text in plan.remarks])


def _retirement_document(plan: RetirePlan, *, is_done: bool) -> dict[str, Any]:
    return {
        "target": plan.request.target,
        "tables": [{"part": part, "table": table} for part, table in plan.tables],
        "row_count": plan.row_count,
        "log_count": plan.log_count,
        "due_at": plan.due_at,
        "drops": plan.drops,
        "export": plan.export,
        "remarks": list(plan.remarks),
        "is_resumed": plan.begun is not None,
        "is_done": is_done,
    }
