"""Our clusters among those of the account: known by name first, then by their tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.spark.emr.cluster_state import LIVE_STATES
from flows.spark.emr.request import TAG, cluster_name


@dataclass(frozen=True, slots=True)
class OurCluster:
    """A cluster of one control database and environment that has not ended.

    Attributes:
        cluster_id: EMR's name.
        name: Ours.
        state: Its state in EMR.
        run_id: The run that rented it.
        requested_by: On whose behalf.
        token: Names the lease that its run keeps alive, and the order that it was rented for.
        created_at: UTC.
        is_protected: Whether it must be unprotected before it can be ended.
    """

    cluster_id: str
    name: str
    state: str
    run_id: str
    requested_by: str
    token: str
    created_at: datetime
    is_protected: bool


def our_clusters(emr: Any, environment: str, owner_tag: str) -> Iterator[OurCluster]:
    """Yield an environment's clusters; only those whose names fit are asked for their tags.

    Args:
        emr: boto3's client.
        environment: Sluice's environment.
        owner_tag: Tells this control database's clusters from those of others in the account.
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
            yield OurCluster(
                cluster_id=cluster["Id"],
                name=cluster["Name"],
                state=status["State"],
                run_id=tags.get("run-id", ""),
                requested_by=tags.get("requested-by", ""),
                token=tags.get("lease", ""),
                created_at=status["Timeline"]["CreationDateTime"],
                is_protected=bool(cluster.get("TerminationProtected")),
            )
