"""`sluice run`: decide, then load what is due."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.output.completion import complete_pipelines
from flows.cli.output.console import print_json, progress, say
from flows.cli.output.options import ClusterOption, EngineOption
from flows.context import Context, load_context

if TYPE_CHECKING:
    from flows.backfill.first_loads import ContinuedLoad
    from flows.run.model import RunObserver, RunPlan, RunRequest, RunSummary

Pipelines = Annotated[
    list[str] | None,
    typer.Argument(
        help="Pipelines; every active one by default.", show_default=False, autocompletion=complete_pipelines
    ),
]
JobGroup = Annotated[str | None, typer.Option("--job-group", help="Only pipelines of this job group.")]
_INTERRUPTED_EXIT_CODE = 130
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("run")(run)


def run(
    pipelines: Pipelines = None,
    *,
    job_group: JobGroup = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Give every selected target and its data tests to dbt, even when nothing is new."),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            min=0,
            metavar="SECONDS",
            help="When another run holds the same targets: wait up to this long for it, then skip them.",
        ),
    ] = 0,
    engine: EngineOption = None,
    cluster: ClusterOption = None,
    ignore_off: Annotated[
        bool, typer.Option("--ignore-off", help="Exit code 0 although rows are off that the framework switched off.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load every target whose sources have new data, and explain why the others were skipped.

    Rows and SELECTs that changed are synced first; with named pipelines, SELECTs of others may wait. A load reads only
    new data, also with --force. When nothing is due, nothing is started and the exit code is 0. When a Prefect server
    answers (`sluice up`, or PREFECT_API_URL), the run is shown in its UI. Exit code 1: something failed, is held until
    a person fixes it, or is still off because the framework switched it off after an earlier failure.

    Examples:
        sluice run

        sluice run flights_hourly routes_daily

        sluice run --job-group operations --json

        sluice run flights_hourly --force

        sluice run flights_hourly --wait 600

        sluice run flights_hourly --engine spark

        sluice run flights_hourly --cluster r5.4xlarge:8
    """
    from flows.run.model import RunRequest

    context = load_context()
    request = RunRequest(
        tuple(pipelines or ()),
        job_group,
        is_forced=force,
        requested_by=context.who,
        wait_seconds=wait,
        engine=engine,
        cluster=cluster,
    )
    ended = _with_first_loads(context, _run(context, request, is_quiet=as_json))
    _report(ended, as_json=as_json)
    unfinished = any(item.error for item in ended.continued or ())
    off = () if ignore_off else _switched_off(ended.plan)
    if off and not as_json:
        say(f"Off since a failure: {', '.join(off)}. `sluice status` says why and what next; --ignore-off ignores it.")
    if off or ended.failed or unfinished or any(summary.has_failed for summary in (ended.summary, *ended.reruns)):
        raise typer.Exit(1)


def _switched_off(plan: RunPlan) -> tuple[str, ...]:
    """Return the selected targets that the framework switched off before this run."""
    from metadata_sync.rows.vocabulary import DeactivatedBy

    off = (row for row in plan.selected if not row.is_active and row.deactivated_by is DeactivatedBy.FRAMEWORK)
    return tuple(str(row.name) for row in off)


@dataclass(frozen=True, slots=True)
class _Ended:
    """The run's result and its page in Prefect's UI.

    Attributes:
        plan: What was decided.
        summary: What the run did.
        url: Its page in Prefect's UI.
        warnings: What could not be reported to Prefect.
        reruns: Runs of the targets that other runs skipped because this run held them.
        failed: Restatements that rows asked for and that failed.
        continued: First loads that went on after the run; None: the rest of them is not loaded yet.
    """

    plan: RunPlan
    summary: RunSummary
    url: str | None = None
    warnings: tuple[str, ...] = ()
    reruns: tuple[RunSummary, ...] = ()
    failed: tuple[str, ...] = ()
    continued: tuple[ContinuedLoad, ...] | None = None


def _with_first_loads(context: Context, ended: _Ended) -> _Ended:
    """Load the chunks of first loads that are left, where the Prefect flow has not done it."""
    if ended.continued is not None or not ended.plan.first_loads:
        return ended
    from flows.backfill.first_loads import continue_first_loads

    try:
        return replace(ended, continued=continue_first_loads(context, ended.plan, ended.summary, say))
    except KeyboardInterrupt:
        say("Interrupted. The next run goes on with the chunks that are left.")
        raise typer.Exit(_INTERRUPTED_EXIT_CODE) from None


def _run(context: Context, request: RunRequest, *, is_quiet: bool) -> _Ended:
    from flows.engine.engine import execute, hold_warehouse, prepare, startup_failures_reported

    with startup_failures_reported(context, request), hold_warehouse(context, "sluice run", say):
        with progress("Looking at the sources…", is_quiet=is_quiet):
            plan = prepare(context, request, on_wait=say)
        if not plan.is_due:
            summary = execute(context, plan)
            return _Ended(plan, summary, failed=_restate_changed(context, summary))
        from flows.server.local import running_api_url

        api_url = running_api_url(context)
        if api_url is not None:
            return _through_prefect(context, plan, api_url, is_quiet=is_quiet)
        if not is_quiet:
            say("No Prefect server answers (`sluice up` starts one): running without it.")
        from flows.engine.rerun import rerun_refused

        observer = None if is_quiet else _observer()
        summary = execute(context, plan, observer)
        failed = _restate_changed(context, summary)
        return _Ended(plan, summary, reruns=rerun_refused(context, plan, observer, say=say), failed=failed)


def _restate_changed(context: Context, summary: RunSummary) -> tuple[str, ...]:
    if not any(outcome.definition_change for outcome in summary.outcomes):
        return ()
    from flows.backfill.automatic import restate_changed

    return restate_changed(context, summary, say)


def _through_prefect(context: Context, plan: RunPlan, api_url: str, *, is_quiet: bool) -> _Ended:
    from flows.prefect.local_run import run_through_prefect

    observer = None if is_quiet else _observer()
    reported = run_through_prefect(context, plan.request, api_url, plan, observer)
    return _Ended(
        plan,
        reported.summary,
        reported.url,
        reported.warnings,
        failed=reported.failed,
        continued=reported.continued,
    )


def _observer() -> RunObserver:
    from flows.cli.output.progress import TerminalObserver

    return TerminalObserver()


def _report(ended: _Ended, *, as_json: bool) -> None:
    from flows.cli.output.tables import print_decisions, print_summary, summary_document
    from flows.run.model import OutcomeStatus

    if as_json:
        document = summary_document(ended.summary)
        reruns = [summary_document(summary) for summary in ended.reruns]
        print_json(
            "run",
            {
                "is_due": ended.plan.is_due,
                "ui": ended.url,
                "warnings": list(ended.warnings),
                **document,
                "made_up": reruns,
            },
        )
        return
    for warning in ended.warnings:
        say(warning)
    if ended.plan.is_due:
        for summary in (ended.summary, *ended.reruns):
            print_summary(summary)
    elif ended.plan.decisions:
        held = ended.summary.count(OutcomeStatus.HELD) + ended.summary.count(OutcomeStatus.FAILED)
        title = f"Nothing runs: {held} of {len(ended.plan.decisions)} targets held" if held else "Nothing is due"
        print_decisions(title, ended.plan.decisions)
    else:
        say("Nothing is due: there is no active pipeline. `sluice control list` shows the rows.")
    for orphan in ended.plan.orphans:
        say(f"! {orphan.target}: {orphan.message}.")
    if ended.url:
        say(f"In the Prefect UI: {ended.url}")
