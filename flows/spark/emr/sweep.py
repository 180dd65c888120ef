"""The sweep: terminate managed clusters that no run waits for.

A cluster has the tag of the control database that created it, and the token of a lease in that database. The process
that waits for the cluster renews the lease; when that process is killed or disconnected, the lease expires.
"""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING

from flows.run.leases import foreign_leases
from flows.spark.aws import aws_client, aws_errors
from flows.spark.emr.backend import end_cluster, lease_of
from flows.spark.emr.clusters import ManagedCluster, managed_clusters
from flows.spark.settings import load_emr_settings
from metadata_sync.settings import control_database_url

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
    """Return the tag value that identifies this control database's clusters in the account.

    It is a hash of the machine and path for an embedded database, and of the URL for a server.
    """
    from sqlalchemy import make_url

    url = make_url(control_database_url(context.project, context.settings)).set(password=None)
    where = f"{socket.gethostname()} {url}" if url.get_backend_name() == "sqlite" else str(url)
    return hashlib.sha256(where.encode()).hexdigest()[:16]
