"""Find the managed clusters of an environment in the account: by name first, then by their tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.spark.emr.cluster_state import LIVE_STATES
from flows.spark.emr.request import TAG, cluster_name


@dataclass(frozen=True, slots=True)
class ManagedCluster:
    """A live cluster of one control database and environment.

    Attributes:
        cluster_id: EMR's id.
        name: Its name in EMR.
        state: Its state in EMR.
        run_id: The run that created it.
        requested_by: The person or schedule that requested the run.
        token: Identifies the order, and the lease that its run renews.
        created_at: UTC.
        is_protected: Whether it has termination protection.
    """

    cluster_id: str
    name: str
    state: str
    run_id: str
    requested_by: str
    token: str
    created_at: datetime
    is_protected: bool


def managed_clusters(emr: Any, environment: str, owner_tag: str) -> Iterator[ManagedCluster]:
    """Yield an environment's clusters; tags are read only for clusters whose name matches.

    Args:
        emr: boto3's client.
        environment: Sluice's environment.
        owner_tag: Tag of the clusters of this control database.
    """
    for page in emr.get_paginator("list_clusters").paginate(ClusterStates=list(LIVE_STATES)):
        for listed in page["Clusters"]:
            if not listed["Name"].startswith(cluster_name(environment, "")):
                continue
            cluster = emr.describe_cluster(ClusterId=listed["Id"])["Cluster"]
            tags = {tag["Key"].removeprefix(TAG): tag["Value"] for tag in cluster.get("Tags", ())}
            if (tags.get("owner"), tags.get("environment")) != (owner_tag, environment):
                continue
            status = cluster["Status"]
            yield ManagedCluster(
                cluster_id=cluster["Id"],
                name=cluster["Name"],
                state=status["State"],
                run_id=tags.get("run-id", ""),
                requested_by=tags.get("requested-by", ""),
                token=tags.get("lease", ""),
                created_at=status["Timeline"]["CreationDateTime"],
                is_protected=bool(cluster.get("TerminationProtected")),
            )
