"""`sluice onboard`: propose control rows for tables, files and SELECTs, and write what a person agrees to."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import yaml

from flows.cli.output.console import print_json, progress, say
from flows.cli.output.onboarding import Onboarded, document, show, tell, text_of
from flows.context import load_context
from metadata_sync.errors import ConfigurationError, HardRunError, MetadataError, RequestError, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.context import Context
    from flows.onboard.files import PlannedFile
    from flows.onboard.model import Choice, Proposal
    from flows.onboard.trial.trial import Tried
    from metadata_sync.control.bundle import Bundle
    from metadata_sync.rows.model import ControlRows

DEFAULT_PIPELINE: Final = "onboarded"
_MOST_REJECTED: Final = 0.5
"""Share of a sample's rows from which on a proposal is wrong, not its rows."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("onboard")(onboard)


def onboard(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="Folders or files of Parquet, CSV or JSON, schema.table, or .sql files with a SELECT.",
        ),
    ],
    *,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", help="Pipeline of the targets; the only one there is, or a new one.")
    ] = None,
    schema: Annotated[str, typer.Option("--schema", help="Schema of the targets.")] = "dwh",
    source_schema: Annotated[str, typer.Option("--source-schema", help="Schema of new lake sources.")] = "lake",
    yes_above: Annotated[
        float | None,
        typer.Option(
            "--yes-above", min=0, max=1, help="Take targets whose least confidence is this; leave the others."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take every proposal as it is.")] = False,
    no_trial: Annotated[bool, typer.Option("--no-trial", help="Do not load a sample before the files stay.")] = False,
    with_tests: Annotated[
        bool, typer.Option("--with-tests", help="Also freeze a few rows of each target into a test file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Propose control rows from data: sources, keys, load type, windows, each with its evidence and a confidence.

    Keys are unique, never NULL and the same on a second landing; an incremental key never goes back from one landing to
    the next. On a terminal you are asked for what data cannot tell. Before the rows stay they are checked as `sluice
    validate` does, and a few files are loaded beside the project. `sluice control apply` and `sluice run` follow.

    Examples:
        sluice onboard lake/orders --with-tests

        sluice onboard lake/ --yes-above 0.9

        sluice onboard raw.customers order_daily.sql --pipeline shop
    """
    from flows.onboard import offers
    from flows.onboard.facts import facts_of
    from flows.onboard.model import Refused
    from flows.onboard.propose import propose
    from metadata_sync.control.bundle import read_project
    from metadata_sync.rows.names import TableName

    context = load_context()
    bundle = read_project(context.project, context.settings.environment)
    rows = bundle.rows
    named, refused = offers.resolve(context, rows, what, source_schema, schema)
    proposals: list[Proposal] = []
    with progress("Reading", is_quiet=as_json), offers.asked(context, named, rows) as offer_of:
        for item in named:
            try:
                offer, columns = offer_of(item)
                target = offer.name if offer.source is None else TableName(schema, offer.name.table)
                proposals.append(propose(offer, target, facts_of(offer, columns)))
            except (RequestError, HardRunError) as error:
                refused.append(Refused(item.shown, error))
    if not proposals:
        raise refused[0].error
    pipeline_id = pipeline or _only_pipeline(rows)
    if not as_json:
        show(proposals)
    taken, left = _decide(proposals, yes=yes, yes_above=yes_above, may_ask=not as_json)
    planned, tried = _written(context, taken, pipeline_id, bundle, may_try=not no_trial, is_quiet=as_json)
    files = [str(file.path.relative_to(context.project.root)) for file in planned]
    if with_tests:
        files += _tests(context, taken, is_quiet=as_json)
    done = Onboarded(taken, left, files, tried)
    if as_json:
        print_json("onboard", document(proposals, done, context.usd_per_hour))
    else:
        tell(done, context.usd_per_hour)
    for other in refused:
        say(f"Left out: {other.error}")
    if not taken:
        raise typer.Exit(2)


def _only_pipeline(rows: ControlRows) -> str:
    return rows.pipelines[0].pipeline_id if len(rows.pipelines) == 1 else DEFAULT_PIPELINE


def _decide(
    proposals: Sequence[Proposal], *, yes: bool, yes_above: float | None, may_ask: bool
) -> tuple[list[Proposal], list[Proposal]]:
    """Return the proposals that are taken, and those that are left."""
    if yes:
        return list(proposals), []
    if yes_above is not None:
        taken = [proposal for proposal in proposals if proposal.confidence >= yes_above]
        return taken, [proposal for proposal in proposals if proposal not in taken]
    if not may_ask or not sys.stdin.isatty():
        say("Nothing was written: no terminal to ask on. Pass --yes, or --yes-above 0.9.")
        return [], list(proposals)
    asked = [_ask(proposal) for proposal in proposals]
    taken = [proposal for proposal in asked if proposal is not None]
    return taken, [proposal for proposal, answer in zip(proposals, asked, strict=True) if answer is None]


def _ask(proposal: Proposal) -> Proposal | None:
    """Ask for what is not certain; None when the person wants nothing of it."""
    from flows.onboard.model import CERTAIN, FORMAT_OPTIONS

    choices = []
    for choice in proposal.choices:
        if choice.confidence >= CERTAIN or choice.setting in {"dependencies", FORMAT_OPTIONS}:
            choices.append(choice)
            continue
        others = f" (also: {'; '.join(text_of(other) for other in choice.others[:4])})" if choice.others else ""
        say(f"{proposal.target}, {choice.setting}: {choice.evidence}{others}")
        answer = typer.prompt(f"  {choice.setting}", default=text_of(choice.value), err=True)
        choices.append(_answered(choice, str(answer)))
    decided = replace(proposal, choices=tuple(choices))
    return decided if typer.confirm(f"Write {proposal.target}?", default=True, err=True) else None


def _answered(choice: Choice, answer: str) -> Choice:
    from flows.onboard.model import Choice

    if answer == text_of(choice.value):
        return choice
    try:
        value: Any = yaml.safe_load(answer)
    except yaml.YAMLError as error:
        raise RequestError(f"{answer!r} is no value for {choice.setting}.", "Write a word, or [a, list].") from error
    if choice.setting in {"business_key", "sequence_by"} and isinstance(value, str):
        value = [value]
    return Choice(choice.setting, value, 1.0, "answered")


def _written(
    context: Context,
    taken: list[Proposal],
    pipeline_id: str,
    bundle: Bundle,
    *,
    may_try: bool,
    is_quiet: bool,
) -> tuple[Sequence[PlannedFile], Sequence[Tried]]:
    """Write and check proposals; those that have faults are taken out of the list, while others have none."""
    from flows.onboard import files

    while taken:
        planned = files.plan(context, taken, pipeline_id, bundle)
        files.write(planned)
        try:
            return planned, _check(context, taken, may_try=may_try, is_quiet=is_quiet)
        except (MetadataError, HardRunError) as error:
            files.remove(planned)
            faulty = [proposal for proposal in taken if _is_at_fault(proposal, error)]
            if not faulty or len(faulty) == len(taken):
                say("The rows were taken back: they, or rows that were there before, have faults.")
                raise
            for proposal in faulty:
                reason = error.message if isinstance(error, HardRunError) else "its rows have faults."
                say(f"Left out: {proposal.target}: {reason} Onboard {proposal.offer.shown} by itself.")
                taken.remove(proposal)
        except BaseException:
            files.remove(planned)
            say("The rows were taken back.")
            raise
    return (), ()


def _tests(context: Context, taken: Sequence[Proposal], *, is_quiet: bool) -> list[str]:
    """Write a test file for each target that can be tested; say why others cannot."""
    from flows.unit_tests.create import create_test
    from metadata_sync.control.bundle import read_project

    rows = read_project(context.project, context.settings.environment).rows
    paths = []
    for proposal in taken:
        row = rows.transformation(proposal.target)
        assert row is not None, "its row was written"
        with progress(f"Freezing rows of {proposal.target}…", is_quiet=is_quiet):
            try:
                paths.append(create_test(context, rows, row).path)
            except (ConfigurationError, RunError) as error:
                say(f"No test of {proposal.target}: {error.message}")
    return paths


def _is_at_fault(proposal: Proposal, error: MetadataError | HardRunError) -> bool:
    source = proposal.offer.source
    names = {str(proposal.target), *([] if source is None else [str(source.name)])}
    if isinstance(error, MetadataError):
        return any(fault.key in names for fault in error.faults)
    return error.subject in names


def _check(context: Context, taken: Sequence[Proposal], *, may_try: bool, is_quiet: bool) -> Sequence[Tried]:
    """Check the rows as `control apply` does, and load a sample."""
    from flows.onboard.trial.trial import try_out, why_not
    from metadata_sync.control.apply import plan_files

    rows = plan_files(context.change_context, (), prune=False).outcome
    reason = why_not(context, taken, rows) if may_try else "--no-trial"
    if reason is not None:
        say(f"Not tried: {reason}.")
        return ()
    with progress("Loading a sample", is_quiet=is_quiet):
        tried = try_out(context, taken)
    for item in tried:
        if item.error:
            message = f"A load of a sample failed for {item.target}: {item.error}"
            hint = "Correct the proposal: answer on a terminal, or write the row by hand."
            raise HardRunError(message, hint, item.target)
        if item.rejected_count > _MOST_REJECTED * item.row_count:
            counted = f"{item.rejected_count:,} of {item.row_count:,} rows"
            message = f"A load of a sample rejected {counted} of {item.target}: the files are written in another way."
            hint = "Declare the source with format_options (delimiter, header, quote, …), then onboard it by its name."
            raise HardRunError(message, hint, item.target)
    return tried
