"""`sluice lake`: the files of a lake source, and which target has read which."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Final

import typer

from flows.cli.output.completion import complete_sources
from flows.cli.output.console import out, print_json, print_table, say
from flows.context import load_context

_SHOWN: Final = 200
"""Most rows of the table; `--json` holds all."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("lake")(lake)


def lake(
    source: Annotated[
        str, typer.Argument(metavar="TABLE", help="The lake source, schema.table.", autocompletion=complete_sources)
    ],
    unread: Annotated[bool, typer.Option("--unread", help="Only files that are not read as they are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show the files of a lake source, and the load that read each.

    A file is new, changed since it was read, read, unreadable, left out because it does not fit the others, or gone.
    Hidden files (names that begin with _ or .) and files of other formats are counted. Reads footers; writes nothing.

    Examples:
        sluice lake lake.flights

        sluice lake lake.flights --unread

        sluice lake lake.flights --json
    """
    from flows.gate.lake import look_at_lake

    report = look_at_lake(load_context(), source)
    files = [item for item in report.files if not unread or item.state not in ("read", "gone")]
    if as_json:
        print_json("lake", {**asdict(report), "files": [asdict(item) for item in files]})
        return
    rows = [
        (
            item.file,
            item.size_bytes,
            item.target,
            item.state,
            item.load_id,
            item.loaded_at and f"{item.loaded_at:%F %R}",
        )
        for item in files[:_SHOWN]
    ]
    title = f"{report.source}: {report.file_count:,} files, {report.size_bytes:,} bytes at {report.location}"
    print_table(title, ("File", "Bytes", "Target", "State", "Load", "Loaded at (UTC)"), rows)
    if len(files) > _SHOWN:
        say(f"The first {_SHOWN} of {len(files):,} rows; --json prints all.")
    if report.change:
        out.print(f"Last change of its columns: {report.change}", highlight=False, markup=False)
    reasons = dict.fromkeys(item.reason for item in files if item.reason)
    for reason in list(reasons)[:_SHOWN]:
        out.print(f"Not read: {reason}", highlight=False, markup=False)
    if report.ignored:
        out.print(report.ignored, highlight=False, markup=False)


def _minute(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant:%Y-%m-%d %H:%M}"
