"""What can be wrong with the names, keys, columns and paths of a transformation row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from metadata_sync.errors import Fault
from metadata_sync.problems import Problem, did_you_mean
from metadata_sync.rows.model import Column, TransformationRow
from metadata_sync.rows.resolve import RESERVED_PREFIX, VERSION_COLUMNS, is_view
from metadata_sync.rows.vocabulary import Engine, Increment, LoadType
from metadata_sync.validation.rule import Rule, Subject, bad_columns, bad_names, repeated
from metadata_sync.validation.source_rules import data_path_problem

SLUICE_SCHEMA: Final = "sluice"

_COLUMN_LISTS: Final = ("business_key", "sequence_by", "recompute_key", "scd_columns", "sortkey")
_SPREADS: Final = ("all", "even")
"""Words that `distkey` may hold in the place of a column."""


def _names(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    yield from bad_names(subject, "target_schema", [row.target_schema])
    yield from bad_names(subject, "target_table", [row.target_table])
    yield from bad_columns(subject, "incremental_key", [row.incremental_key])
    yield from bad_columns(subject, "distkey", [row.distkey])
    for column in _COLUMN_LISTS:
        yield from bad_columns(subject, column, getattr(row, column))
    yield from bad_columns(subject, "column_list", (column.name for column in row.column_list))


def _repetitions(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    for column in _COLUMN_LISTS:
        yield from repeated(subject, column, getattr(subject.row, column))
    yield from repeated(subject, "column_list", (column.name for column in subject.row.column_list))


def _own_schema(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    if subject.row.target_schema == SLUICE_SCHEMA:
        problem = Problem("reserved_schema", "Sluice keeps its own tables there.", "Choose another schema.")
        yield subject.fault("target_schema", SLUICE_SCHEMA, problem)


def _pipeline(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    pipeline_id = subject.row.pipeline_id
    if pipeline_id not in subject.known.pipelines:
        remedy = did_you_mean(pipeline_id, subject.known.pipelines) or "Declare it under pipelines, or name another."
        problem = Problem("unknown_pipeline", "There is no such pipeline.", remedy)
        yield subject.fault("pipeline_id", pipeline_id, problem)


def _select(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    if row.copied and row.sql_path:
        problem = Problem("two_selects", "The row names a SELECT and a table to copy.", "Leave one of them out.")
        yield subject.fault("copy", row.copied, problem)
    elif row.copied in subject.known.targets:
        message = "It is a target, whose table also has columns that Sluice adds."
        problem = Problem("copy_of_target", message, "Write a SELECT that names the columns, or copy its source.")
        yield subject.fault("copy", row.copied, problem)


def _business_key(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    if row.load_type is not LoadType.APPEND and not row.business_key:
        remedy = "Name the columns that identify a row of the target, or use load_type: append."
        message = f"A target of load_type {row.load_type} needs a key."
        yield subject.fault("business_key", None, Problem("missing_business_key", message, remedy))


def _scd_columns(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    if row.scd_columns and row.load_type is not LoadType.SCD2:
        problem = Problem("not_for_load_type", "Only scd2 keeps versions.", "Leave it out, or use load_type: scd2.")
        yield subject.fault("scd_columns", ", ".join(row.scd_columns), problem)
        return
    for name in row.scd_columns:
        if name in row.business_key or name in row.sequence_by:
            message = "Is part of the key or of the sequence: a change in it is not a change of the row."
            problem = Problem("untrackable_column", message, "Take it out of scd_columns.")
            yield subject.fault("scd_columns", name, problem)


def _delete_when(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    if subject.row.delete_when is not None and subject.row.load_type is LoadType.APPEND:
        problem = Problem("not_for_load_type", "Append never deletes.", "Leave it out, or use load_type: scd1.")
        yield subject.fault("delete_when", subject.row.delete_when, problem)


def _reserved_columns(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    added = VERSION_COLUMNS if row.load_type is LoadType.SCD2 else ()
    for column in ("column_list", *_COLUMN_LISTS):
        names = [item.name if isinstance(item, Column) else item for item in getattr(row, column)]
        for name in names:
            if name.lower().startswith(RESERVED_PREFIX) or name.lower() in added:
                problem = Problem("reserved_column", "Sluice adds this column itself.", "Give yours another name.")
                yield subject.fault(column, name, problem)


def _output_path(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    path = subject.row.output_path
    problem = None if path is None else data_path_problem(path, subject.project, is_written=True)
    if problem is not None:
        yield subject.fault("output_path", path, problem)


def _spark_output(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    pipeline = subject.known.pipelines.get(subject.row.pipeline_id)
    if pipeline is not None and pipeline.engine is Engine.SPARK and subject.row.output_path is None:
        message = f"Pipeline {pipeline.pipeline_id} runs on Spark, which needs a place for its result."
        problem = Problem("missing_value", message, "Give output_path an s3:// address.")
        yield subject.fault("output_path", None, problem)


def _view(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """A materialized view is what its SELECT yields now, and nothing that a load could add to it."""
    row, rows = subject.row, subject.known.rows
    if not is_view(row, rows):
        if row.auto_refresh:
            message = "Only a materialized view refreshes itself."
            problem = Problem("not_for_template", message, "Leave it out, or use template: materialized_view.")
            yield subject.fault("auto_refresh", row.auto_refresh, problem)
        return
    if row.load_type is not LoadType.SCD1:
        problem = Problem("not_for_template", "A materialized view keeps no history.", "Use load_type: scd1.")
        yield subject.fault("load_type", row.load_type.value, problem)
    if row.increment is not Increment.FULL:
        problem = Problem("not_for_template", "A materialized view reads its sources whole.", "Use increment: full.")
        yield subject.fault("increment", row.increment.value, problem)
    for column in ("delete_when", "output_path"):
        if getattr(row, column) is not None:
            message = "A materialized view holds the rows of its SELECT, no other ones."
            yield subject.fault(column, getattr(row, column), Problem("not_for_template", message, "Leave it out."))


def _distkey(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    columns = {column.name for column in row.column_list}
    named = [("distkey", row.distkey)] if row.distkey not in (None, *_SPREADS) else []
    for column, name in [*named, *(("sortkey", name) for name in row.sortkey)]:
        if columns and name not in columns:
            remedy = did_you_mean(str(name), columns) or "Name one of the column list."
            problem = Problem("unknown_column", "The target has no such column of the SELECT.", remedy)
            yield subject.fault(column, name, problem)


TRANSFORMATION_RULES: Final[tuple[Rule[TransformationRow], ...]] = (
    _names,
    _repetitions,
    _own_schema,
    _pipeline,
    _select,
    _business_key,
    _scd_columns,
    _delete_when,
    _reserved_columns,
    _output_path,
    _spark_output,
    _view,
    _distkey,
)
