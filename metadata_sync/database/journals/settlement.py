"""What one stretch of a run leaves in the control database, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metadata_sync.database.journals.entries import LoadEntry
from metadata_sync.incident import Alert, Incident
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.names import TableName


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change that the framework makes to one row, whatever became of the row since the run read it.

    Attributes:
        target: The row.
        amend: Returns the row as it shall be, or as it is.
        reason: For the audit.
    """

    target: TableName
    amend: Callable[[TransformationRow], TransformationRow]
    reason: str


Judge = Callable[[Sequence[Incident]], tuple[Sequence[Incident], Sequence[Alert]]]
"""Given the incidents that are open or were lately, returns those that change and the alerts that tell of it."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What happened, and what follows.

    Attributes:
        loads: Summaries of loads.
        amendments: Rows that the framework changes.
        judge: What becomes of incidents; asked within the transaction, so that two runs do not open one twice.
    """

    loads: Sequence[LoadEntry] = ()
    amendments: Sequence[Amendment] = ()
    judge: Judge = lambda _: ((), ())
