"""Load a sample of what was proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.context import Context
from flows.onboard.model import Proposal
from flows.onboard.trial import tables
from flows.onboard.trial.project_copy import copied, rows_of
from metadata_sync.control.export import export_document
from metadata_sync.loads import RowCounts
from metadata_sync.rows.merge import ControlState
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName

if TYPE_CHECKING:
    from flows.run.model import RunSummary


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
    refused = None if context.profile.is_embedded else tables.refusal(context)
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
    declared = rows_of(context, proposals)
    with (
        copied(context, declared, tables.environment(context)) as trial,
        tables.sampled(context, trial, declared) as rows,
    ):
        summary = _run(trial, rows)
    counts = [(outcome, outcome.rows or RowCounts()) for outcome in summary.outcomes]
    return tuple(
        Tried(outcome.target, count.read, count.rejected, outcome.seconds or 0.0, outcome.error)
        for outcome, count in counts
    )


def _reads(proposal: Proposal) -> list[str]:
    source = proposal.offer.source
    return [str(source.name)] if source is not None else [read.table for read in proposal.offer.reads]


def _run(trial: Context, rows: ControlRows) -> RunSummary:
    from flows.engine.engine import execute, prepare
    from flows.run.model import RunRequest
    from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files

    document = export_document(ControlState(rows, ControlRows()))
    (trial.project.control_dir / "trial.yml").write_text(document, encoding="utf-8")
    change = ChangeContext(trial.project, trial.store, trial.columns, trial.who)
    apply_plan(change, plan_files(change))
    request = RunRequest(requested_by=trial.who)
    return execute(trial, prepare(trial, request))
