"""`sluice diff`: how a target differs from the same target of another environment."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.output.completion import complete_targets
from flows.cli.output.console import out, print_json, print_table, progress
from flows.context import load_context
from metadata_sync.errors import RequestError

if TYPE_CHECKING:
    from flows.diff.model import Example, TableDiff


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("diff")(diff)


def diff(
    target: Annotated[str, typer.Argument(help="Target, as schema.table.", autocompletion=complete_targets)],
    *,
    against: Annotated[
        str,
        typer.Option(
            "--against",
            metavar="ENVIRONMENT|TIME|LOAD",
            help="Compare with this environment; an scd2 also with a time.",
        ),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Column to match rows by, in place of the business key; repeatable."),
    ] = None,
    sample: Annotated[
        float,
        typer.Option("--sample", min=0.0001, max=1, help="Share of the keys to compare: 0.01 for one in a hundred."),
    ] = 1.0,
    examples: Annotated[int, typer.Option("--examples", min=0, max=100, help="Examples of each kind.")] = 5,
    values: Annotated[
        bool, typer.Option("--values", help="Show values in examples; without it they are masked.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare a target with the same target of another environment, row by row and column by column.

    An scd2 can also be compared with what it says of an earlier time.

    Rows are matched by the business key, versions of a history by key and beginning; a version with the same content
    and another beginning or end has moved. All of it is counted in the warehouse. Exit code 1: they differ.

    Examples:
        sluice diff dwh.orders --against prod

        sluice diff dwh.orders --against prod --sample 0.01 --values --json

        sluice diff dwh.dim_customer --against 2026-11-01
    """
    from flows.diff.compare import compare
    from flows.diff.past import compare_with_past, moment_of
    from metadata_sync.rows.names import TableName

    try:
        name = TableName.parse(target)
    except ValueError as error:
        raise RequestError(f"{error}.", "Name a target as schema.table.") from error
    with progress("Comparing", is_quiet=as_json):
        moment = moment_of(against)
        if moment is None:
            found = compare(load_context(), name, against, key=key or (), share=sample, example_count=examples)
        elif key or sample < 1:
            raise RequestError("An earlier time is compared by business key and in full.", "Leave out --key, --sample.")
        else:
            found = compare_with_past(load_context(), name, moment, example_count=examples)
    if as_json:
        print_json("diff", diff_document(found, is_shown=values))
    else:
        _show(found, is_shown=values)
    if not found.is_empty:
        raise typer.Exit(1)


def _show(found: TableDiff, *, is_shown: bool) -> None:
    by = f"by {', '.join(found.key)}" if found.key else "as a bag of rows: it has no key"
    sampled = f", {found.sampled:.2%} of the keys, shares ±{found.error:.2%}" if found.sampled < 1 else ""
    rows: list[tuple[str, Any]] = [
        (f"rows in {found.here}", found.rows_here),
        (f"rows in {found.there}", found.rows_there),
        ("equal", found.equal),
        (f"only in {found.here}", found.only_here),
        (f"only in {found.there}", found.only_there),
    ]
    if found.key:
        rows += [("changed", found.changed), ("moved in time", found.moved)]
    for environment, faults in found.key_faults.items():
        rows += [(f"without a key in {environment}", faults.null_rows)] if faults.null_rows else []
        rows += [(f"keys that stand twice in {environment}", faults.double_keys)] if faults.double_keys else []
    title = f"{found.target}, {found.here} against {found.there}, {by}{sampled}"
    print_table(title, ("What", "Count"), [(what, f"{count:,}") for what, count in rows])
    if found.schema:
        print_table(
            "Columns",
            ("Column", found.here, found.there),
            [(item.name, item.here, item.there) for item in found.schema],
        )
    if found.columns:
        print_table(
            "Changed values",
            ("Column", "Rows", "Share"),
            [(c.name, f"{c.count:,}", f"{c.share:.2%}") for c in found.columns],
        )
    if found.examples:
        print_table(
            "Examples",
            ("Kind", "Key", "Column", found.here, found.there),
            [_example(item, is_shown=is_shown) for item in found.examples],
        )
    if found.is_empty:
        out.print("They are the same.", highlight=False)


def _example(item: Example, *, is_shown: bool) -> tuple[str, str, str | None, str | None, str | None]:
    key = ", ".join(str(part) for part in item.key) if is_shown else f"key {_digest(item.key)}"
    return item.kind.replace("_", " "), key, item.column, _masked(item.here, is_shown), _masked(item.there, is_shown)


def _digest(key: tuple[Any, ...]) -> str:
    """Return what stands for a masked key, the same in every run."""
    return hashlib.sha256(repr([str(part) for part in key]).encode()).hexdigest()[:8]


def _masked(value: str | None, is_shown: bool) -> str | None:
    if value is None or is_shown:
        return value
    return f"({len(value)} characters)"


def diff_document(found: TableDiff, *, is_shown: bool) -> dict[str, Any]:
    """Return a comparison for a JSON document; without is_shown values are masked."""
    examples = [_example(item, is_shown=is_shown) for item in found.examples]
    return {
        "target": found.target,
        "here": found.here,
        "there": found.there,
        "key": list(found.key),
        "is_same": found.is_empty,
        "rows": {found.here: found.rows_here, found.there: found.rows_there},
        "equal": found.equal,
        "changed": found.changed,
        "moved": found.moved,
        "only_here": found.only_here,
        "only_there": found.only_there,
        "columns": [{"column": c.name, "rows": c.count, "share": c.share} for c in found.columns],
        "schema": [{"column": item.name, "here": item.here, "there": item.there} for item in found.schema],
        "key_faults": {
            environment: {"null_rows": faults.null_rows, "double_keys": faults.double_keys}
            for environment, faults in found.key_faults.items()
        },
        "examples": [dict(zip(("kind", "key", "column", "here", "there"), item, strict=True)) for item in examples],
        "sample": {"share": found.sampled, "error": found.error},
    }
