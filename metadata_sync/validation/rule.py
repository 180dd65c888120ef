"""A rule about rows: a generator of the faults of one row, given all other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from metadata_sync.errors import Fault
from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.names import column_name_problem, identifier_problem, is_column_name, is_identifier
from metadata_sync.rows.parsing import shown

Row = TypeVar("Row", bound=ControlRow)


class Known:
    """All rows of the environment, indexed by key: each of thousands of rows looks others up.

    Args:
        rows: The rows.
    """

    def __init__(self, rows: ControlRows) -> None:
        self.rows = rows
        self.sources: Mapping[str, SourceRow] = {row.key: row for row in rows.sources}
        self.pipelines: Mapping[str, PipelineRow] = {row.pipeline_id: row for row in rows.pipelines}
        self.targets: Mapping[str, TransformationRow] = {row.key: row for row in rows.transformations}


@dataclass(frozen=True, slots=True)
class Subject(Generic[Row]):
    """A row under examination.

    Attributes:
        row: The row.
        known: All rows of the environment.
        project: Where its paths lead.
    """

    row: Row
    known: Known
    project: Project

    def fault(self, column: str | None, value: object, problem: Problem) -> Fault:
        """Say what is wrong with a column of the row."""
        return Fault(
            table=self.row.control_table,
            key=self.row.key,
            column=column,
            value=shown(value),
            rule=problem.rule,
            message=problem.message,
            remedy=problem.remedy,
        )


Rule: TypeAlias = Callable[[Subject[Row]], Iterator[Fault]]


def bad_names(subject: Subject[Row], column: str, names: Iterable[str | None]) -> Iterator[Fault]:
    """Find names of schemas and tables that may not reach SQL."""
    for name in names:
        if name is not None and not is_identifier(name):
            yield subject.fault(column, name, Problem("bad_name", *identifier_problem(name)))


def bad_columns(subject: Subject[Row], column: str, names: Iterable[str | None]) -> Iterator[Fault]:
    """Find names of columns that may not reach SQL."""
    for name in names:
        if name is not None and not is_column_name(name):
            yield subject.fault(column, name, Problem("bad_name", *column_name_problem(name)))


def repeated(subject: Subject[Row], column: str, names: Iterable[str]) -> Iterator[Fault]:
    """Find names that a list holds more than once."""
    listed = list(names)
    folded = [name.lower() for name in listed]
    for name in dict.fromkeys(folded):
        if folded.count(name) > 1:
            first = next(item for item in listed if item.lower() == name)
            yield subject.fault(column, first, Problem("duplicate", "Is in the list twice.", "Keep one of them."))
