"""What targets read that is not loaded with them, and their rows as they read it in a place. Pure.

A target that is read where another environment has it becomes a source there: a source's `external_schema` says in
which schema of the warehouse its table is, so no SELECT is rewritten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metadata_sync.rows.model import ControlRows, Dependency, PipelineRow, SourceRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import LOADED_AT, is_view, resolve_dependencies
from metadata_sync.rows.vocabulary import Engine, SourceKind

if TYPE_CHECKING:
    from flows.warehouse.profile import Profile


@dataclass(frozen=True, slots=True)
class Input:
    """A table that targets read and that is not loaded with them.

    Attributes:
        name: As SELECTs name it.
        place: Where the warehouse has it.
        source: Its row; of another environment's target one that is made.
        key: The column that says when its rows came; None: none does.
        is_target: Whether it is another environment's target.
        is_driving: Whether somebody reads its news, and not only all of it.
    """

    name: TableName
    place: TableName
    source: SourceRow
    key: str | None
    is_target: bool
    is_driving: bool

    @property
    def is_of_files(self) -> bool:
        """Whether it is files of the lake."""
        return self.source.location is not None


def inputs_of(rows: ControlRows, built: Collection[TableName], profile: Profile) -> dict[TableName, Input]:
    """Return what targets read that is not built with them.

    Args:
        rows: All rows.
        built: The targets.
        profile: The environment that has the rest.
    """
    found: dict[TableName, Input] = {}
    for row in rows.transformations:
        if row.name in built:
            for item in _inputs(row, rows, built, profile):
                known = found.get(item.name)
                found[item.name] = item if known is None else _both(known, item)
    return found


def _both(one: Input, other: Input) -> Input:
    """Return an input as two targets read it."""
    driving = other if other.is_driving and not one.is_driving else one
    return replace(driving, is_driving=one.is_driving or other.is_driving)


def _inputs(
    row: TransformationRow, rows: ControlRows, built: Collection[TableName], profile: Profile
) -> Iterator[Input]:
    for item in resolve_dependencies(row, rows):
        if item.name in built:
            continue
        source, upstream = rows.source(item.name), rows.transformation(item.name)
        if upstream is not None:
            place = TableName(profile.physical_schema(item.name.schema), item.name.table)
            key = None if is_view(upstream, rows) else LOADED_AT
            outside = None if place.schema == item.name.schema else place.schema
            made = _source(item.name, outside, key)
            yield Input(item.name, place, made, key, is_target=True, is_driving=item.is_driving)
        elif source is not None:
            place = TableName(source.external_schema or source.source_schema, source.source_table)
            yield Input(item.name, place, source, item.incremental_key, is_target=False, is_driving=item.is_driving)


def _source(name: TableName, outside: str | None, key: str | None) -> SourceRow:
    values = {"schema": name.schema, "table": name.table, "kind": SourceKind.WAREHOUSE}
    return SourceRow.model_validate({**values, "external_schema": outside, "incremental_key": key})


def rows_reading(rows: ControlRows, inputs: Mapping[TableName, Input]) -> ControlRows:
    """Return the rows of targets as they read inputs: without schedules, alerts, clusters and files that they write.

    Args:
        rows: The rows of the targets and of their pipelines.
        inputs: What they read that is not among them.
    """
    return ControlRows(
        sources=tuple(item.source for item in inputs.values()),
        pipelines=tuple(_quiet(row) for row in rows.pipelines),
        transformations=tuple(_reading(row, inputs) for row in rows.transformations),
    )


def _quiet(row: PipelineRow) -> PipelineRow:
    return row.model_copy(update={"schedule": None, "alert_channel": None, "engine": Engine.WAREHOUSE})


def _reading(row: TransformationRow, inputs: Mapping[TableName, Input]) -> TransformationRow:
    reads = tuple(_dependency(item, inputs.get(TableName.parse(item.table))) for item in row.dependencies)
    return row.model_copy(update={"dependencies": reads, "output_path": None})


def _dependency(item: Dependency, read: Input | None) -> Dependency:
    """Return a dependency on another environment's target as one on a source with the same key."""
    if read is None or not read.is_target or read.key is None:
        return item
    return item.model_copy(update={"incremental_key": read.key})


def rows_of(rows: ControlRows, built: Collection[TableName]) -> ControlRows:
    """Return the rows of some targets, and of their pipelines."""
    targets = tuple(row for row in rows.transformations if row.name in built)
    pipelines = {row.pipeline_id for row in targets}
    return ControlRows(
        pipelines=tuple(row for row in rows.pipelines if row.pipeline_id in pipelines), transformations=targets
    )
