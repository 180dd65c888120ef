"""`sluice backfill`: load a part of the past again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flows.cli.output.completion import complete_subjects, complete_targets
from flows.cli.output.console import err, is_confirmed, print_json, print_table, progress, say
from flows.cli.output.options import ClusterOption, EngineOption, FromOption, ToOption
from flows.cli.output.tables import cost_document, print_summary, summary_document
from flows.context import load_context
from flows.warehouse.bounds import parse_bound

if TYPE_CHECKING:
    from flows.backfill.backfill import BackfillPlan, BackfillSummary, ChunkLoaded
    from flows.backfill.model import BackfillRequest
    from metadata_sync.loads import Window
    from metadata_sync.rows.model import TransformationRow

WithReaders = Annotated[
    bool, typer.Option("--with-readers", help="Run the pipelines of the targets that read what was loaded, too.")
]

_USAGE_EXIT_CODE: Final = 2
_INTERRUPTED_EXIT_CODE: Final = 130


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("backfill")(backfill)
    app.command("restate")(restate)


def backfill(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="PIPELINE", help="A pipeline, or one target as schema.table.", autocompletion=complete_subjects
        ),
    ],
    *,
    start: Annotated[str, typer.Option("--from", help="Least incremental key: date, timestamp (UTC) or integer.")],
    end: Annotated[
        str | None,
        typer.Option("--to", help="Greatest key, inclusive; by default the current watermark.", show_default=False),
    ] = None,
    chunk: Annotated[
        str | None,
        typer.Option(
            "--chunk",
            help="Size of one load: 30min, 12h, 7d, 1w, or a number of integer keys; by row count when omitted.",
            show_default=False,
        ),
    ] = None,
    engine: EngineOption = None,
    cluster: ClusterOption = None,
    with_readers: WithReaders = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Load a part of the past again, chunk by chunk. Watermarks stay where they are.

    Reads the driving sources by their incremental keys, both bounds inclusive. Rows already in the target stay.
    Without --chunk a load reads about SLUICE_CHUNK_ROWS rows in the warehouse; on Spark, where each chunk needs a
    cluster, it reads everything. After an interruption or a failure the same command resumes with the chunks that are
    left. Exit code 1: a chunk or a data test failed. Exit code 2: nothing can be backfilled, or the command needs
    confirmation and there is no terminal.

    Examples:
        sluice backfill flights_hourly --from 2013-01-01 --to 2013-03-31

        sluice backfill dwh.dim_aircraft --from 2013-01-01 --chunk 7d --yes

        sluice backfill flights_hourly --from 2013-01-01 --cluster r5.4xlarge:8

        sluice backfill flights_hourly --from 2013-01-01 --json --yes
    """
    from flows.backfill.model import BackfillRequest

    request = BackfillRequest(subject, start, end, chunk, engine=engine, cluster=cluster)
    _load(request, with_readers=with_readers, yes=yes, as_json=as_json)


