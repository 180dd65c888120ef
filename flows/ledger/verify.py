"""Compare a target with its ledger and its load log.

found = verify(context, "dwh.dim_aircraft")  # reads everything, writes nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.context import Context
from flows.engine.definitions import find_target, read_head, recount
from flows.gate.definitions import definition_changes
from flows.gate.facts import DefinitionChange
from flows.ledger.tasks import ask


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a target and its ledger: its kind, the row, and details."""

    difference: str
    row: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying a target found.

    Attributes:
        target: `schema.table`.
        row_count: Rows of the table.
        older_count: Events that an older SELECT than today's derived.
        event_count: Events of the ledger: the table's rows and the side table's.
        counts: Kind of difference → number of differences.
        differences: The first hundred.
        definition_change: Its rows that an older SELECT derived; None: there are none, or they were accepted.
    """

    target: str
    row_count: int
    event_count: int
    older_count: int
    counts: Mapping[str, int]
    differences: tuple[Difference, ...]
    definition_change: DefinitionChange | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the target matches its ledger."""
        return not self.counts


def verify(context: Context, target: str) -> Verification:
    """Compare a target with its ledger and its load log, by SQL in the warehouse.

    Args:
        context: Project, settings, control database.
        target: `schema.table`.

    Raises:
        ConfigurationError: When no row declares the target.
        HardRunError: When there is nothing to compare with: never loaded, table gone, settings changed.
        SoftRunError: When another load committed during the comparison.
    """
    found = ask(context, target, "verify")
    differences = tuple(Difference(**item) for item in found["differences"])
    event_count, older_count = found["event_count"], found["older_count"]
    rows = context.store.usable_rows()
    row = find_target(rows, target)
    head = read_head(context, row)
    recount(context, rows, row, head.definition or "", event_count=event_count, older_count=older_count)
    changes = definition_changes(context, rows, [row], {target: head}, is_in_step=False)
    return Verification(
        target, found["row_count"], event_count, older_count, found["counts"], differences, changes.get(target)
    )
