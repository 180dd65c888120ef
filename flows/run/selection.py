"""Selects the transformations of a run, orders them by data flow, and finds those that never use Spark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from flows.gate.facts import EngineChoice
from flows.run.model import RunRequest
from metadata_sync.errors import HardRunError, RequestError
from metadata_sync.rows.model import ControlRows, PipelineRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import is_active
from metadata_sync.rows.vocabulary import Engine


def select_transformations(
    rows: ControlRows, request: RunRequest, stopped: Collection[TableName] = ()
) -> tuple[TransformationRow, ...]:
    """Return the transformations that a request selects, upstream before downstream.

    Named pipelines are selected even if they are switched off, so that the gate reports them. Without names, only
    active pipelines are selected.

    Args:
        rows: The environment's rows.
        request: The request.
        stopped: Targets that cannot run. What they read is ignored in the order, because it may contain a cycle.

    Raises:
        RequestError: When a pipeline or job group does not exist.
    """
    known = {pipeline.pipeline_id: pipeline for pipeline in rows.pipelines}
    unknown = [name for name in request.pipelines if name not in known]
    if unknown:
        raise unknown_pipelines(unknown, known)
    groups = {pipeline.job_group for pipeline in rows.pipelines}
    if request.job_group is not None and request.job_group not in groups:
        raise RequestError(
            f"There is no job group {request.job_group!r} in this environment.",
            f"It has: {', '.join(sorted(groups)) or 'none'}.",
        )
    wanted = {
        name
        for name, pipeline in known.items()
        if (name in request.pipelines if request.pipelines else pipeline.is_active)
        and request.job_group in (None, pipeline.job_group)
    }
    return order_by_data((row for row in rows.transformations if row.pipeline_id in wanted), stopped)


def unknown_pipelines(unknown: Iterable[str], known: Iterable[str]) -> RequestError:
    """Return the error for pipelines that no row declares; it names those that there are."""
    return RequestError(
        f"There is no pipeline {', '.join(map(repr, unknown))} in this environment.",
        f"It has: {', '.join(sorted(known)) or 'none yet (`sluice control apply` writes rows)'}.",
    )


def switched_off_since(then: ControlRows, now: ControlRows) -> frozenset[str]:
    """Return the targets that were active and are not any more, by their own switch or their pipeline's.

    Args:
        then: The rows that a run has read.
        now: The rows as they are.
    """
    active = {row.name for row in then.transformations if is_active(row, then)}
    return frozenset(str(row.name) for row in now.transformations if row.name in active and not is_active(row, now))


def order_by_data(
    transformations: Iterable[TransformationRow], stopped: Collection[TableName] = ()
) -> tuple[TransformationRow, ...]:
    """Order transformations so that each comes after those that it reads; ties by name.

    Args:
        transformations: In any order.
        stopped: Transformations whose own reads are ignored.

    Raises:
        HardRunError: When their reads form a cycle.
    """
    by_name = {row.name: row for row in sorted(transformations, key=lambda row: row.name)}
    upstreams = {name: () if name in stopped else reads for name, reads in read_targets(by_name).items()}
    try:
        ordered = tuple(TopologicalSorter(upstreams).static_order())
    except CycleError as error:
        circle = " → ".join(str(name) for name in error.args[1])
        raise HardRunError(f"Transformations read one another in a circle: {circle}.", "Break it.") from error
    return tuple(by_name[name] for name in ordered)


def read_targets(by_name: Mapping[TableName, TransformationRow]) -> dict[TableName, tuple[TableName, ...]]:
    """Return, for each transformation, the other given transformations that it reads."""
    names = {str(name): name for name in by_name}
    return {
        name: tuple(names[item.table] for item in row.dependencies if item.table in names)
        for name, row in by_name.items()
    }


def warehouse_choice(pipeline: PipelineRow, requested: Engine | None, cluster: str | None) -> EngineChoice | None:
    """Return the choice of the warehouse where neither request nor row considers Spark; else None.

    Args:
        pipeline: The pipeline of the target.
        requested: The engine of the request; None: not set.
        cluster: The cluster of the request; it implies Spark.
    """
    engine, why = requested_engine(pipeline, requested, cluster)
    if engine is Engine.WAREHOUSE:
        return EngineChoice(Engine.WAREHOUSE, why)
    if engine is Engine.AUTO and pipeline.spark_threshold_gb is None:
        return EngineChoice(Engine.WAREHOUSE, f"{why}, and sets no spark_threshold_gb")
    return None


def requested_engine(pipeline: PipelineRow, requested: Engine | None, cluster: str | None) -> tuple[Engine, str]:
    """Return the engine that the request or else the pipeline names, and a sentence that says which of them."""
    override = requested or (Engine.SPARK if cluster else None)
    if override is not None:
        return override, f"{override} was requested for this run"
    return pipeline.engine, f"its pipeline says engine: {pipeline.engine}"
