"""Load a sample of what was proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.context import Context
from flows.environments.build import load
from flows.environments.inputs import inputs_of, rows_of, rows_reading
from flows.environments.place import open_place, refusal
from flows.environments.project_copy import copied
from flows.environments.samples import Cut, copy_samples
from flows.onboard.model import Proposal
from metadata_sync.control.bundle import read_project
from metadata_sync.loads import RowCounts
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial load showed.

    Attributes:
        target: The target.
        row_count: Rows that it read.
        rejected_count: Rows that it rejected.
        seconds: How long it took.
        error: Why it failed; None: it did not.
    """

    target: str
    row_count: int
    rejected_count: int
    seconds: float
    error: str | None


def why_not(context: Context, proposals: Sequence[Proposal], rows: ControlRows) -> str | None:
    """Return why proposals cannot be tried; None when they can."""
    targets = {str(row.name) for row in rows.transformations}
    for name in sorted({name for proposal in proposals for name in _reads(proposal)}):
        if rows.source(TableName.parse(name)) is None:
            is_target = name in targets
            return f"{name} is {'a target, whose loads are not repeated' if is_target else 'a table without a row'}"
    refused = refusal(context)
    return None if refused is None else f"a trial needs schemas of its own. {refused}"


def try_out(context: Context, proposals: Sequence[Proposal]) -> tuple[Tried, ...]:
    """Load the targets of proposals from a sample of each source, into tables that are thrown away.

    On DuckDB they are in a file of their own, on a server in schemas of their own.

    Args:
        context: The project, with the proposed files written.
        proposals: What was proposed.

    Raises:
        SluiceError: When the rows are refused, or the run cannot start.
    """
    declared = read_project(context.project, context.settings.environment).rows
    built = {proposal.target for proposal in proposals}
    inputs = inputs_of(declared, built, context.profile)
    sources = [item.source for item in inputs.values()]
    files = sources if context.profile.is_embedded else []
    with (
        open_place(context, "trial") as place,
        copied(context, place.folder / "trial", place.name, files) as trial,
    ):
        read, _ = copy_samples(context, trial, inputs, place.prefix, Cut(is_newest=False))
        summary = load(trial, rows_reading(rows_of(declared, built), read))
    counts = [(outcome, outcome.rows or RowCounts()) for outcome in summary.outcomes]
    return tuple(
        Tried(outcome.target, count.read, count.rejected, outcome.seconds or 0.0, outcome.error)
        for outcome, count in counts
    )


def _reads(proposal: Proposal) -> list[str]:
    source = proposal.offer.source
    return [str(source.name)] if source is not None else [read.table for read in proposal.offer.reads]
