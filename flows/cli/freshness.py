"""`sluice freshness`: which tables are late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output.completion import complete_tables
from flows.cli.output.console import print_json, print_table, say
from flows.context import load_context
from metadata_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.reports.freshness import Freshness


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("freshness")(freshness)


def freshness(
    table: Annotated[
        str | None,
        typer.Argument(
            help="A target or source, schema.table; all by default.", show_default=False, autocompletion=complete_tables
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with code 1 when a table is late.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show how old targets and sources are, and which are older than their row's freshness_minutes.

    Reads the control database only. A target's age counts from its last load, a source's age from the newest row that
    the gate has seen. Inactive tables are never late.

    Examples:
        sluice freshness

        sluice freshness dwh.dim_aircraft --check

        sluice freshness --json
    """
    from flows.reports.freshness import measure_freshness

    store = load_context().store
    rows = store.usable_rows()
    found = measure_freshness(rows, store.latest_loads(), store.last_decisions(), store.now())
    if table is not None:
        found = tuple(item for item in found if item.table == table) or _refuse(table, [item.table for item in found])
    late = [item.table for item in found if item.is_late]
    if as_json:
        print_json("freshness", {"late": late, "tables": [_document(item) for item in found]})
    else:
        _print(found, late)
    if check and late:
        raise typer.Exit(1)


def _refuse(table: str, known: list[str]) -> tuple[Freshness, ...]:
    raise ConfigurationError(
        f"There is no target or source {table!r} in this environment.", f"It has: {', '.join(known) or 'none'}."
    )


def _print(found: tuple[Freshness, ...], late: list[str]) -> None:
    from flows.prefect.pages.freshness import freshness_cells

    if not found:
        say("There are no rows yet. `sluice control apply` writes the rows of dbt_project/control/.")
        return
    title = f"{len(late)} late" if late else "Nothing is late"
    print_table(title, ("Table", "Kind", "State", "Age", "Allowed", "Newest (UTC)"), map(freshness_cells, found))


def _document(item: Freshness) -> dict[str, Any]:
    return {
        "table": item.table,
        "kind": item.kind.value,
        "state": item.state.value,
        "is_late": item.is_late,
        "pipeline_ids": item.pipeline_ids,
        "newest_at": item.newest_at.isoformat() if item.newest_at else None,
        "age_seconds": item.age_seconds,
        "allowed_seconds": item.allowed_seconds,
    }
