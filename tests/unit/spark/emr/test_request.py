"""What is asked of EMR: groups or fleets, arm64 throughout, security, roles, classifications, disks, labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.spark.settings import load_emr_settings
from metadata_sync.errors import ConfigurationError
from tests.support.emr_project import EmrProject
from tests.support.emr_simulator import EmrSimulator

pytestmark = pytest.mark.processes


@pytest.fixture
def project(emr: EmrSimulator, tmp_path: Path) -> Iterator[EmrProject]:
    project = EmrProject(tmp_path, pipeline={"emr_core_min": 2, "emr_core_max": 6})
    yield project
    project.context.store.close()


def _requested(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch, **settings: str
) -> dict[str, Any]:
    for name, value in settings.items():
        monkeypatch.setenv(f"SLUICE_EMR_{name}", value)
    project.run()
    (request,) = emr.requests
    assert emr.live == []
    return request


def test_the_usual_cluster_is_of_the_newest_release_with_spark_3(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = _requested(emr, project, monkeypatch)

    assert request["ReleaseLabel"] == "emr-7.13.0"
    assert request["StepConcurrencyLevel"] == 1
    groups = request["Instances"]["InstanceGroups"]
    assert {group["InstanceType"].partition(".")[0] for group in groups} == {"m5"}
    assert not {"SecurityConfiguration", "Configurations"} & request.keys()


def test_arm64_is_arm64_throughout(emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch) -> None:
    request = _requested(emr, project, monkeypatch, ARCHITECTURE="arm64")

    types = [group["InstanceType"] for group in request["Instances"]["InstanceGroups"]]
    assert types[0] == "m6g.xlarge"
    assert {name.partition(".")[0] for name in types} == {"m6g"}


def test_a_primary_node_of_another_architecture_is_refused(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_EMR_ARCHITECTURE", "arm64")
    monkeypatch.setenv("SLUICE_EMR_PRIMARY_TYPE", "m5.2xlarge")

    staged = project.run()

    assert "The primary node m5.2xlarge is x86_64; the job needs arm64." in staged.failed["dwh.days"]
    assert emr.requests == []


def test_security_roles_classifications_and_disks_are_those_of_the_settings(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "arn:aws:iam::123456789012:role/loads"
    request = _requested(
        emr,
        project,
        monkeypatch,
        PRIMARY_TYPE="m7g.2xlarge",
        SECURITY_CONFIGURATION="at-rest",
        RUNTIME_ROLE=role,
        CONFIGURATIONS='[{"Classification": "spark-defaults", "Properties": {"spark.speculation": "false"}}]',
        EBS_GB="200",
        STEP_CONCURRENCY="4",
        RELEASE_LABEL="emr-spark-8.0.0",
    )

    assert request["SecurityConfiguration"] == "at-rest"
    assert request["Configurations"][0]["Classification"] == "spark-defaults"
    assert (request["StepConcurrencyLevel"], request["ReleaseLabel"]) == (4, "emr-spark-8.0.0")
    primary, core = request["Instances"]["InstanceGroups"][:2]
    assert primary["InstanceType"] == "m7g.2xlarge"
    (disk,) = core["EbsConfiguration"]["EbsBlockDeviceConfigs"]
    assert disk["VolumeSpecification"] == {"VolumeType": "gp3", "SizeInGB": 200}
    assert {answer.get("ExecutionRoleArn") for answer in emr.step_requests} == {role}


def test_fleets_hold_the_sized_nodes_and_leave_the_subnet_to_emr(
    emr: EmrSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = ["m5.xlarge", "m6i.xlarge", "m7i.2xlarge"]
    project = EmrProject(tmp_path, pipeline={"emr_instance_types": types, "emr_core_min": 2, "emr_core_max": 9})
    request = _requested(
        emr, project, monkeypatch, FLEET_STRATEGY="price-capacity-optimized", SUBNETS="subnet-1 subnet-2"
    )

    fleets = {fleet["InstanceFleetType"]: fleet for fleet in request["Instances"]["InstanceFleets"]}
    assert "InstanceGroups" not in request["Instances"]
    assert request["Instances"]["Ec2SubnetIds"] == ["subnet-1", "subnet-2"]
    assert "Ec2SubnetId" not in request["Instances"]
    assert fleets["MASTER"]["TargetOnDemandCapacity"] == 1
    assert fleets["CORE"]["TargetOnDemandCapacity"] == 2
    (core,) = fleets["CORE"]["InstanceTypeConfigs"]
    task = fleets["TASK"]
    size = core["InstanceType"].partition(".")[2]
    alike = [item["InstanceType"] for item in task["InstanceTypeConfigs"]]
    assert alike[0] == core["InstanceType"]
    assert sorted(alike) == sorted(name for name in types if name.endswith(f".{size}"))
    assert task["TargetSpotCapacity"] >= 1
    assert task["LaunchSpecifications"]["SpotSpecification"]["AllocationStrategy"] == "price-capacity-optimized"
    project.context.store.close()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RELEASE_LABEL", "emr-5.36.0", "RELEASE_LABEL"),
        ("RELEASE_LABEL", "emr-spark-9.0.0", "RELEASE_LABEL"),
        ("FLEET_STRATEGY", "cheapest", "FLEET_STRATEGY"),
        ("CONFIGURATIONS", '[{"Properties": {}}]', "has no Classification"),
        ("EBS_GB", "1", "EBS_GB"),
        ("STEP_CONCURRENCY", "0", "STEP_CONCURRENCY"),
        ("RUNTIME_ROLE", "loads", "RUNTIME_ROLE"),
        ("RUNTIME_ROLE", "arn:aws:iam::123456789012:role/loads", "needs a SLUICE_EMR_SECURITY_CONFIGURATION"),
        ("PRIMARY_TYPE", "large", "PRIMARY_TYPE"),
    ],
)
def test_a_setting_that_emr_would_refuse_is_named(
    project: EmrProject, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"SLUICE_EMR_{name}", value)

    with pytest.raises(ConfigurationError, match=words):
        load_emr_settings(project.context.project)
