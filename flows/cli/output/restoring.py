"""Rows and SELECTs that a promotion, a rollback or a proposal brings: for a terminal, and as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows.cli.output.changes import change_document, print_change
from flows.cli.output.console import out, print_table, say

if TYPE_CHECKING:
    from flows.diff.model import TableDiff
    from flows.impact.plan import Impact
    from metadata_sync.control.restoring import Restoring, SelectFile


def print_restoring(restoring: Restoring, impact: Impact | None, data: Sequence[TableDiff] = ()) -> None:
    """Print rows, SELECTs, what they do, and how the data differ."""
    if restoring.is_empty:
        say("Nothing to change: rows and SELECTs are the same.")
    for change in restoring.changes:
        print_change(change)
    print_plan(restoring.selects, impact)
    if data:
        headers = ("Data of", "Here", f"In {data[0].there}", "Equal", "Changed", "Only here", "Only there", "Sample")
        print_table("", headers, [_cells(item) for item in data])


def print_plan(selects: Sequence[SelectFile], impact: Impact | None) -> None:
    """Print how SELECTs change, and what changes do."""
    from flows.impact import text
    from flows.impact.brought import select_diff

    for item in selects:
        for line in select_diff(item):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
    if impact is not None and impact.effects:
        print_table("What it does", text.HEADERS, text.table_rows(impact))


def restoring_document(restoring: Restoring, impact: Impact | None) -> dict[str, Any]:
    """Return rows, SELECTs and what they do for a JSON document."""
    return {
        "changes": [change_document(change) for change in restoring.changes],
        **plan_document(restoring.selects, impact),
        "notes": list(restoring.notes),
    }


def plan_document(selects: Sequence[SelectFile], impact: Impact | None) -> dict[str, Any]:
    """Return how SELECTs change, and what changes do, for a JSON document."""
    from flows.impact import text
    from flows.impact.brought import select_diff

    return {
        "selects": [{"sql_path": item.sql_path, "diff": select_diff(item)} for item in selects],
        "effects": [] if impact is None else text.document(impact)["changes"],
    }


def _cells(found: TableDiff) -> tuple[str, ...]:
    sample = f"{found.sampled:.2%} of the keys, ±{found.error:.2%}" if found.sampled < 1 else "all"
    changed = ", ".join(f"{item.name} {item.count:,}" for item in found.columns)
    counts = (found.rows_here, found.rows_there, found.equal)
    return (
        found.target,
        *(f"{count:,}" for count in counts),
        f"{found.changed + found.moved:,}{f' ({changed})' if changed else ''}",
        f"{found.only_here:,}",
        f"{found.only_there:,}",
        sample,
    )
