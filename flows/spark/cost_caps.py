"""What clusters may cost: per run and per month of a pipeline. A cluster beyond a cap is not created, or is ended."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from flows.gate.facts import Action, Decision, Reason
from metadata_sync.errors import HardRunError
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database import ControlStore
    from metadata_sync.rows.model import ControlRows, PipelineRow

_CENT: Final = 0.005


@dataclass(frozen=True, slots=True)
class Cap:
    """What is left of a cap.

    Attributes:
        setting: The row's column.
        limit: Its value, US dollars.
        spent: What was spent of it before.
    """

    setting: str
    limit: Decimal
    spent: float

    @property
    def left(self) -> float:
        """US dollars that may still be spent."""
        return float(self.limit) - self.spent

    def __str__(self) -> str:
        before = f", of which ${self.spent:.2f} is spent" if self.spent > _CENT else ""
        return f"{self.setting} = {self.limit}{before}"


def tightest_cap(
    store: ControlStore, rows: ControlRows, pipelines: Collection[PipelineRow], now: datetime, run_id: str | None
) -> Cap | None:
    """Return the cap of which the least is left, of all pipelines that share a cluster; None: none sets one.

    Args:
        store: Its journal says what clusters cost.
        rows: The environment's rows.
        pipelines: The pipelines of a job group.
        now: UTC; its month counts.
        run_id: The run; None: it has not begun.
    """
    found = [cap for pipeline in pipelines for cap in _caps(store, rows, pipeline, now, run_id)]
    return min(found, key=lambda cap: cap.left, default=None)


def _caps(
    store: ControlStore, rows: ControlRows, pipeline: PipelineRow, now: datetime, run_id: str | None
) -> Iterator[Cap]:
    targets = [str(row.name) for row in rows.transformations if row.pipeline_id == pipeline.pipeline_id]
    if pipeline.emr_usd_per_run is not None:
        spent = store.spark_usd(targets, run_id=run_id) if run_id is not None else 0.0
        yield Cap("emr_usd_per_run", pipeline.emr_usd_per_run, spent)
    if pipeline.emr_usd_per_month is not None:
        month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        yield Cap("emr_usd_per_month", pipeline.emr_usd_per_month, store.spark_usd(targets, since=month))


def check_cap(cap: Cap | None, job_group: str, usd: float) -> None:
    """Refuse a cluster that would cost more than is left.

    Args:
        cap: The tightest cap.
        job_group: The job group that needs the cluster.
        usd: The forecast.

    Raises:
        HardRunError: When it would.
    """
    if cap is not None and usd > cap.left:
        raise HardRunError(
            f"The cluster of {job_group} would cost ${usd:.2f}, and {cap}.",
            "Raise the cap, widen the bounds of the cluster, or run it in the warehouse: --engine warehouse.",
        )


def hold_beyond_caps(
    context: Context, rows: ControlRows, decisions: Sequence[Decision], cluster: str | None
) -> tuple[Decision, ...]:
    """Hold the targets whose cluster would cost more than their pipelines allow.

    Args:
        context: Project, settings, control database.
        rows: The environment's rows.
        decisions: The gate's decisions, with their engines.
        cluster: The cluster of the request, TYPE:N.

    Raises:
        ConfigurationError: When a setting or the price list cannot be read.
    """
    on_spark = {item.target: item.pipeline_id for item in decisions if _runs_on_spark(item)}
    capped = [row for row in rows.pipelines if row.emr_usd_per_run or row.emr_usd_per_month]
    if not on_spark or not any(row.pipeline_id in on_spark.values() for row in capped):
        return tuple(decisions)
    from flows.spark.sizing.forecast import planned_clusters

    held: dict[str, str] = {}
    for planned in planned_clusters(context, rows, decisions, cluster):
        named = {on_spark[target] for target in planned.targets}
        pipelines = [row for row in rows.pipelines if row.pipeline_id in named]
        cap = tightest_cap(context.store, rows, pipelines, context.now(), None)
        if planned.sizing is not None and cap is not None and planned.sizing.usd > cap.left:
            message = f"its cluster, {planned.sizing}, would cost ${planned.sizing.usd:.2f}, and {cap}"
            held |= dict.fromkeys(planned.targets, message)
    return tuple(
        replace(item, action=Action.HOLD, reason=Reason.COST_CAP, message=held[item.target])
        if item.target in held
        else item
        for item in decisions
    )


def _runs_on_spark(decision: Decision) -> bool:
    choice = decision.choice
    return decision.action is Action.RUN and choice is not None and choice.engine is Engine.SPARK
