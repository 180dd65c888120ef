"""The shipped price list, a list of one's own from AWS's documents, types checked at apply, and how old prices are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.doctor.finding import Level
from flows.doctor.spark import examine_emr
from flows.spark.sizing.learning import PRIOR
from flows.spark.sizing.prices import OLD_AFTER, load_instances, read_instances
from flows.spark.sizing.refresh import refresh
from flows.spark.sizing.sizing import GIB, Bounds, Workload, size
from metadata_sync.errors import ConfigurationError, HardRunError
from metadata_sync.instances import OWN_FILE, instance_names
from metadata_sync.project import Project
from metadata_sync.validation import find_faults
from tests.support.emr_project import EmrProject, KnownColumns
from tests.support.emr_simulator import EmrSimulator
from tests.support.project_copy import REPOSITORY

FAMILIES = ("m6i", "m7i", "m6g", "m7g", "m8g", "r6g", "r7g", "r8g", "c7g", "i4i")


class PriceList:
    """boto3's client of AWS's price list: documents as GetProducts returns them."""

    def __init__(self, prices: Mapping[str, Mapping[str, float]]) -> None:
        self.prices = prices
        self.asked: list[dict[str, str]] = []

    def get_paginator(self, _: str) -> PriceList:
        return self

    def paginate(self, ServiceCode: str, Filters: Sequence[Mapping[str, str]]) -> Iterator[dict[str, list[str]]]:  # noqa: N803
        self.asked.append({"service": ServiceCode} | {item["Field"]: item["Value"] for item in Filters})
        for name, usd in self.prices[ServiceCode].items():
            yield {"PriceList": [json.dumps(_document(name, usd))]}


def _document(name: str, usd: float) -> dict[str, Any]:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": f"{usd:.10f}"}}
    return {
        "product": {"attributes": {"instanceType": name}},
        "terms": {"OnDemand": {"sku.code": {"priceDimensions": {"sku.code.rate": dimension}}}},
    }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_todays_families_are_listed_and_can_be_sized_with() -> None:
    file = load_instances(Project(REPOSITORY))
    prices = file.in_region("us-east-1")

    assert prices.as_of >= date(2026, 1, 1)
    for family in FAMILIES:
        for name in (f"{family}.xlarge", f"{family}.2xlarge", f"{family}.4xlarge"):
            machine = prices.machine(name)
            assert machine.architecture == ("arm64" if family[-1] == "g" else "x86_64")
            assert machine.yarn_mb < 1024 * machine.memory_gib
        found = size(Workload(100 * GIB, 60), Bounds((f"{family}.4xlarge",), 1, 20), PRIOR, prices)
        assert found.is_feasible
    assert file.in_region("ap-southeast-1").as_of == date(2020, 2, 1)


def test_a_list_of_ones_own_is_written_from_awss_prices(project: Project) -> None:
    aws = PriceList(
        {"AmazonEC2": {"m7g.xlarge": 0.2, "r7g.xlarge": 0.3, "x9.huge": 1.0}, "ElasticMapReduce": {"m7g.xlarge": 0.05}}
    )

    missing = refresh(project, "eu-west-1", aws, date(2026, 11, 30))

    assert "r7g.xlarge" in missing  # EMR does not run on it there
    assert "m7g.xlarge" not in missing
    assert [asked["regionCode"] for asked in aws.asked] == ["eu-west-1"] * 2
    file = load_instances(project)
    here = file.in_region("eu-west-1")
    assert (here.names, here.price("m7g.xlarge").total, here.as_of) == (
        ("m7g.xlarge",),
        pytest.approx(0.25),
        date(2026, 11, 30),
    )
    assert file.in_region("us-east-1").as_of == date(2026, 1, 19)  # as it was
    with pytest.raises(ConfigurationError, match=r"x9\.huge has no price"):
        here.price("x9.huge")


def test_a_region_that_aws_does_not_know_changes_nothing(project: Project) -> None:
    with pytest.raises(HardRunError, match="none of the instance types in mars-1"):
        refresh(project, "mars-1", PriceList({"AmazonEC2": {}, "ElasticMapReduce": {}}), date(2026, 11, 30))

    assert not (project.root / OWN_FILE).exists()


def test_a_region_without_a_date_is_refused(project: Project) -> None:
    text = (REPOSITORY / "metadata_sync" / "instances.yml").read_text("utf-8")
    (project.root / OWN_FILE).write_text(text.replace("  ap-southeast-1: 2020-02-01\n", ""))

    with pytest.raises(ConfigurationError, match="as_of has no date for ap-southeast-1"):
        load_instances(project)


def test_one_date_for_all_regions_is_read_as_before(project: Project) -> None:
    text = (REPOSITORY / "metadata_sync" / "instances.yml").read_text("utf-8")
    dates = "as_of:\n  us-east-1: 2026-01-19\n  ap-southeast-1: 2020-02-01\n"
    assert dates in text
    (project.root / OWN_FILE).write_text(text.replace(dates, "as_of: 2025-05-05\n"))

    assert read_instances(project.root / OWN_FILE).in_region("us-east-1").as_of == date(2025, 5, 5)


def test_types_are_checked_when_a_row_is_applied(emr: EmrSimulator, tmp_path: Path) -> None:
    project = EmrProject(tmp_path, pipeline={"emr_instance_types": ["m7g.xlarge", "m7g.xlarg", "zz1.metal"]})

    faults = [
        item
        for item in find_faults(project.rows, project.context.project, KnownColumns())
        if item.column == "emr_instance_types"
    ]

    assert [(item.column, item.rule) for item in faults] == [("emr_instance_types", "unknown_instance_type")] * 2
    assert "m7g.xlarge" in faults[0].remedy
    (tmp_path / OWN_FILE).write_text("instances: {zz1.metal: {}}")
    assert instance_names(project.context.project) == {"zz1.metal"}
    (tmp_path / OWN_FILE).write_text("- no list")
    assert instance_names(project.context.project) == frozenset()
    project.context.store.close()


def test_doctor_says_that_a_list_is_old(emr: EmrSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = EmrProject(tmp_path)
    listed = load_instances(project.context.project).date_of("us-east-1")

    levels = {}
    for days in (OLD_AFTER, OLD_AFTER + timedelta(days=1)):
        instant = datetime.combine(listed + days, datetime.min.time(), UTC)
        monkeypatch.setattr(type(project.context), "now", lambda _, instant=instant: instant)
        levels[days] = {item.check: item for item in examine_emr(project.context)}["emr prices"]
    monkeypatch.setenv("SLUICE_EMR_REGION", "eu-west-1")
    unlisted = {item.check: item for item in examine_emr(project.context)}["emr prices"]

    fresh, old = levels.values()
    assert (fresh.level, old.level, unlisted.level) == (Level.OK, Level.WARN, Level.FAIL)
    assert "12 months old" in old.message
    assert old.remedy == "sluice emr prices --region us-east-1"
    project.context.store.close()
