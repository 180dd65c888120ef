"""`sluice verify` and `sluice rebuild`: a target and its ledger."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.console import out, print_json, print_table, progress, say
from flows.context import load_context

if TYPE_CHECKING:
    from flows.ledger import Survey
    from metadata_sync.loads import RowCounts

Target = Annotated[str, typer.Argument(metavar="TARGET", help="The target, schema.table.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

_USAGE_EXIT_CODE: Final = 2


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("verify")(verify)
    app.command("rebuild")(rebuild)


def verify(target: Target, as_json: AsJson = False) -> None:
    """Compare a target with what its ledger and its load log say of it. Writes nothing to the warehouse.

    An SCD2 table must be what its events give, version by version; in an SCD1 table each key stands once, and none that
    was deleted. Every row must come from a load of the log, and as many must stand as it counts. Exit code 1: something
    differs; the first hundred differences are printed.

    Examples:
        sluice verify dwh.dim_aircraft

        sluice verify dwh.dim_aircraft --json
    """
    from flows.ledger import verify as verify_target

    context = load_context()
    with progress(f"Comparing {target} with its ledger…", is_quiet=as_json):
        found = verify_target(context, target)
    if as_json:
        print_json({"is_sound": found.is_sound, **asdict(found)})
    elif found.is_sound:
        out.print(
            f"{target} is sound: {found.row_count:,} rows, as its {found.event_count:,} events give them.",
            highlight=False,
            markup=False,
        )
    else:
        summary = ", ".join(f"{number:,} × {kind}" for kind, number in found.counts.items())
        rows = [(item.difference, item.row or None, item.detail) for item in found.differences]
        print_table(f"{target} differs from its ledger: {summary}", ("Difference", "Row", "In what"), rows)
        say(
            "Somebody wrote to the table or its side table. `sluice rebuild` makes it anew from the events that stand "
            "there; what is gone, only the sources give: `sluice backfill`."
        )
    if not found.is_sound:
        raise typer.Exit(1)


def rebuild(
    target: Target,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a target anew from its ledger, after a change of its load type, key, sequence or types.

    Says first what cannot be restored, then asks. Reads no source and moves no watermark. One transaction: a failure
    leaves everything as it was. Readers of the target read it in full once. Exit code 1: it failed. Exit code 2: there
    is nobody to ask.

    Examples:
        sluice rebuild dwh.dim_aircraft

        sluice rebuild dwh.dim_aircraft --yes --json
    """
    from flows.ledger import rebuild as rebuild_target
    from flows.ledger import survey

    context = load_context()
    with progress(f"Looking what {target} can be made of…", is_quiet=as_json):
        wish = survey(context, target)
    if not as_json:
        _print_survey(wish)
    if not (yes or (not as_json and sys.stdin.isatty() and typer.confirm("Rebuild it?", err=True))):
        if as_json:
            print_json(_document(wish, None))
        say("Nothing was changed. Pass --yes to rebuild it.")
        raise typer.Exit(_USAGE_EXIT_CODE)
    with progress(f"Rebuilding {target}…", is_quiet=as_json):
        rows = rebuild_target(context, target)
    if as_json:
        print_json(_document(wish, rows))
    else:
        out.print(f"{target} was rebuilt: {rows}.", highlight=False, markup=False)


def _print_survey(wish: Survey) -> None:
    changes = wish.changes or ("Nothing: the rebuild gives the rows that the events give.",)
    print_table(f"{wish.target}: {wish.event_count:,} events", ("What changes",), [(text,) for text in changes])
    losses = wish.losses or ("Nothing is lost.",)
    print_table("", ("What cannot be restored",), [(text,) for text in losses])


def _document(wish: Survey, rows: RowCounts | None) -> dict[str, Any]:
    return {
        **asdict(wish),
        "changes": wish.changes,
        "losses": wish.losses,
        "is_rebuilt": rows is not None,
        "rows": asdict(rows) if rows is not None else None,
    }
