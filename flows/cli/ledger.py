"""`sluice verify`, `sluice rebuild`, `sluice accept`, `sluice ties`: a target, its ledger, and what derived it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import is_confirmed, out, print_json, print_table, progress, say
from flows.cli.output.options import FromOption, ToOption
from flows.cli.output.tables import print_notes
from flows.context import load_context

if TYPE_CHECKING:
    from flows.ledger.rebuild import RebuildPlan
    from metadata_sync.loads import RowCounts

Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="The target, schema.table.", autocompletion=complete_targets)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_USAGE_EXIT_CODE: Final = 2


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("verify")(verify)
    app.command("rebuild")(rebuild)
    app.command("accept")(accept)
    app.command("ties")(ties)


def verify(target: Target, as_json: AsJson = False) -> None:
    """Compare a target with its ledger and its load log. Writes nothing to the warehouse.

    An SCD2 table must equal the versions that its events give. An SCD1 table must hold each key once and no deleted
    key. Every row must come from a load in the log, and the row counts must match. Exit code 1: something differs; the
    first hundred differences are printed.

    Examples:
        sluice verify dwh.dim_aircraft

        sluice verify dwh.dim_aircraft --json
    """
    from flows.ledger.verify import verify as verify_target

    context = load_context()
    with progress(f"Comparing {target} with its ledger…", is_quiet=as_json):
        found = verify_target(context, target)
    if as_json:
        print_json("verify", {"is_sound": found.is_sound, **asdict(found)})
    elif found.is_sound:
        out.print(
            f"{target} matches its ledger: {found.row_count:,} rows from {found.event_count:,} events.",
            highlight=False,
            markup=False,
        )
    else:
        summary = ", ".join(f"{number:,} × {kind}" for kind, number in found.counts.items())
        rows = [(item.difference, item.row or None, item.detail) for item in found.differences]
        print_table(f"{target} differs from its ledger: {summary}", ("Difference", "Row", "In what"), rows)
        say(
            "Another program wrote to the table or its side table. `sluice rebuild` writes the table again from its "
            "events. Events that are gone come back from the sources only: `sluice backfill`."
        )
    if found.definition_change is not None and not as_json:
        print_notes([(target, [found.definition_change.sentence])])
    if not found.is_sound:
        raise typer.Exit(1)


def accept(
    target: Target,
    reason: Annotated[str, typer.Option("--reason", help="Why the rows may stay as they are.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Accept that rows of a target which an older SELECT derived stay as they are.

    Nothing is loaded or changed. `sluice status`, `plan` and runs no longer tell of these rows; `sluice why` and
    `sluice lineage` say who accepted them and why. The next change of the SELECT is told again. Exit code 2: there is
    nothing to accept.

    Examples:
        sluice accept dwh.fact_order --reason "the new VAT holds from December on"
    """
    from flows.engine.definitions import accept as accept_rows

    entry = accept_rows(load_context(), target, reason)
    if as_json:
        print_json("accept", asdict(entry))
        return
    share = "" if entry.older_count is None else f" ({entry.older_count:,} of {entry.event_count:,} events)"
    say(f"Accepted by {entry.accepted_by}: rows of {target} that an older SELECT derived stay as they are{share}.")


def ties(
    target: Target,
    start: FromOption = None,
    end: ToOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the events of a target that tie: equal key, time and tie-breakers, and different content.

    Of such events the one with the greater content is kept. Reads the sources between --from and --to, and what the
    target holds; writes nothing. A column in `sequence_by` that says which event is the later one ends the tie. Exit
    code 1: there are ties; the first 200 events are printed.

    Examples:
        sluice ties dwh.dim_aircraft

        sluice ties dwh.dim_aircraft --from 2026-01-01 --json
    """
    from flows.ledger.ties import find_ties

    context = load_context()
    with progress(f"Looking for ties of {target}…", is_quiet=as_json):
        found = find_ties(context, target, start, end)
    if as_json:
        print_json("ties", asdict(found))
    elif not found.tie_count:
        out.print(f"No events of {target} tie.", highlight=False, markup=False)
    else:
        rows = [(item.event, "kept" if item.is_kept else "lost", item.content) for item in found.events]
        print_table(f"{found.tie_count:,} events of {target} lost a tie", ("Event", "Outcome", "Content"), rows)
    if found.tie_count:
        raise typer.Exit(1)


def rebuild(
    target: Target,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a target again from its ledger, after a change of its load type, key, sequence or types.

    Shows first what cannot be restored, then asks. Reads no source and moves no watermark. One transaction: a failure
    leaves everything unchanged. Downstream targets read it in full once. Exit code 1: the rebuild failed. Exit code 2:
    it needs confirmation and there is no terminal.

    Examples:
        sluice rebuild dwh.dim_aircraft

        sluice rebuild dwh.dim_aircraft --yes --json
    """
    from flows.ledger.rebuild import plan_rebuild
    from flows.ledger.rebuild import rebuild as rebuild_target

    context = load_context()
    with progress(f"Reading the ledger of {target}…", is_quiet=as_json):
        plan = plan_rebuild(context, target)
    if not as_json:
        _print_plan(plan)
    if not is_confirmed("Rebuild it?", yes=yes, as_json=as_json):
        if as_json:
            print_json("rebuild", _document(plan, None))
        say("Nothing was changed. Pass --yes to rebuild it.")
        raise typer.Exit(_USAGE_EXIT_CODE)
    with progress(f"Rebuilding {target}…", is_quiet=as_json):
        rows = rebuild_target(context, target)
    if as_json:
        print_json("rebuild", _document(plan, rows))
    else:
        out.print(f"{target} was rebuilt: {rows}.", highlight=False, markup=False)


def _print_plan(plan: RebuildPlan) -> None:
    changes = plan.changes or ("No setting changed: the rebuild writes the same rows from the events.",)
    print_table(f"{plan.target}: {plan.event_count:,} events", ("What changes",), [(text,) for text in changes])
    losses = plan.losses or ("Nothing is lost.",)
    print_table("", ("What cannot be restored",), [(text,) for text in losses])


def _document(plan: RebuildPlan, rows: RowCounts | None) -> dict[str, Any]:
    return {
        **asdict(plan),
        "changes": plan.changes,
        "losses": plan.losses,
        "is_rebuilt": rows is not None,
        "rows": asdict(rows) if rows is not None else None,
    }
