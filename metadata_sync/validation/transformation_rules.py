"""What can be wrong with the names, keys, columns and paths of a transformation row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from metadata_sync.errors import Fault
from metadata_sync.problems import Problem, did_you_mean
from metadata_sync.resolve import RESERVED_PREFIX, VERSION_COLUMNS
from metadata_sync.rows import Column, TransformationRow
from metadata_sync.validation.rule import Rule, Subject, bad_names, repeated
from metadata_sync.validation.source_rules import path_problem
from metadata_sync.words import Engine, LoadType

SLUICE_SCHEMA: Final = "sluice"

_COLUMN_LISTS: Final = ("business_key", "sequence_by", "recompute_key", "scd_columns")


def _names(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    yield from bad_names(subject, "target_schema", [row.target_schema])
    yield from bad_names(subject, "target_table", [row.target_table])
    yield from bad_names(subject, "incremental_key", [row.incremental_key])
    for column in _COLUMN_LISTS:
        yield from bad_names(subject, column, getattr(row, column))
    yield from bad_names(subject, "column_list", (column.name for column in row.column_list))


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
            if name.startswith(RESERVED_PREFIX) or name in added:
                problem = Problem("reserved_column", "Sluice adds this column itself.", "Give yours another name.")
                yield subject.fault(column, name, problem)


def _output_path(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    path = subject.row.output_path
    problem = None if path is None else path_problem(path, subject.project)
    if problem is not None:
        yield subject.fault("output_path", path, problem)


def _spark_output(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    pipeline = subject.known.pipelines.get(subject.row.pipeline_id)
    if pipeline is not None and pipeline.engine is Engine.SPARK and subject.row.output_path is None:
        message = f"Pipeline {pipeline.pipeline_id} runs on Spark, which needs a place for its result."
        problem = Problem("missing_value", message, "Give output_path an s3:// address.")
        yield subject.fault("output_path", None, problem)


TRANSFORMATION_RULES: Final[tuple[Rule[TransformationRow], ...]] = (
    _names,
    _repetitions,
    _own_schema,
    _pipeline,
    _business_key,
    _scd_columns,
    _delete_when,
    _reserved_columns,
    _output_path,
    _spark_output,
)
