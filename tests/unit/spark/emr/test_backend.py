"""Clusters on a simulated EMR: whatever befalls one, none is left running, and no half result is loaded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from flows.cli.emr import register
from flows.gate.facts import Action, Decision, EngineChoice, Reason
from flows.run.outcome import Compiled
from flows.spark.backend import JobStatus
from flows.spark.emr.cluster_state import end_of, read_cluster
from flows.spark.emr.sweep import sweep
from flows.spark.jobs import SparkJob
from flows.spark.results import read_text
from flows.spark.sizing.forecast import planned_clusters
from flows.spark.stage import Staged
from flows.upkeep.monitor import monitor
from metadata_sync.analysis.spark import SparkSelect
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.vocabulary import Engine
from tests.support.emr_project import COLUMNS, GIB, SELECTS, WINDOW, EmrProject
from tests.support.emr_simulator import BUCKET, ENDINGS, ClusterPlot, EmrSimulator, pretend

pytestmark = pytest.mark.processes

M5 = ("m5.xlarge", "m5.2xlarge")


@pytest.fixture
def project(emr: EmrSimulator, tmp_path: Path) -> Iterator[EmrProject]:
    project = EmrProject(tmp_path, pipeline={"emr_instance_types": M5, "sla_minutes": 120})
    yield project
    project.context.store.close()


def test_a_job_group_shares_one_cluster_made_as_settings_and_row_say(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"SUBNETS": "subnet-1 subnet-2", "BOOTSTRAP": "s3://lake/boot.sh", "TAGS": '{"team": "data"}'}
    settings |= {"PRIMARY_SECURITY_GROUP": "sg-1", "SERVICE_ROLE": "role", "IDLE_MINUTES": "7"}
    for name, value in settings.items():
        monkeypatch.setenv(f"SLUICE_EMR_{name}", value)

    staged = project.run()

    assert not staged.failed
    assert sorted(staged.results) == sorted(SELECTS)
    (request,) = emr.requests
    assert (request["Name"], request["ServiceRole"], request["LogUri"]) == (
        "sluice-dev-sales",
        "role",
        "s3://lake/logs",
    )
    assert request["AutoTerminationPolicy"] == {"IdleTimeout": 420}
    assert request["Instances"]["Ec2SubnetId"] == "subnet-1"
    assert request["Instances"]["EmrManagedMasterSecurityGroup"] == "sg-1"
    assert request["BootstrapActions"][0]["ScriptBootstrapAction"] == {"Path": "s3://lake/boot.sh"}
    assert "ManagedScalingPolicy" not in request  # the sized number is the least of the row
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert (tags["team"], tags["sluice:environment"], tags["sluice:run-id"]) == ("data", "dev", "run-1")
    assert emr.steps(0) == dict.fromkeys(SELECTS, "COMPLETED")
    assert emr.states == ["TERMINATED"]
    costs = [project.context.store.spark_entries(target)[0] for target in SELECTS]
    assert all(entry.usd > 0 and entry.prices_as_of == date(2026, 1, 19) for entry in costs)
    assert project.context.store.leases() == ()


def test_a_cluster_asked_for_is_taken_as_it_is(emr: EmrSimulator, project: EmrProject) -> None:
    project.run(project.stage("r5.4xlarge:8"))

    groups = {group["InstanceRole"]: group for group in emr.requests[0]["Instances"]["InstanceGroups"]}
    assert (groups["CORE"]["InstanceType"], groups["CORE"]["InstanceCount"]) == ("r5.4xlarge", 8)
    assert "ManagedScalingPolicy" not in emr.requests[0]


def test_settings_of_other_formats_reach_spark_and_the_reading(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = project.rows.sources
    project.rows = project.rows.model_copy(update={"sources": (source.model_copy(update={"format": "iceberg"}),)})
    options = "spark.sql.catalog.glue=org.apache.iceberg.spark.SparkCatalog spark.sql.catalog.glue.io-impl=s3"
    settings = {"PACKAGES": "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.6.1", "OPTIONS": options}
    for name, value in {**settings, "CATALOG": "glue"}.items():
        monkeypatch.setenv(f"SLUICE_SPARK_{name}", value)

    assert not project.run(targets=["dwh.orders"]).failed

    (words,) = emr.step_words(0)
    assert words[words.index("--packages") + 1] == settings["PACKAGES"]
    assert [word for word in words if "catalog.glue" in word] == options.split()
    (read,) = json.loads(read_text(words[-1]) or "")["jobs"][0]["sources"]
    assert (read["format"], read["table"], read["options"]) == ("iceberg", "`glue`.`lake`.`orders`", {})


def test_what_would_be_rented_is_told_before(emr: EmrSimulator, project: EmrProject) -> None:
    choices = {"dwh.orders": Engine.SPARK, "dwh.days": Engine.SPARK, "dwh.other": Engine.WAREHOUSE}
    decisions = [
        Decision(target, "orders", Action.RUN, Reason.NEW_ROWS, "", choice=EngineChoice(engine, "", 30 * 2**30))
        for target, engine in choices.items()
    ]

    (cluster,) = planned_clusters(project.context, project.rows, decisions)
    (asked,) = planned_clusters(project.context, project.rows, decisions, "r5.4xlarge:8")

    assert cluster.targets == ("dwh.orders", "dwh.days")
    assert cluster.sizing is not None
    assert str(cluster).startswith("sales (dwh.orders, dwh.days): 3 × m5.xlarge, about 26 minutes and $0.42, ")
    assert str(asked.sizing) == "8 × r5.4xlarge"
    assert emr.called == []


def test_nothing_new_rents_nothing(emr: EmrSimulator, project: EmrProject) -> None:
    project.stage().run([], lambda models: Compiled())

    assert emr.requests == []


def test_a_step_that_fails_fails_its_transformation_alone(emr: EmrSimulator, project: EmrProject) -> None:
    emr.clusters_to_come = [ClusterPlot(steps={"dwh.orders": "failed"})]

    staged = project.run()

    assert list(staged.results) == ["dwh.days"]
    assert "ended as FAILED and left no result. Unknown Error." in staged.failed["dwh.orders"]
    assert emr.live == []


HARD = {"bootstrap": "settings", "misconfigured": "settings"}


@pytest.mark.parametrize("ending", HARD)
def test_what_no_retry_heals_switches_the_row_off(emr: EmrSimulator, project: EmrProject, ending: str) -> None:
    emr.clusters_to_come = [ClusterPlot(ends=ending)]

    staged = project.run()

    assert (staged.results, len(emr.requests), emr.live) == ({}, 1, [])
    for target in SELECTS:
        is_active, comment = project.comment(target)
        assert not is_active
        assert comment.startswith(f"{HARD[ending]} in run run-1")
        assert ENDINGS[ending][1] in comment
    assert project.context.store.spark_entries("dwh.days")[0].status is LoadStatus.SKIPPED
    assert project.context.store.leases() == ()


@pytest.mark.parametrize("ending", ["no_capacity", "spot"])
def test_the_next_type_of_the_row_is_rented_when_machines_are_short(
    emr: EmrSimulator, project: EmrProject, ending: str
) -> None:
    emr.clusters_to_come = [ClusterPlot(ends=ending, after_steps=1 if ending == "spot" else -1)]

    staged = project.run()

    assert not staged.failed
    assert emr.core_types == ["m5.xlarge", "m5.2xlarge"]
    assert emr.states == ["TERMINATED_WITH_ERRORS", "TERMINATED"]
    # what one cluster finished the next does not do again
    assert len(emr.steps(1)) == (1 if ending == "spot" else 2)
    again = {entry.target: len(project.context.store.spark_entries(entry.target)) for entry in
             project.context.store.spark_entries()}  # fmt: skip
    assert sorted(again.values()) == ([1, 2] if ending == "spot" else [2, 2])


def test_without_any_machines_the_rows_stay_on_and_say_so(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_EMR_SUBNETS", "subnet-1 subnet-2")
    emr.clusters_to_come = [ClusterPlot(ends="no_capacity")] * 4

    staged = project.run()

    assert staged.results == {}
    tried = [(kind, request["Instances"]["Ec2SubnetId"]) for kind, request in
             zip(emr.core_types, emr.requests, strict=True)]  # fmt: skip
    assert tried == [(kind, subnet) for kind in M5 for subnet in ("subnet-1", "subnet-2")]
    is_active, comment = project.comment("dwh.days")
    assert is_active
    assert comment.startswith("capacity in run run-1")
    assert emr.live == []


def test_a_cluster_that_never_starts_counts_as_no_capacity(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_EMR_START_MINUTES", "0.005")
    emr.clusters_to_come = [ClusterPlot(stays_starting=True)]

    staged = project.run()

    assert not staged.failed
    assert emr.core_types == ["m5.xlarge", "m5.2xlarge"]
    assert emr.live == []


def test_throttled_calls_are_made_again(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.spark.emr.idempotency._FIRST_PAUSE_SECONDS", 0.01)
    with emr.in_trouble("throttled"):
        staged = project.run()

    assert not staged.failed
    assert emr.called.count("RunJobFlow") == 3
    assert emr.states == ["TERMINATED"]


@pytest.mark.parametrize("is_hidden", [False, True])
def test_a_cluster_whose_answer_was_lost_is_found_and_taken(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch, is_hidden: bool
) -> None:
    monkeypatch.setattr("flows.spark.emr.idempotency._FIRST_PAUSE_SECONDS", 0.01)
    emr.rent_by_hand("sluice-dev-sales", {"sluice:environment": "dev"})
    emr.answers_lost = {"RunJobFlow": 1}
    emr.hidden_lists = 1 if is_hidden else 0  # then it is asked for again, and the first one is found at the end

    staged = project.run()

    assert not staged.failed
    assert emr.called.count("RunJobFlow") == 2 + is_hidden
    assert emr.states == ["WAITING", *["TERMINATED"] * (1 + is_hidden)]
    assert emr.steps(1 + is_hidden) == dict.fromkeys(SELECTS, "COMPLETED")
    assert project.context.store.leases() == ()


def test_steps_whose_answer_was_lost_are_not_given_twice(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.spark.emr.idempotency._FIRST_PAUSE_SECONDS", 0.01)
    emr.answers_lost = {"AddJobFlowSteps": 1}

    staged = project.run()

    assert not staged.failed
    assert emr.called.count("AddJobFlowSteps") == 1
    assert len(emr.keys("results/")) == 2 * len(SELECTS)


def test_answers_that_are_always_lost_are_soft_and_leave_no_cluster(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    emr.answers_lost = {"RunJobFlow": 9}
    emr.hidden_lists = 1

    staged = project.run()

    assert sorted(staged.failed) == sorted(SELECTS)
    assert project.comment("dwh.days")[1].startswith("connection in run run-1")
    assert [cluster.run_id for cluster in sweep(project.context)] == ["run-1"]
    assert emr.live == []


def test_an_attempt_that_ends_late_leaves_the_result_of_the_next_as_it_is(
    emr: EmrSimulator, project: EmrProject
) -> None:
    emr.clusters_to_come = [ClusterPlot(ends="spot", after_steps=0)]

    staged = project.run()
    result = staged.results["dwh.orders"]
    assert isinstance(result, dict)
    before = read_text(result["manifest"])
    attempts = {
        key.rpartition("-")[2].removesuffix(".json"): key for key in emr.keys("sluice/runs/") if "orders" in key
    }
    (late,) = [key for attempt, key in attempts.items() if attempt not in result["manifest"]]
    assert pretend(emr, [f"s3://{BUCKET}/{late}"]) is None  # the lost step was still at work

    assert read_text(result["manifest"]) == before
    manifests = [key for key in emr.keys("results/") if "dwh__orders" in key and key.endswith(".manifest.json")]
    folders = [json.loads(read_text(f"s3://{BUCKET}/{key}") or "")["author"]["folder"] for key in manifests]
    assert len(set(folders)) == 2
    assert result["pattern"] == f"{json.loads(before or '')['author']['folder']}/*.parquet"


def test_a_job_that_does_not_lie_on_s3_rents_nothing(emr: EmrSimulator, project: EmrProject) -> None:
    (source,) = project.rows.sources
    project.rows = project.rows.model_copy(update={"sources": (source.model_copy(update={"location": "lake/orders"}),)})

    staged = project.run()

    assert "a cluster reads and writes s3:// only, not " in staged.failed["dwh.days"]
    assert project.comment("dwh.days")[1].startswith("settings in run run-1")
    assert emr.requests == []


def test_an_api_that_is_down_while_the_cluster_works_costs_nothing_when_it_comes_back(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    emr.down_after = ("AddJobFlowSteps", 5)

    staged = project.run()

    assert not staged.failed
    assert emr.states == ["TERMINATED"]


def test_an_api_that_stays_down_is_soft_and_emr_ends_the_cluster_by_itself(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("SLUICE_EMR_SILENCE_MINUTES", "0.005")
    monkeypatch.setenv("SLUICE_EMR_IDLE_MINUTES", "1")
    emr.down_after = ("AddJobFlowSteps", 10**6)

    staged = project.run()

    assert staged.results == {}
    is_active, comment = project.comment("dwh.orders")
    assert is_active
    assert comment.startswith("connection in run run-1")
    assert any("could not be terminated" in sentence and "sluice emr sweep" in sentence for sentence in project.heard)
    emr.down_after = None
    emr.wait_until(lambda: emr.live == [])
    assert emr.states == ["TERMINATED"]


CHILD = """
import sys
from pathlib import Path
from tests.support.emr_project import EmrProject
project = EmrProject(Path(sys.argv[1]), pipeline={"sla_minutes": 120})
project.run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_cluster(emr: EmrSimulator, project: EmrProject, number: int) -> None:
    emr.clusters_to_come = [ClusterPlot(steps=dict.fromkeys(SELECTS, "hangs"))]
    root = Path(__file__).parents[4]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(project.root)], env=environment)
    emr.wait_until(lambda: emr.states != [] and "RUNNING" in emr.steps(0).values())
    assert sweep(project.context) == ()  # somebody waits for it

    child.send_signal(number)
    code = child.wait(timeout=30)

    if number is signal.SIGTERM:
        assert code == 143
    else:
        assert len(emr.live) == 1
        (orphan,) = sweep(project.context, is_dry=True)
        assert (orphan.run_id, orphan.state, orphan.requested_by) == ("run-1", "RUNNING", "tester")
        assert len(emr.live) == 1
        assert monitor(project.context).swept == (orphan.cluster_id,)
    assert emr.live == []
    assert emr.keys("results/") == []


