"""The settlement of a part of a run: everything that it writes to the control database in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metadata_sync.database.journals.entries import LoadEntry
from metadata_sync.incident import Alert, Incident
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.names import TableName


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of one row by the framework, computed from the current row inside the transaction.

    Attributes:
        target: The row.
        amend: Returns the changed row, or the row itself.
        reason: Why, for the audit.
    """

    target: TableName
    amend: Callable[[TransformationRow], TransformationRow]
    reason: str


Judge = Callable[[Sequence[Incident]], tuple[Sequence[Incident], Sequence[Alert]]]
"""Receives the open and recent incidents, and returns the changed incidents and the alerts to send."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """Loads with their consequences.

    Attributes:
        loads: Summaries of loads.
        amendments: Changes of rows by the framework.
        judge: Updates incidents; called inside the transaction, so that two runs do not open the same incident twice.
    """

    loads: Sequence[LoadEntry] = ()
    amendments: Sequence[Amendment] = ()
    judge: Judge = lambda _: ((), ())
