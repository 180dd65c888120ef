"""Calls of EMR's API that read a cluster, and those that end it or one of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from flows.spark.aws import aws_errors
from flows.spark.emr.cluster_state import ClusterState, read_cluster

_SAME_CLOCK: Final = timedelta(seconds=3)
"""Clocks that differ by less are one: an answer's date has whole seconds, and the answer takes a moment."""


def describe_cluster(emr: Any, cluster_id: str, now: datetime) -> ClusterState:
    """Read the state of a cluster and its steps. Steps come first: the cluster's state then explains ended steps.

    Args:
        emr: boto3's client.
        cluster_id: EMR's id.
        now: The instant on the clock of this process, to which EMR's instants are moved.

    Raises:
        RunError: When EMR does not answer.
    """
    with aws_errors(f"describing {cluster_id}"):
        steps = list_steps(emr, cluster_id)
        answer = emr.describe_cluster(ClusterId=cluster_id)
    return read_cluster(answer["Cluster"], steps, _ahead(answer, now))


def _ahead(answer: Mapping[str, Any], now: datetime) -> timedelta:
    """Return how far AWS's clock, by the date of its answer, is ahead of this process's; seconds are not known."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        ahead = parsedate_to_datetime(str(text)).replace(tzinfo=UTC) - now  # HTTP's dates are in GMT
    except ValueError:  # none, or none that HTTP knows
        return timedelta(0)
    return ahead if abs(ahead) > _SAME_CLOCK else timedelta(0)


def list_steps(emr: Any, cluster_id: str) -> list[Mapping[str, Any]]:
    """Return a cluster's steps as documents of EMR's API."""
    pages = emr.get_paginator("list_steps").paginate(ClusterId=cluster_id)
    return [step for page in pages for step in page["Steps"]]


def cancel_step(emr: Any, cluster_id: str, step_id: str) -> None:
    """Ask EMR to end a step that runs.

    Raises:
        RunError: When EMR refuses or does not answer.
    """
    with aws_errors(f"cancelling {step_id} of {cluster_id}"):
        emr.cancel_steps(ClusterId=cluster_id, StepIds=[step_id], StepCancellationOption="TERMINATE_PROCESS")


def end_cluster(emr: Any, cluster_id: str, *, is_protected: bool) -> None:
    """Terminate a cluster; a terminated cluster is not changed.

    Raises:
        RunError: When EMR refuses or does not answer.
    """
    with aws_errors(f"terminating {cluster_id}"):
        if is_protected:
            emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
        emr.terminate_job_flows(JobFlowIds=[cluster_id])


def console_url(region: str, cluster_id: str) -> str:
    """Return the cluster's page in AWS's console."""
    return f"https://{region}.console.aws.amazon.com/emr/home?region={region}#/clusterDetails/{cluster_id}"
