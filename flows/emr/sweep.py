"""The sweep: clusters of ours that nobody waits for are ended.

A cluster carries the tag of the control database that rented it and the token of a lease in that database. The process
that waits for the cluster keeps the lease alive; when it is gone, killed or cut off, so is soon the lease.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flows.emr.aws import aws_client, aws_errors
from flows.emr.ec2 import end_cluster, lease_of
from flows.emr.request import TAG, cluster_name
from flows.emr.seen import LIVE_STATES
from flows.emr.settings import load_emr_settings
from flows.leases import foreign_leases
from metadata_sync.settings import control_database_url

if TYPE_CHECKING:
    from flows.context import Context


@dataclass(frozen=True, slots=True)
class Orphan:
    """A cluster that nobody waits for.

    Attributes:
        cluster_id: EMR's name.
        name: Ours.
        state: Its state in EMR.
        run_id: The run that rented it.
        requested_by: On whose behalf.
        created_at: UTC.
        is_protected: Whether it must be unprotected before it can be ended.
    """

    cluster_id: str
    name: str
    state: str
    run_id: str
    requested_by: str
    created_at: datetime
    is_protected: bool


def sweep(context: Context, *, is_dry: bool = False) -> tuple[Orphan, ...]:
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
        ours = list(_our_clusters(emr, context))
    awaited = foreign_leases(context.store)  # asked after EMR: a cluster's lease is there before the cluster
    orphans = tuple(orphan for orphan, token in ours if lease_of(token) not in awaited)
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


def _our_clusters(emr: Any, context: Context) -> Iterator[tuple[Orphan, str]]:
    """Yield this environment's clusters, each with the token of its lease; only those whose names fit are asked for."""
    environment, owner = context.settings.environment, owner_tag(context)
    for page in emr.get_paginator("list_clusters").paginate(ClusterStates=list(LIVE_STATES)):
        for listed in page["Clusters"]:
            if not listed["Name"].startswith(cluster_name(environment, "")):
                continue
            cluster = emr.describe_cluster(ClusterId=listed["Id"])["Cluster"]
            tags = {tag["Key"].removeprefix(TAG): tag["Value"] for tag in cluster.get("Tags", ())}
            if (tags.get("owner"), tags.get("environment")) != (owner, environment):
                continue
            status = cluster["Status"]
            orphan = Orphan(
                cluster_id=cluster["Id"],
                name=cluster["Name"],
                state=status["State"],
                run_id=tags.get("run-id", ""),
                requested_by=tags.get("requested-by", ""),
                created_at=status["Timeline"]["CreationDateTime"],
                is_protected=bool(cluster.get("TerminationProtected")),
            )
            yield orphan, tags.get("lease", "")
