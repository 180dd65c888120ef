"""The clusters that a run would create, with the groups and sizes of the stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from flows.context import Context
from flows.gate.facts import Action, Decision
from flows.spark.settings import BackendName, load_emr_settings, load_spark_settings
from flows.spark.sizing.groups import GroupMember, make_groups, parse_cluster
from flows.spark.sizing.learning import learn_from
from flows.spark.sizing.prices import load_instances
from flows.spark.sizing.sizing import Sizing
from metadata_sync.errors import SluiceError
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Engine


@dataclass(frozen=True, slots=True)
class PlannedCluster:
    """A cluster on EMR that a run would create.

    Attributes:
        job_group: Its job group.
        targets: The targets that would run on it, in order.
        prices_as_of: Date of the price list.
        sizing: The cluster with its forecast; None when none fits.
        problem: Why none fits.
    """

    job_group: str
    targets: tuple[str, ...]
    prices_as_of: date
    sizing: Sizing | None = None
    problem: str | None = None

    def __str__(self) -> str:
        what = f"{self.job_group} ({', '.join(self.targets)})"
        if self.sizing is None:
            return f"{what}: no cluster. {self.problem}"
        found = self.sizing
        numbers = f"about {found.minutes:.0f} minutes and ${found.usd:.2f}"
        return f"{what}: {found}, {numbers}, {found.reason} (prices as of {self.prices_as_of})"


def planned_clusters(
    context: Context, rows: ControlRows, decisions: Sequence[Decision], cluster: str | None = None
) -> tuple[PlannedCluster, ...]:
    """Size the clusters of decisions with engine Spark; empty for the local backend.

    Args:
        context: Project, settings, control database.
        rows: The environment's rows.
        decisions: The gate's decisions, with their engines.
        cluster: The cluster of the request, TYPE:N.

    Raises:
        ConfigurationError: When a setting, the price list or the cluster cannot be read.
    """
    items = []
    for decision in decisions:
        row = rows.transformation(TableName.parse(decision.target))
        pipeline = rows.pipeline(decision.pipeline_id)
        choice = decision.choice if decision.action is Action.RUN else None
        if row and pipeline and choice and choice.engine is Engine.SPARK:
            learned = learn_from(context.store.spark_entries(decision.target), BackendName.EMR.value)
            items.append(GroupMember(row, pipeline, choice.scan_bytes or 0, learned))
    if not items or load_spark_settings(context.project).backend is not BackendName.EMR:
        return ()
    settings = load_emr_settings(context.project)
    prices = load_instances(context.project).in_region(settings.region)
    found = []
    for group in make_groups(
        items, parse_cluster(cluster) if cluster else None, settings.architecture, settings.primary_type
    ):
        targets = tuple(str(item.row.name) for item in group.items)
        try:
            sizing = group.sized(prices)
        except SluiceError as error:
            found.append(PlannedCluster(group.job_group, targets, prices.as_of, problem=str(error)))
        else:
            found.append(PlannedCluster(group.job_group, targets, prices.as_of, sizing))
    return tuple(found)
