"""What a column list may say: types that the warehouse knows, dbt tests without Jinja."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from metadata_sync.errors import Fault
from metadata_sync.problems import Problem
from metadata_sync.rows.model import Column, TransformationRow
from metadata_sync.sql.expressions import is_type

_TEST_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_RENDERED: Final = re.compile(r"\s*(env_var|var|doc|ref|source)\s*\(.*\)\s*", re.DOTALL)
"""Texts that dbt renders as Jinja in a test's arguments, although no braces are around them."""


def column_faults(row: TransformationRow, dialect: str) -> Iterator[Fault]:
    """Find what is wrong with the types and tests of a row's column list.

    Args:
        row: The transformation.
        dialect: The warehouse's SQL, as sqlglot names it.
    """
    for column in row.column_list:
        for problem in _problems(column, dialect):
            yield Fault(
                row.control_table, row.key, "column_list", problem.value, problem.rule, problem.message, problem.remedy
            )


def _problems(column: Column, dialect: str) -> Iterator[Problem]:
    if not is_type(column.type, dialect):
        message = f"The type of {column.name} is not one of {dialect}'s."
        yield Problem("column_type", message, "Write a type as CREATE TABLE takes it, e.g. varchar(10).", column.type)
    for test in column.tests:
        named = [test] if isinstance(test, str) else list(test)
        if len(named) != 1 or not _TEST_NAME.fullmatch(named[0]):
            message = f"A test of {column.name} is not the name of one dbt test."
            remedy = "Write not_null, or a mapping of one name to its arguments."
            yield Problem("column_test", message, remedy, ", ".join(named))
        elif any(_RENDERED.fullmatch(text) for text in _texts(test)):
            message = f"A test of {column.name} holds an expression that dbt would evaluate."
            remedy = "Write plain values; relationships take `to: schema.table`."
            yield Problem("column_test", message, remedy, named[0])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
