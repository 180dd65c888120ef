"""What can be wrong with rows by themselves, without looking into a SELECT or a warehouse. One rule, one function.

To add a rule, write a function that yields faults over a `Subject` and add it to the tuple at the end of its module.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from metadata_sync.errors import Fault
from metadata_sync.problems import Problem
from metadata_sync.project import Project
from metadata_sync.redact import holds_secret
from metadata_sync.rows.merge import RowId, all_rows
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, SourceRow, TransformationRow
from metadata_sync.validation.dependency_rules import DEPENDENCY_RULES, find_cycles
from metadata_sync.validation.lookup_rules import LOOKUP_RULES
from metadata_sync.validation.pipeline_rules import PIPELINE_RULES
from metadata_sync.validation.rule import Known, Rule, Subject
from metadata_sync.validation.source_rules import SOURCE_RULES
from metadata_sync.validation.transformation_rules import TRANSFORMATION_RULES

MAX_WHOLE: Final = 2**31 - 1
"""What an INTEGER column holds."""


_SQL_COLUMNS: Final = frozenset({"delete_when", "probe"})
"""Columns that hold SQL, in which `password = 'reset'` is a comparison."""


def row_faults(rows: ControlRows, project: Project) -> tuple[Fault, ...]:
    """Find what is wrong with the rows of an environment.

    Args:
        rows: All rows.
        project: Where their paths must lead.

    Returns:
        Every fault, in the order of tables and rows.
    """
    return tuple(_row_faults(rows, project))


def _row_faults(rows: ControlRows, project: Project) -> Iterator[Fault]:
    rules: dict[type[ControlRow], tuple[Rule[Any], ...]] = {
        SourceRow: (*SOURCE_RULES, *_COMMON_RULES),
        PipelineRow: (*PIPELINE_RULES, *_COMMON_RULES),
        TransformationRow: (*TRANSFORMATION_RULES, *DEPENDENCY_RULES, *LOOKUP_RULES, *_COMMON_RULES),
    }
    known = Known(rows)
    for row in all_rows(rows):
        subject: Subject[Any] = Subject(row, known, project)
        for rule in rules[type(row)]:
            yield from rule(subject)
    yield from _duplicates(rows)
    yield from _model_names(rows)
    yield from _cycles(rows)


def _secrets(subject: Subject[ControlRow]) -> Iterator[Fault]:
    for column, value in subject.row.model_dump(mode="json", by_alias=True).items():
        if column in subject.row.framework_columns or (column == "alert_channel" and "://" in str(value)):
            continue  # an address has a rule of its own
        if any(holds_secret(text, is_sql=column in _SQL_COLUMNS) for text in _texts(value)):
            remedy = "Take it out, and change that password: whoever reads the rows has seen it."
            yield subject.fault(column, None, Problem("secret", "Looks like a password or a key.", remedy))


def _ranges(subject: Subject[ControlRow]) -> Iterator[Fault]:
    for column, value in subject.row.model_dump(mode="python", by_alias=True).items():
        if isinstance(value, int) and column != "backfill_start" and abs(value) > MAX_WHOLE:
            problem = Problem("out_of_range", f"Is more than {MAX_WHOLE}.", "Use a smaller number.")
            yield subject.fault(column, value, problem)


_COMMON_RULES: Final[tuple[Rule[Any], ...]] = (_secrets, _ranges)


def _duplicates(rows: ControlRows) -> Iterator[Fault]:
    for row, count in Counter(RowId.of(row) for row in all_rows(rows)).items():
        if count > 1:
            remedy = "Keep one of them."
            yield Fault(row.table, row.key, None, None, "duplicate_row", "Two rows have this key.", remedy)


def _model_names(rows: ControlRows) -> Iterator[Fault]:
    """`a__b.c` and `a.b__c` are two tables, but dbt would know both as `a__b__c`."""
    by_model: dict[str, list[TransformationRow]] = defaultdict(list)
    for row in rows.transformations:
        by_model[row.name.model_name].append(row)
    for model, same in by_model.items():
        for row in same[1:]:
            if row.name != same[0].name:
                yield Fault(
                    table=row.control_table,
                    key=row.key,
                    column="target_table",
                    value=row.target_table,
                    rule="duplicate_model",
                    message=f"Its dbt model would be called {model}, like that of {same[0].key}.",
                    remedy="Rename one of the targets.",
                )


def _cycles(rows: ControlRows) -> Iterator[Fault]:
    edges = {row.key: [dependency.table for dependency in row.dependencies] for row in rows.transformations}
    for cycle in find_cycles(edges):
        yield Fault(
            table=TransformationRow.control_table,
            key=cycle[0],
            column="dependencies",
            value=None,
            rule="cycle",
            message=f"It reads itself: {' → '.join(cycle)}.",
            remedy="Break the circle: drop one of these dependencies.",
        )


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
