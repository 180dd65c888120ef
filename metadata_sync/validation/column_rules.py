"""What a column list may hold: types that the warehouse knows, and known data tests with plain arguments."""

from __future__ import annotations

from collections.abc import Iterator

from metadata_sync.analysis.data_tests import TestScope, data_test_problems
from metadata_sync.errors import Fault
from metadata_sync.problems import Problem
from metadata_sync.rows.model import Column
from metadata_sync.rows.parsing import shown
from metadata_sync.sql.expressions import is_type


def column_faults(scope: TestScope) -> Iterator[Fault]:
    """Find what is wrong with the types and data tests of a row's column list.

    Args:
        scope: The row, and what its data tests may refer to.
    """
    row = scope.row
    for column in row.column_list:
        for problem in _problems(column, scope):
            value = shown(problem.value)
            yield Fault(row.control_table, row.key, "column_list", value, problem.rule, problem.message, problem.remedy)


def _problems(column: Column, scope: TestScope) -> Iterator[Problem]:
    if not is_type(column.type, scope.dialect):
        message = f"The type of {column.name} is not one of {scope.dialect}'s."
        yield Problem("column_type", message, "Write a type as CREATE TABLE takes it, e.g. varchar(10).", column.type)
    yield from data_test_problems(column, scope)
