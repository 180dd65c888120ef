"""`sluice doctor` on EMR: what the settings say is looked up in a simulated AWS; nothing is rented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from flows.doctor.checks import CHECKS
from flows.doctor.finding import Level
from flows.doctor.spark import examine_emr
from metadata_sync.errors import ConfigurationError
from tests.support.emr_project import EmrProject
from tests.support.emr_simulator import EmrSimulator


@pytest.fixture
def project(emr: EmrSimulator, tmp_path: Path) -> Iterator[EmrProject]:
    project = EmrProject(tmp_path)
    yield project
    project.context.store.close()


def found(project: EmrProject) -> dict[str, tuple[Level, str]]:
    return {item.check: (item.level, item.message) for item in examine_emr(project.context)}


def test_doctor_finds_what_a_cluster_would_lack(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam, ec2 = (boto3.client(service, **emr.connection) for service in ("iam", "ec2"))
    iam.create_role(RoleName="EMR_DefaultRole", AssumeRolePolicyDocument=json.dumps({}))
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    monkeypatch.setenv("SLUICE_EMR_SUBNETS", subnet)
    monkeypatch.setenv("SLUICE_EMR_LOG_URI", "s3://no-such-bucket/logs")

    half = found(project)
    iam.create_instance_profile(InstanceProfileName="EMR_EC2_DefaultRole")
    monkeypatch.setenv("SLUICE_EMR_INSTANCE_PROFILE", "arn:aws:iam::123456789012:instance-profile/EMR_EC2_DefaultRole")
    monkeypatch.delenv("SLUICE_EMR_LOG_URI")
    whole = found(project)
    monkeypatch.setenv("SLUICE_EMR_SUBNETS", "subnet-0123")
    no_subnet = found(project)

    assert {check for check, (level, _) in half.items() if level is not Level.OK} == {
        "emr machines' role",
        "emr bucket",
    }
    assert "EMR_EC2_DefaultRole" in half["emr machines' role"][1]
    assert half["emr subnets"] == (Level.OK, f"{subnet} exists")
    assert {check: level for check, (level, _) in whole.items() if level is not Level.OK} == {
        "emr settings": Level.WARN
    }
    assert no_subnet["emr subnets"][0] is Level.FAIL
    assert emr.called == ["ListClusters"] * 3


def test_doctor_asks_nothing_when_no_row_goes_to_spark_or_nobody_may_ask(
    emr: EmrSimulator, tmp_path: Path, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    light = EmrProject(tmp_path / "light", pipeline={"engine": "auto"})
    assert found(light) == {}
    light.context.store.close()

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert found(project)["emr aws"] == (Level.WARN, "no AWS credentials here: AWS was not checked")
    monkeypatch.delenv("SLUICE_EMR_WORK_URI")
    assert found(project)["emr settings"][0] is Level.FAIL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REGION", "Frankfurt"),
        ("SUBNETS", "net-1"),
        ("SERVICE_ROLE", "a role"),
        ("RELEASE_LABEL", "7.5"),
        ("LOG_URI", "/x"),
    ],
)
def test_malformed_setting_is_named(
    project: EmrProject, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SLUICE_EMR_{name}", value)

    with pytest.raises(ConfigurationError, match=f"SLUICE_EMR_{name} = "):
        list(dict(CHECKS)["emr"](project.context))
