"""What rows and SELECTs that come from elsewhere would do: a promotion, a rollback, a proposal.

impact = impact_of_restoring(context, restoring)
data, notes = compare_reached(context, impact, "stage")  # reads both environments' tables
plan = plan_of_proposal(context, proposal)
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING, Final

from flows.diff.compare import compare
from flows.impact.plan import Impact, impact_of
from metadata_sync.analysis.kept_selects import as_if_written
from metadata_sync.control.approving import plan_approval
from metadata_sync.database.approval.model import ProposalStatus
from metadata_sync.errors import MetadataError, SluiceError
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.names import TableName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.context import Context
    from flows.diff.model import TableDiff
    from metadata_sync.control.restoring import Restoring, SelectFile
    from metadata_sync.database.approval.model import Proposal

MOST_TABLES: Final = 20
"""Tables whose data a promotion compares."""

MOST_ROWS: Final = 2_000_000
"""Rows that are compared of one table: of a larger one, the same sample of the keys on both sides."""


def impact_of_restoring(context: Context, restoring: Restoring) -> Impact | None:
    """Return what changes would do to rows that stand, and what they reach; None: there are none."""
    if restoring.is_empty:
        return None
    with as_if_written(restoring.texts, restoring.outcome, context.project) as project:
        return impact_of(context, restoring.outcome, project)


@dataclass(frozen=True, slots=True)
class ProposalPlan:
    """What a proposal would do now.

    Attributes:
        selects: How SELECTs change.
        impact: What all of it does; None: it changes no control row.
        problem: Why it cannot be applied now; None: it can.
    """

    selects: tuple[SelectFile, ...] = ()
    impact: Impact | None = None
    problem: str | None = None


def plan_of_proposal(context: Context, proposal: Proposal) -> ProposalPlan:
    """Return what a proposal would do; of one that is decided: nothing."""
    if proposal.status is not ProposalStatus.OPEN:
        return ProposalPlan()
    try:
        restoring = plan_approval(context.change_context, proposal)
        return ProposalPlan(restoring.selects, impact_of_restoring(context, restoring))
    except SluiceError as error:
        faults = error.faults if isinstance(error, MetadataError) else ()
        return ProposalPlan(problem="; ".join([error.message, *map(str, faults)]))


def compare_reached(context: Context, impact: Impact, source: str) -> tuple[tuple[TableDiff, ...], tuple[str, ...]]:
    """Compare the tables that changes concern and reach with those of the environment that the changes come from.

    Args:
        context: The environment that gets the changes.
        impact: What they do.
        source: The environment that they come from, where they ran.

    Returns:
        The comparisons, and a sentence for each table that could not be compared.
    """
    targets = [*dict.fromkeys(_reached(impact))]
    found, notes = [], []
    for target in targets[:MOST_TABLES]:
        try:
            found.append(compare(context, TableName.parse(target), source, most_rows=MOST_ROWS, example_count=0))
        except SluiceError as error:
            notes.append(f"The data of {target} were not compared: {error.message}")
    left = targets[MOST_TABLES:]
    if left:
        notes.append(f"The data of {len(left)} more targets were not compared: `sluice diff` does, one by one.")
    return tuple(found), tuple(notes)


def select_diff(item: SelectFile) -> list[str]:
    """Return how a SELECT changes, as the lines of a unified diff."""
    before = "" if item.before is None else item.before
    lines = unified_diff(
        before.splitlines(), item.after.splitlines(), f"a/{item.sql_path}", f"b/{item.sql_path}", lineterm="", n=2
    )
    return list(lines)


def _reached(impact: Impact) -> Iterator[str]:
    for effect in impact.effects:
        if effect.change.table == TransformationRow.control_table and effect.change.kind == "changed":
            yield effect.change.key
    for effect in impact.effects:
        yield from effect.rows
        yield from (column.rpartition(".")[0] for column in effect.columns)
