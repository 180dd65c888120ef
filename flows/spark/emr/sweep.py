"""The sweep: clusters of ours that nobody waits for are ended.

A cluster carries the tag of the control database that rented it and the token of a lease in that database. The process
that waits for the cluster keeps the lease alive; when it is gone, killed or cut off, so is soon the lease.
"""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING

from flows.run.leases import foreign_leases
from flows.spark.aws import aws_client, aws_errors
from flows.spark.emr.backend import end_cluster, lease_of
from flows.spark.emr.clusters import OurCluster, our_clusters
from flows.spark.settings import load_emr_settings
from metadata_sync.settings import control_database_url

if TYPE_CHECKING:
    from flows.context import Context


def sweep(context: Context, *, is_dry: bool = False) -> tuple[OurCluster, ...]:
    """End the clusters of this environment that nobody waits for.

    Args:
        context: The project.
        is_dry: Only find them.

    Returns:
        What was found, and, unless dry, ended.

    Raises:
        RunError: When AWS does not answer, or does not let a cluster be ended.
    """
    emr = aws_client("emr", load_emr_settings(context.project).region)
    with aws_errors("listing clusters"):
        ours = list(our_clusters(emr, context.settings.environment, owner_tag(context)))
    awaited = foreign_leases(context.store)  # asked after EMR: a cluster's lease is there before the cluster
    orphans = tuple(cluster for cluster in ours if lease_of(cluster.token) not in awaited)
    for orphan in () if is_dry else orphans:
        end_cluster(emr, orphan.cluster_id, is_protected=orphan.is_protected)
    return orphans


def owner_tag(context: Context) -> str:
    """Return what tells a control database's clusters from those of others in the same account.

    An embedded database is known by its machine and path, any other by its address.
    """
    from sqlalchemy import make_url

    url = make_url(control_database_url(context.project, context.settings)).set(password=None)
    where = f"{socket.gethostname()} {url}" if url.get_backend_name() == "sqlite" else str(url)
    return hashlib.sha256(where.encode()).hexdigest()[:16]