def restate(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="One target, as schema.table.", autocompletion=complete_targets)
    ],
    *,
    start: FromOption = None,
    end: ToOption = None,
    chunk: Annotated[
        str | None,
        typer.Option(
            "--chunk",
            help="Size of one load: 30min, 12h, 7d, 1w, or a number of integer keys; by rows when left out.",
            show_default=False,
        ),
    ] = None,
    fill: Annotated[
        list[str] | None,
        typer.Option(
            "--fill",
            metavar="COLUMN",
            help="Take only this column from today's SELECT, for the rows that are there; may be repeated.",
            show_default=False,
        ),
    ] = None,
    with_readers: WithReaders = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Derive the rows of a target again by today's SELECT, chunk by chunk, whatever their values.

    A newer derivation takes the place of an older one. Without --from and --to everything that was read is derived
    again, and then the rows that today's SELECT does not yield any more are removed; the history of an SCD2 target is
    computed anew. Rows that the source does not hold any more stay, and the plan says how many. With --fill the rows
    that are there take the named columns and keep all others; no row comes or goes. Readers of the target follow with
    their next run. Killed or failed, the same command goes on with the chunks that are left. Exit code 1: a chunk or a
    data test failed. Exit code 2: the target cannot be restated, or there is nobody to ask.

    Examples:
        sluice restate dwh.fact_order

        sluice restate dwh.fact_order --from 2026-01-01 --to 2026-01-31 --yes

        sluice restate dwh.fact_order --fill discount

        sluice restate dwh.dim_aircraft --chunk 7d --json --yes
    """
    from flows.backfill.model import BackfillRequest

    request = BackfillRequest(target, start, end, chunk, restates=True, fill=tuple(fill or ()))
    _load(request, with_readers=with_readers, yes=yes, as_json=as_json)


def _load(asked: BackfillRequest, *, with_readers: bool, yes: bool, as_json: bool) -> None:
    """Show what a backfill or a restatement would load, and load it."""
    from flows.backfill.backfill import plan_backfill, run_backfill
    from flows.backfill.readers import load_readers, readers_of

    context = load_context()
    request = replace(asked, requested_by=context.who)
    with progress("Looking at the sources…", is_quiet=as_json):
        plan = plan_backfill(context, request)
    readers = readers_of(plan)
    if not as_json:
        _print_plan(plan)
        _print_readers(readers, with_readers=with_readers)
    if not plan.targets or not is_confirmed("Load it?", yes=yes, as_json=as_json):
        if as_json:
            print_json("backfill", _document(plan, None))
        verb = "restated" if request.restates else "backfilled"
        say(f"No target can be {verb}." if not plan.targets else "Nothing was loaded. Pass --yes to load it.")
        raise typer.Exit(_USAGE_EXIT_CODE)
    try:
        with _progress_bars(plan, is_quiet=as_json) as on_chunk:
            summary = run_backfill(context, plan, on_chunk, say=(lambda _: None) if as_json else say)
    except KeyboardInterrupt:
        say("Interrupted. The same command resumes with the chunks that are left.")
        raise typer.Exit(_INTERRUPTED_EXIT_CODE) from None
    follow_up = None
    if with_readers and readers and not summary.has_failed:
        with progress("Loading the readers…", is_quiet=as_json):
            follow_up = load_readers(context, readers, (lambda _: None) if as_json else say)
    if as_json:
        document = summary_document(follow_up) if follow_up else None
        print_json(
            "backfill",
            {**_document(plan, summary), "readers": [str(row.name) for row in readers], "follow_up": document},
        )
    else:
        _print_summary(summary)
        if follow_up:
            print_summary(follow_up)
    if summary.has_failed or (follow_up is not None and follow_up.has_failed):
        raise typer.Exit(1)


def _print_readers(readers: Sequence[TransformationRow], *, with_readers: bool) -> None:
    if readers:
        names = ", ".join(f"{row.name} ({row.pipeline_id})" for row in readers)
        when = (
            "are loaded afterwards" if with_readers else "follow at their next run; --with-readers loads them at once"
        )
        say(f"Readers that {when}: {names}.")


def _print_plan(plan: BackfillPlan) -> None:
    rows: list[tuple[object, ...]] = [
        (
            item.target,
            "\n".join(dict.fromkeys(window.source for window in item.chunks)),
            _keys(item.chunks),
            len(item.chunks),
            item.done or None,
            item.row_count,
            item.minutes_left,
            item.choice and item.choice.engine,
            None,
        )
        for item in plan.targets
    ]
    rows += [(item.target, *[None] * 7, item.reason) for item in plan.left_out]
    kind = "Restatement" if plan.request.restates else "Backfill"
    title = f"{kind} {plan.backfill_id}" + (", resumed" if plan.is_resumed else "")
    columns = ("Target", "Source", "Keys", "Chunks", "Done", "Rows", "Minutes", "Engine", "Left out because")
    print_table(title, columns, rows)
    for note in plan.notes:
        say(note)


def _keys(chunks: Sequence[Window]) -> str:
    """Return the least and the greatest key; chunks may go from the newest to the oldest."""
    first, last = chunks[0], chunks[-1]
    if first.source == last.source and None not in (first.start, last.start):
        low, high = parse_bound(first.start or ""), parse_bound(last.start or "")
        if low.is_later_than(high):
            first, last = last, first
    return f"{first.start or 'the beginning'} → {last.end}"


@contextmanager
def _progress_bars(plan: BackfillPlan, *, is_quiet: bool) -> Iterator[Callable[[ChunkLoaded], None]]:
    """Show a bar per target on a terminal; otherwise print a line per chunk on stderr."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if is_quiet:
        yield lambda _: None
        return
    if not err.is_terminal:
        yield lambda step: say(_line(step))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[window]}"), console=err.console) as bars:
        tasks = {
            item.target: bars.add_task(item.target, total=len(item.chunks), completed=item.done, window="")
            for item in plan.targets
        }

        def on_chunk(step: ChunkLoaded) -> None:
            bars.update(tasks[step.target], completed=step.number - (step.error is not None), window=str(step.chunk))
            if step.error is not None:
                bars.print(_line(step), markup=False)

        yield on_chunk


def _line(step: ChunkLoaded) -> str:
    sign = "✗" if step.error is not None else "✓"
    return f"{sign} {step.target} {step.number}/{step.total} {step.chunk}: {step.error or step.rows}"


def _print_summary(summary: BackfillSummary) -> None:
    rows = [(item.target, f"{item.done}/{item.chunk_count}", item.rows, item.error) for item in summary.targets]
    seconds = (summary.finished_at - summary.started_at).total_seconds()
    title = f"Backfill {summary.backfill_id}: {'failed' if summary.has_failed else 'done'} in {seconds:.1f} s"
    print_table(title, ("Target", "Chunks", "Rows", "Error"), rows)
    if summary.cluster is not None:
        say(f"Spark took {summary.cluster}.")
    if summary.pruned is not None:
        say(f"Rows that the SELECT does not yield any more were removed: {summary.pruned}.")
    if summary.kept_count:
        say(
            f"{summary.kept_count:,} events keep what an older SELECT derived: they lie outside of the keys "
            "that were read, or the sources do not hold them any more."
        )
    if any(item.done < item.chunk_count for item in summary.targets):
        say("The same command resumes with the chunks that are left.")


def _document(plan: BackfillPlan, summary: BackfillSummary | None) -> dict[str, Any]:
    results = {item.target: item for item in summary.targets} if summary else {}
    return {
        "backfill_id": plan.backfill_id,
        "is_resumed": plan.is_resumed,
        "notes": plan.notes,
        "has_failed": summary.has_failed if summary else None,
        "pruned": asdict(summary.pruned) if summary and summary.pruned else None,
        "kept_count": summary.kept_count if summary else None,
        "targets": [
            {
                "target": item.target,
                "chunks": [asdict(chunk) for chunk in item.chunks],
                "done": results[item.target].done if summary else item.done,
                "source_rows": item.row_count,
                "minutes": item.minutes_left,
                "rows": asdict(results[item.target].rows) if summary else None,
                "engine": asdict(item.choice) if item.choice else None,
                "cluster": cost_document(results[item.target].cluster) if summary else None,
                "error": results[item.target].error if summary else None,
            }
            for item in plan.targets
        ],
        "left_out": [asdict(item) for item in plan.left_out],
    }
