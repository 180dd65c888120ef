"""The sweep: terminate managed clusters that no run waits for.

A cluster has the tag of the control database that created it, and the token of a lease in that database. The process
that waits for the cluster renews the lease; when that process is killed or disconnected, the lease expires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.run.leases import foreign_leases
from flows.spark.aws import aws_client, aws_errors
from flows.spark.emr.backend import lease_of
from flows.spark.emr.calls import end_cluster
from flows.spark.emr.clusters import ManagedCluster, managed_clusters
from flows.spark.settings import load_emr_settings

if TYPE_CHECKING:
    from flows.context import Context


def sweep(context: Context, *, is_dry: bool = False) -> tuple[ManagedCluster, ...]:
    """Terminate the clusters of this environment that no run waits for.

    Args:
        context: The project.
        is_dry: Find them without terminating them.

    Returns:
        The clusters that were found.

    Raises:
        RunError: When AWS does not answer, or refuses to terminate a cluster.
    """
    emr = aws_client("emr", load_emr_settings(context.project).region)
    with aws_errors("listing clusters"):
        ours = list(managed_clusters(emr, context.settings.environment, owner_tag(context)))
    awaited = foreign_leases(context.store)  # read after EMR: a cluster's lease exists before the cluster
    orphans = tuple(cluster for cluster in ours if lease_of(cluster.token) not in awaited)
    for orphan in () if is_dry else orphans:
        end_cluster(emr, orphan.cluster_id, is_protected=orphan.is_protected)
    return orphans


def owner_tag(context: Context) -> str:
    """Return the tag value that identifies this control database's clusters in the account: the database's own id."""
    return context.store.identity()