def test_the_sweep_leaves_clusters_of_others_alone(emr: EmrSimulator, project: EmrProject, tmp_path: Path) -> None:
    other = EmrProject(tmp_path / "other")
    emr.rent_by_hand("sluice-dev-sales", {"sluice:owner": "somebody else", "sluice:environment": "dev"})
    emr.rent_by_hand("nightly", {})

    assert sweep(project.context) == sweep(other.context) == ()
    assert len(emr.live) == 2
    other.context.store.close()


def test_three_primary_nodes_are_unprotected_before_they_are_ended(emr: EmrSimulator, tmp_path: Path) -> None:
    project = EmrProject(tmp_path, pipeline={"emr_master_count": 3, "emr_core_min": 2, "emr_core_max": 2})

    project.run()

    assert emr.called.count("SetTerminationProtection") == 1
    assert emr.states == ["TERMINATED"]
    project.context.store.close()


def test_the_command_sweeps(emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.spark.emr.sweep import owner_tag

    tags = {"sluice:owner": owner_tag(project.context), "sluice:environment": "dev", "sluice:run-id": "old"}
    emr.rent_by_hand("sluice-dev-sales", tags)
    monkeypatch.chdir(project.root)
    app = typer.Typer()
    register(app)

    found = [
        json.loads(CliRunner().invoke(app, ["emr", "sweep", "--json", *more]).stdout) for more in (["--plan"], [], [])
    ]

    assert [[item["run_id"] for item in document["clusters"]] for document in found] == [["old"], ["old"], []]
    assert [document["is_ended"] for document in found] == [False, True, True]
    assert emr.live == []


@pytest.mark.parametrize(
    ("step", "cluster", "ends"),
    [
        ("PENDING", "RUNNING", None),
        ("CANCELLED", "TERMINATING", None),  # only at its end EMR says why
        ("CANCELLED", "TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE: it broke"),
        ("PENDING", "TERMINATED_WITH_ERRORS", "BOOTSTRAP_FAILURE: it broke"),
        ("CANCELLED", "RUNNING", "was cancelled"),
    ],
)
def test_a_job_is_lost_when_its_cluster_is_and_the_reason_is_known(step: str, cluster: str, ends: str | None) -> None:
    reason = {"Code": "BOOTSTRAP_FAILURE", "Message": "it broke"} if cluster.startswith("TERMINAT") else {}
    described = {"Id": "j-1", "Status": {"State": cluster, "StateChangeReason": reason}}
    seen = read_cluster(described, [{"Id": "s-1", "Status": {"State": step}}])
    job = SparkJob("dwh.orders", "one", SparkSelect("select 1", (), ()), {}, "s3://lake/none", 1)

    end = end_of(job, seen.steps["s-1"], seen, datetime(2026, 1, 1, tzinfo=UTC))

    if ends is None:
        assert end is None
    else:
        assert end is not None
        assert end.status is JobStatus.LOST
        assert ends in (end.error or "")


def _with_text(project: EmrProject, tmp_path: Path, location: str) -> tuple[Path, str]:
    """Let the lake hold one CSV file, of which there is a copy; returns the copy and the listing."""
    (orders,) = project.rows.sources
    columns = [{"name": name, "type": kind} for name, kind in COLUMNS.items()]
    values = {**orders.model_dump(by_alias=True), "format": "csv", "columns": columns, "location": location}
    project.rows = project.rows.model_copy(update={"sources": (SourceRow.model_validate(values),)})
    copy, listing = tmp_path / "a.csv.parquet", tmp_path / "listing.csv"
    copy.write_bytes(b"what was read of a.csv")
    listing.write_text(f'"pattern","path","name","version","left_out_by","rejects"\n"p","{copy}","a.csv","1:1","",""\n')
    return copy, json.dumps({"listing": str(listing), "patterns": {"p": {}}, "sources": {"lake.orders": "p"}})


def _run(project: EmrProject, files: str) -> Staged:
    choice = EngineChoice(Engine.SPARK, "its pipeline says engine: spark", 10 * GIB)
    chosen = [(row, choice) for row in project.rows.transformations]
    return project.stage().run(
        chosen, lambda models: Compiled(dict.fromkeys(models, f"select 1 from ({WINDOW} x)")), files
    )


def test_copies_of_text_files_go_to_the_cluster_once(emr: EmrSimulator, project: EmrProject, tmp_path: Path) -> None:
    copy, files = _with_text(project, tmp_path, "s3://lake/orders")

    for _ in range(2):
        assert not _run(project, files).failed

    (key,) = emr.keys("sluice/copies/")
    assert emr.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == copy.read_bytes()
    jobs = [json.loads(read_text(f"s3://{BUCKET}/{name}"))["jobs"][0] for name in emr.keys("sluice/runs/")]
    assert jobs
    assert {file for job in jobs for source in job["sources"] for file in source["files"]} == {f"s3://{BUCKET}/{key}"}


def test_text_in_partition_folders_is_not_for_a_cluster(emr: EmrSimulator, project: EmrProject, tmp_path: Path) -> None:
    _, files = _with_text(project, tmp_path, "s3://lake/orders/day=*/")
    staged = _run(project, files)
    reason = "a cluster does not read lake.orders, text files in partition folders"
    assert [reason in text for text in staged.failed.values()] == [True, True]
    assert not emr.requests
