"""The work pool of deploy/ecs-work-pool.json: a server takes it, and ECSWorker makes a task of it. AWS is moto's."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_aws.workers import ECSWorker
from prefect_aws.workers.ecs_worker import ECSJobConfiguration

from flows.prefect.deployments.client import run_environ
from tests.support.live_server import Server

TEMPLATE: dict[str, Any] = json.loads((Path(__file__).parents[3] / "deploy" / "ecs-work-pool.json").read_text())


@pytest.fixture
def vpc(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A template whose network exists, and a cluster."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        ec2 = boto3.client("ec2")
        vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
        subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="sluice", Description="-", VpcId=vpc_id)["GroupId"]
        boto3.client("ecs").create_cluster(clusterName="sluice")
        template = json.loads(json.dumps(TEMPLATE))
        network = {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "DISABLED"}
        template["job_configuration"] |= {"vpc_id": vpc_id, "network_configuration": network}
        yield template


def test_server_takes_the_template(server: Server) -> None:
    pool = {"name": f"ecs-{uuid4().hex[:8]}", "type": "ecs", "base_job_template": TEMPLATE}

    assert server.status("/work_pools/", pool) == 201
    broken = json.loads(json.dumps(TEMPLATE))
    del broken["variables"]["properties"]["image"]
    assert server.status("/work_pools/", pool | {"name": "ecs-broken", "base_job_template": broken}) == 422


async def render(template: dict[str, Any], values: dict[str, Any]) -> ECSJobConfiguration:
    configuration = await ECSJobConfiguration.from_template_and_values(template, values)
    configuration.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="orders · now"))
    return configuration


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_worker_registers_and_starts_the_task_of_a_run(server: Server, vpc: dict[str, Any]) -> None:
    ecs = boto3.client("ecs")
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        configuration = asyncio.run(render(vpc, {"env": run_environ("prod"), "memory": 8192}))

    task_arn, cluster = ECSWorker("sluice")._prepare_and_create_task(
        logging.getLogger(__name__), ecs, configuration, FlowRun(id=uuid4(), flow_id=uuid4())
    )

    (task,) = ecs.describe_tasks(cluster=cluster, tasks=[task_arn])["tasks"]
    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    (container,) = definition["containerDefinitions"]
    assert container["image"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/sluice:1"
    secrets = {item["name"]: item["valueFrom"] for item in container["secrets"]}
    assert {"SLUICE_CONTROL_URL", "SLUICE_REDSHIFT_PASSWORD", "PREFECT_API_AUTH_STRING"} <= secrets.keys()
    (override,) = task["overrides"]["containerOverrides"]
    told = {item["name"]: item["value"] for item in override["environment"]}
    assert told["SLUICE_ENVIRONMENT"] == "prod"
    assert told["SLUICE_PROJECT_ROOT"] == "/sluice"
    assert not secrets.keys() & told.keys()
    assert task["overrides"]["taskRoleArn"].endswith("role/sluice-run")
    assert (task["overrides"]["memory"], definition["memory"]) == ("8192", "8192")
