"""The arguments of EMR requests: a cluster for an order, a step for a job. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flows.spark.backend import Order
from flows.spark.jobs import SparkJob
from flows.spark.settings import EmrSettings, SparkSettings
from flows.spark.sizing.sizing import Bounds, Layout, Sizing

TAG: Final = "sluice:"
"""Prefix of Sluice's tags."""

_NO_TAG_CHARACTER: Final = re.compile(r"[^\w +\-=.:/@]")
_MAX_TAG_LENGTH: Final = 256
_AM_MB: Final = 1024
"""Memory of YARN's application master on one node: 512 MB plus 384 MB overhead, rounded up by YARN."""
_DRIVER_MEMORY: Final = "4g"
"""The driver runs on the primary node, which has little other load."""


def cluster_name(environment: str, job_group: str) -> str:
    """Return the cluster's name in EMR's console."""
    return f"sluice-{environment}-{job_group}"


def cluster_request(order: Order, settings: EmrSettings, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of RunJobFlow.

    Args:
        order: The request; it has a sizing.
        settings: Settings of clusters.
        tags: Tags that identify the cluster, by name without the prefix.
    """
    sizing = order.sizing
    assert sizing is not None, "a cluster on EMR has a size"
    request = {
        "Name": cluster_name(order.environment, order.job_group),
        "ReleaseLabel": settings.release_label,
        "Applications": [{"Name": "Spark"}],
        "ServiceRole": settings.service_role,
        "JobFlowRole": settings.instance_profile,
        "Instances": {
            **_machines(order, sizing, settings),
            "KeepJobFlowAliveWhenNoSteps": True,  # the auto-termination policy below ends idle clusters
            "TerminationProtected": False,
            **_network(settings, order.place),
        },
        "AutoTerminationPolicy": {"IdleTimeout": 60 * settings.idle_minutes},
        "BootstrapActions": [_bootstrap(path) for path in settings.bootstrap],
        "Tags": _tags({**settings.tags, **{f"{TAG}{name}": value for name, value in tags.items()}}),
        "VisibleToAllUsers": True,
        "StepConcurrencyLevel": settings.step_concurrency,
    }
    if settings.security_configuration is not None:
        request["SecurityConfiguration"] = settings.security_configuration
    if settings.configurations:
        request["Configurations"] = list(settings.configurations)
    if settings.log_uri is not None:
        request["LogUri"] = settings.log_uri
    if order.bounds.core_min < sizing.core_count:
        request["ManagedScalingPolicy"] = {"ComputeLimits": _limits(sizing, order.bounds, settings)}
    return request


def step_request(job: SparkJob, script: str, jobs_file: str, sizing: Sizing, spark: SparkSettings) -> dict[str, Any]:
    """Return a step that runs one job; when it fails, the next step still runs.

    Args:
        job: The job.
        script: The Spark script on S3.
        jobs_file: The job file on S3.
        sizing: The cluster.
        spark: Packages and options.
    """
    options = {
        "spark.executor.cores": str(sizing.layout.cores),
        "spark.executor.memory": f"{executor_mb(sizing.layout)}m",
        "spark.executor.memoryOverheadFactor": "0.1875",
        "spark.sql.shuffle.partitions": str(sizing.partitions),
    }
    words = ["--deploy-mode", "client", "--driver-memory", _DRIVER_MEMORY]
    words += [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
    return {
        "Name": job.target,
        "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": ["spark-submit", *words, *spark.submit_words, script, jobs_file],
        },
    }


def executor_mb(layout: Layout) -> int:
    """Return an executor's heap: the layout's heap minus a share of the application master's memory.

    >>> executor_mb(Layout(executors=1, cores=3, heap_mb=10347, task_mb=2069))
    9484
    """
    return layout.heap_mb - math.ceil(_AM_MB / layout.executors / 1.1875)


def _machines(order: Order, sizing: Sizing, settings: EmrSettings) -> dict[str, Any]:
    """Return the cluster's nodes: instance groups, or instance fleets with an allocation strategy for spot."""
    on_demand = sizing.core_count - sizing.spot_count
    if settings.fleet_strategy is None:
        groups = [
            _group("MASTER", sizing.master_type, sizing.master_count, settings),
            _group("CORE", sizing.instance_type, on_demand, settings),
        ]
        if sizing.spot_count:
            groups.append(_group("TASK", sizing.instance_type, sizing.spot_count, settings, market="SPOT"))
        return {"InstanceGroups": groups}
    fleets = [
        _fleet("MASTER", [sizing.master_type], sizing.master_count, settings),
        _fleet("CORE", [sizing.instance_type], on_demand, settings),
    ]
    if sizing.spot_count:
        alike = _alike(sizing.instance_type, order.bounds.types)
        fleets.append(_fleet("TASK", alike, sizing.spot_count, settings, is_spot=True))
    return {"InstanceFleets": fleets}


def _alike(chosen: str, types: Sequence[str]) -> list[str]:
    """Return a type and the row's other types of its size, so that one unit is one node of as many cores.

    >>> _alike("m5.xlarge", ("m5.xlarge", "m5.2xlarge", "m6i.xlarge"))
    ['m5.xlarge', 'm6i.xlarge']
    """
    size = chosen.partition(".")[2]
    return [chosen, *[name for name in types if name != chosen and name.partition(".")[2] == size]]


def _group(
    role: str, instance_type: str, count: int, settings: EmrSettings, market: str = "ON_DEMAND"
) -> dict[str, Any]:
    return {
        "Name": role.lower(),
        "InstanceRole": role,
        "InstanceType": instance_type,
        "InstanceCount": count,
        "Market": market,
        **_disk(settings),
    }


def _fleet(
    role: str, types: Sequence[str], count: int, settings: EmrSettings, *, is_spot: bool = False
) -> dict[str, Any]:
    """Return a fleet; spot nodes that do not come within ten minutes are rented on demand."""
    spot = {
        "TimeoutDurationMinutes": 10,
        "TimeoutAction": "SWITCH_TO_ON_DEMAND",
        "AllocationStrategy": settings.fleet_strategy,
    }
    specification = (
        {"SpotSpecification": spot} if is_spot else {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
    )
    return {
        "Name": role.lower(),
        "InstanceFleetType": role,
        "TargetSpotCapacity" if is_spot else "TargetOnDemandCapacity": count,
        "InstanceTypeConfigs": [{"InstanceType": name, "WeightedCapacity": 1, **_disk(settings)} for name in types],
        "LaunchSpecifications": specification,
    }


def _disk(settings: EmrSettings) -> dict[str, Any]:
    if settings.ebs_gb is None:
        return {}
    volume = {"VolumeType": "gp3", "SizeInGB": settings.ebs_gb}
    return {"EbsConfiguration": {"EbsBlockDeviceConfigs": [{"VolumeSpecification": volume, "VolumesPerInstance": 1}]}}


def _limits(sizing: Sizing, bounds: Bounds, settings: EmrSettings) -> dict[str, Any]:
    """Return the limits of managed scaling: it starts from the sized number, which is its maximum.

    So a cluster never costs more per hour than the plan says; nodes that have nothing to do are given back.
    """
    on_demand = sizing.core_count - sizing.spot_count
    return {
        "UnitType": "Instances" if settings.fleet_strategy is None else "InstanceFleetUnits",
        "MinimumCapacityUnits": bounds.core_min,
        "MaximumCapacityUnits": sizing.core_count,
        "MaximumOnDemandCapacityUnits": on_demand,
        "MaximumCoreCapacityUnits": on_demand,
    }


def _network(settings: EmrSettings, subnet: str | None) -> dict[str, Any]:
    is_fleet = settings.fleet_strategy is not None
    named = {
        "Ec2SubnetId": None if is_fleet else subnet,
        "Ec2SubnetIds": list(settings.subnets) if is_fleet and settings.subnets else None,
        "EmrManagedMasterSecurityGroup": settings.primary_security_group,
        "EmrManagedSlaveSecurityGroup": settings.core_security_group,
        "ServiceAccessSecurityGroup": settings.service_security_group,
    }
    return {name: value for name, value in named.items() if value is not None}


def _bootstrap(path: str) -> dict[str, Any]:
    return {"Name": path.rpartition("/")[2], "ScriptBootstrapAction": {"Path": path}}


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in EMR's format; characters that AWS does not allow become underscores."""
    return [{"Key": name, "Value": _NO_TAG_CHARACTER.sub("_", value)[:_MAX_TAG_LENGTH]} for name, value in tags.items()]
