"""`sluice lineage`: where a table or a column comes from, and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from flows.cli.output.completion import complete_tables
from flows.cli.output.console import out, print_json, progress, say
from flows.context import load_context

if TYPE_CHECKING:
    from metadata_sync.analysis.lineage import Lineage, LineageStep, Thing


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("lineage")(lineage)


def lineage(
    name: Annotated[
        str,
        typer.Argument(
            metavar="TABLE[.COLUMN]", help="schema.table, or schema.table.column.", autocompletion=complete_tables
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Show what a table or a column is derived from, and what is derived from it, through every SELECT.

    Tables come from the rows' dependencies, columns from the SELECTs. A column's lineage holds the columns that its
    value is computed from; columns that only join, filter or group are not part of it.

    Examples:
        sluice lineage dwh.dim_aircraft

        sluice lineage mart.route_daily.flight_count

        sluice lineage lake.flights.tailnum --json
    """
    from flows.cli.output.tables import print_notes
    from flows.gate.definitions import definition_notes
    from metadata_sync.analysis.catalog import Catalog
    from metadata_sync.analysis.lineage import Lineage

    context = load_context()
    with progress("Reading rows and SELECTs…", is_quiet=as_json), context.columns.connected():
        graph = Lineage(Catalog(context.store.read_rows(), context.project, context.columns))
        thing = graph.find(name)
        upstream, downstream = graph.upstream(thing), graph.downstream(thing)
        untraced = [str(table) for table in _untraced(graph, thing)]
    tables = dict.fromkeys(".".join(str(item).split(".")[:2]) for item in (thing, *(step.reads for step in upstream)))
    notes = definition_notes(context, tuple(tables))
    if as_json:
        print_json(
            "lineage",
            {
                "name": str(thing),
                "upstream": [_document(step) for step in upstream],
                "downstream": [_document(step) for step in downstream],
                "untraced": untraced,
                "definitions": {target: list(sentences) for target, sentences in notes.items()},
            },
        )
        return
    _print_tree(f"{thing} is derived from", thing, [(step.of, step.reads) for step in upstream], "nothing in the rows")
    _print_tree(f"{thing} is read by", thing, [(step.reads, step.of) for step in downstream], "nothing")
    print_notes(notes.items())
    if untraced:
        say(f"Columns of these tables are not traced, because their SELECTs cannot be resolved: {', '.join(untraced)}.")


def _untraced(graph: Lineage, thing: Thing) -> Sequence[object]:
    from metadata_sync.sql.lineage import ColumnName

    return graph.unresolved(graph.tables) if isinstance(thing, ColumnName) else ()


def _print_tree(title: str, root: Thing, edges: Sequence[tuple[Thing, Thing]], nothing: str) -> None:
    if not edges:
        out.print(f"{title}: {nothing}", highlight=False, markup=False)
        return
    children: dict[Thing, list[Thing]] = {}
    for parent, child in edges:
        children.setdefault(parent, []).append(child)
    tree = Tree(escape(title))
    _grow(tree, root, children, set())
    out.print(tree, highlight=False)


def _grow(branch: Tree, thing: Thing, children: dict[Thing, list[Thing]], shown: set[Thing]) -> None:
    """Add the children of a node. A node that was shown before is named again, without its children."""
    for child in children.get(thing, ()):
        is_known = child in shown and child in children
        twig = branch.add(escape(f"{child}{' (see above)' if is_known else ''}"))
        if not is_known:
            shown.add(child)
            _grow(twig, child, children, shown)


def _document(step: LineageStep) -> dict[str, Any]:
    return {"of": str(step.of), "reads": str(step.reads), "depth": step.depth}
