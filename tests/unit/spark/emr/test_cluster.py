"""One cluster's trouble on the simulator: the right class, the right comment, and no cluster left after any of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.gate.facts import Action, Decision, EngineChoice, Reason
from flows.spark.backend import Bill, JobEnd, JobStatus
from flows.spark.cost_caps import hold_beyond_caps
from flows.spark.emr.cluster_state import read_cluster
from flows.spark.emr.sweep import owner_tag, sweep
from metadata_sync.database.journals.entries import LoadStatus, SparkEntry
from metadata_sync.rows.vocabulary import Engine
from tests.support.emr_project import GIB, SELECTS, EmrProject
from tests.support.emr_simulator import ENDINGS, ClusterPlot, EmrSimulator

pytestmark = pytest.mark.processes

M5 = ("m5.xlarge", "m5.2xlarge")


@pytest.fixture
def project(emr: EmrSimulator, tmp_path: Path) -> Iterator[EmrProject]:
    project = EmrProject(tmp_path, pipeline={"emr_instance_types": M5, "sla_minutes": 120})
    yield project
    project.context.store.close()


@pytest.fixture(autouse=True)
def _hurries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.spark.emr.idempotency._FIRST_PAUSE_SECONDS", 0.01)


@pytest.mark.parametrize(
    ("ending", "is_active", "failure_class"),
    [
        ("no_capacity", True, "capacity"),
        ("quota", True, "capacity"),
        ("addresses", True, "capacity"),
        ("instance", True, "connection"),
        ("spot", True, "spot_loss"),
        ("bootstrap", False, "settings"),
        ("user", False, "stopped"),
    ],
)
def test_steps_for_a_terminating_cluster_are_lost_for_emrs_own_reason(
    emr: EmrSimulator, project: EmrProject, ending: str, is_active: bool, failure_class: str
) -> None:
    """EMR refuses them while it terminates the cluster; it says why only afterwards."""
    emr.clusters_to_come = [ClusterPlot(ends=ending, terminating_seconds=0.5)] * 2

    staged = project.run()

    assert sorted(staged.failed) == sorted(SELECTS)
    for target in SELECTS:
        found = project.comment(target)
        assert (found[0], found[1].partition(" ")[0]) == (is_active, failure_class)
        assert ENDINGS[ending][1].format(type=M5[-1]) in staged.failed[target]
        assert "may not be modified" not in staged.failed[target]
    assert len(emr.requests) == (2 if failure_class in ("capacity", "spot_loss") else 1)
    assert emr.live == []
    assert project.context.store.leases() == ()


@pytest.mark.parametrize("after_steps", [-1, 0, 1])
def test_a_persons_termination_is_said_as_that(emr: EmrSimulator, project: EmrProject, after_steps: int) -> None:
    emr.clusters_to_come = [ClusterPlot(ends="user", after_steps=after_steps)]

    staged = project.run()

    assert len(staged.failed) == 2 - max(0, after_steps)
    for target, error in staged.failed.items():
        assert "was ended by a person or a program other than this run: USER_REQUEST" in error
        assert project.comment(target)[1].startswith("stopped in run run-1")
    assert len(emr.requests) == 1
    assert emr.live == []


def test_a_sweep_without_the_lease_is_no_person(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.spark.emr.backend.EmrBackend.holds_lease", lambda *_: False)
    emr.clusters_to_come = [ClusterPlot(ends="user", after_steps=0)]

    staged = project.run()

    assert "was ended by `sluice emr sweep` after the lease of its run had expired" in staged.failed["dwh.days"]
    assert project.comment("dwh.days")[0]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationException", "The number of instances for job flow exceeds the EC2 quota of your account"),
        ("VcpuLimitExceeded", "You have requested more vCPU capacity than allowed"),
        ("InstanceLimitExceeded", "Your quota allows for 0 more running instances"),
        ("LimitExceededException", "The maximum number of active clusters is reached"),
    ],
)
def test_a_refused_request_for_lack_of_quota_is_capacity_and_the_next_type_is_asked_for(
    emr: EmrSimulator, project: EmrProject, code: str, message: str
) -> None:
    emr.refusals = [(code, message)]

    assert not project.run().failed

    assert emr.core_types == ["m5.2xlarge"]
    emr.refusals = [(code, message)] * 2
    staged = project.run(project.stage())
    assert message in staged.failed["dwh.days"]
    assert project.comment("dwh.days")[0]
    assert project.comment("dwh.days")[1].startswith("capacity in run run-1")
    assert emr.live == []


def test_another_refusal_is_not_asked_again(emr: EmrSimulator, project: EmrProject) -> None:
    emr.refusals = [("ValidationException", "The role is invalid")]

    staged = project.run()

    assert "The role is invalid" in staged.failed["dwh.orders"]
    assert project.comment("dwh.orders")[1].startswith("settings in run run-1")
    assert (emr.requests, emr.live) == ([], [])


def test_a_manifest_that_cannot_be_read_for_a_while_loses_nothing(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.spark import aws

    aws._client.cache_clear()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    emr.unread_manifests = 3

    staged = project.run()

    aws._client.cache_clear()
    assert not staged.failed
    assert sorted(staged.results) == sorted(SELECTS)
    assert len(emr.requests) == 1
    assert emr.states == ["TERMINATED"]


def test_a_manifest_that_is_never_readable_loses_its_own_job(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.spark import aws

    aws._client.cache_clear()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("SLUICE_EMR_SILENCE_MINUTES", "0.005")
    emr.unread_manifests = 10**6

    staged = project.run()

    aws._client.cache_clear()
    assert sorted(staged.failed) == sorted(SELECTS)
    assert project.comment("dwh.days")[0]
    assert project.comment("dwh.days")[1].startswith("connection in run run-1")
    assert emr.live == []


def test_a_step_beyond_its_limit_is_cancelled_and_the_next_one_runs(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_EMR_STEP_MINUTES", "0.001")
    monkeypatch.setattr("flows.spark.stage.work_minutes", lambda *_: 0.01)
    emr.clusters_to_come = [ClusterPlot(steps={"dwh.orders": "hangs"})]

    staged = project.run()

    assert list(staged.results) == ["dwh.days"]
    assert "ran longer than its limit of 0 minutes and was cancelled" in staged.failed["dwh.orders"]
    assert emr.steps(0) == {"dwh.orders": "CANCELLED", "dwh.days": "COMPLETED"}
    is_active, comment = project.comment("dwh.orders")
    assert is_active
    assert comment.startswith("timeout in run run-1")
    assert emr.live == []


def test_a_step_that_does_not_let_itself_be_cancelled_ends_the_cluster(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_EMR_STEP_MINUTES", "0.001")
    monkeypatch.setenv("SLUICE_EMR_SILENCE_MINUTES", "0.005")
    monkeypatch.setattr("flows.spark.stage.work_minutes", lambda *_: 0.01)
    emr.clusters_to_come = [ClusterPlot(steps={"dwh.orders": "hangs"}, ignores_cancels=True)]

    staged = project.run()

    assert "EMR has not cancelled step" in staged.failed["dwh.days"]
    assert project.comment("dwh.days")[0]
    assert emr.live == []


def test_a_rows_limit_is_a_multiple_of_its_forecast(project: EmrProject) -> None:
    stage = project.stage()
    (pipeline,) = project.rows.pipelines
    group = _group(project)
    sizing = group.sized(stage._prices)
    item = replace(group.items[0], scan_bytes=500 * GIB)

    limits = []
    for factor in (None, 2):
        changed = replace(item, pipeline=pipeline.model_copy(update={"emr_step_limit": factor}))
        limits.append(stage._limited(_prepared(project, changed), sizing).limit_seconds)

    assert limits[0] == pytest.approx(2.5 * (limits[1] or 0))
    small = stage._limited(_prepared(project, replace(item, scan_bytes=1)), sizing)
    assert small.limit_seconds == 3600


def test_a_cluster_that_reaches_its_cap_is_ended_and_says_so(
    emr: EmrSimulator, project: EmrProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cap of some seconds of the cluster; the forecast is told to be nothing."""
    _set(project, emr_usd_per_run="0.0008")
    monkeypatch.setattr("flows.spark.stage.check_cap", lambda *_: None)
    emr.clusters_to_come = [ClusterPlot(steps={"dwh.days": "hangs"})]

    staged = project.run()

    assert list(staged.results) == ["dwh.orders"]
    assert "was ended after 0 minutes: emr_usd_per_run = 0.0008" in staged.failed["dwh.days"]
    is_active, comment = project.comment("dwh.days")
    assert not is_active
    assert comment.startswith("reject_limit in run run-1")
    assert len(emr.requests) == 1
    assert emr.live == []


@pytest.mark.parametrize("setting", ["emr_usd_per_run", "emr_usd_per_month"])
def test_a_cluster_that_would_cost_more_than_its_cap_is_not_rented(
    emr: EmrSimulator, project: EmrProject, setting: str
) -> None:
    _set(project, **{setting: "0.10"})

    staged = project.run()

    assert f"The cluster of sales would cost $0.20, and {setting} = 0.10." in staged.failed["dwh.days"]
    assert emr.requests == []
    held = hold_beyond_caps(project.context, project.rows, _decisions(), None)
    assert [(item.action, item.reason) for item in held] == [(Action.HOLD, Reason.COST_CAP)] * 2
    assert held[0].message.startswith("its cluster, 2 × m5.xlarge, would cost $0.")
    assert held[0].message.endswith(f"{setting} = 0.10")


def test_what_this_month_has_cost_counts_and_last_month_does_not(emr: EmrSimulator, project: EmrProject) -> None:
    _set(project, emr_usd_per_month="5")
    now = project.context.now()
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    project.context.store.record_spark([_entry(first - timedelta(seconds=1), 100.0), _entry(first, 4.5)])

    assert not hold_beyond_caps(project.context, project.rows, _decisions(), None)[0].message
    project.context.store.record_spark([_entry(now, 0.45)])

    held = hold_beyond_caps(project.context, project.rows, _decisions(), None)[0]
    assert held.action is Action.HOLD
    assert "emr_usd_per_month = 5, of which $4.95 is spent" in held.message


def test_managed_scaling_starts_from_the_sized_number_and_never_exceeds_it(emr: EmrSimulator, tmp_path: Path) -> None:
    project = EmrProject(tmp_path, pipeline={"emr_instance_types": ["m5.xlarge"], "sla_minutes": 12})

    project.run()

    (request,) = emr.requests
    core = [group for group in request["Instances"]["InstanceGroups"] if group["InstanceRole"] == "CORE"]
    limits = request["ManagedScalingPolicy"]["ComputeLimits"]
    assert core[0]["InstanceCount"] == limits["MaximumCapacityUnits"] > limits["MinimumCapacityUnits"] == 2
    project.context.store.close()


def test_the_owner_is_the_databases_own_id(emr: EmrSimulator, project: EmrProject, tmp_path: Path) -> None:
    """The same file under another path and host name is the same database; another one is not."""
    other = EmrProject(tmp_path / "other")

    assert owner_tag(project.context) == project.context.store.identity()
    assert owner_tag(project.context) != owner_tag(other.context)
    moved = tmp_path / "moved"
    moved.mkdir()
    project.context.store.close()
    (project.root / ".sluice").rename(moved / ".sluice")
    (project.root / "dbt_project").rename(moved / "dbt_project")
    (project.root / "profiles.yml").rename(moved / "profiles.yml")
    again = EmrProject(moved)
    emr.rent_by_hand("sluice-dev-sales", {"sluice:owner": again.context.store.identity(), "sluice:environment": "dev"})
    assert sweep(other.context, is_dry=True) == ()
    assert len(sweep(again.context)) == 1
    assert emr.live == []
    again.context.store.close()
    other.context.store.close()


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_clock_that_differs_from_emrs_changes_no_times(
    emr: EmrSimulator, project: EmrProject, ahead: timedelta
) -> None:
    emr.ahead = ahead

    assert not project.run().failed

    now = datetime.now(UTC)
    for entry in project.context.store.spark_entries():
        assert abs(now - entry.started_at) < timedelta(minutes=1)
        assert 0 <= entry.step_seconds < 60
        assert 0 <= entry.cluster_seconds < 60
        assert 0 <= entry.usd < 0.1


def test_no_duration_is_negative() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)

    assert JobEnd(JobStatus.DONE, late, early).seconds == 0
    bill = Bill("emr", "j-1", None, 4, late, ready_at=early, closed_at=early)
    assert (bill.seconds, bill.startup_seconds) == (0, 0)


def test_a_cut_off_manifest_is_no_result(emr: EmrSimulator, project: EmrProject) -> None:
    emr.clusters_to_come = [ClusterPlot(steps={"dwh.orders": "cut_off"})]

    staged = project.run()

    assert list(staged.results) == ["dwh.days"]
    assert "ended as COMPLETED and left no result" in staged.failed["dwh.orders"]
    assert emr.live == []


def test_access_denied_inside_spark_is_permission(emr: EmrSimulator, project: EmrProject) -> None:
    emr.clusters_to_come = [ClusterPlot(steps={"dwh.orders": "denied"})]

    staged = project.run()

    assert list(staged.results) == ["dwh.days"]
    is_active, comment = project.comment("dwh.orders")
    assert not is_active
    assert comment.startswith("permission in run run-1")
    assert emr.live == []


def test_a_cluster_ended_by_request_says_who_did_not_end_it() -> None:
    status = {"State": "TERMINATED", "StateChangeReason": {"Code": "USER_REQUEST", "Message": "by user"}}
    assert "other than this run" in str(read_cluster({"Id": "j-1", "Status": status}, ()))
    status["StateChangeReason"] = {"Code": "ALL_STEPS_COMPLETED"}
    assert (
        str(read_cluster({"Id": "j-1", "Status": status}, ())) == "EMR cluster j-1 is TERMINATED: ALL_STEPS_COMPLETED"
    )


def _decisions() -> list[Decision]:
    choice = EngineChoice(Engine.SPARK, "", 10 * GIB)
    return [Decision(target, "orders", Action.RUN, Reason.NEW_ROWS, "", choice=choice) for target in SELECTS]


def _set(project: EmrProject, **values: str) -> None:
    (pipeline,) = project.rows.pipelines
    changed = type(pipeline).model_validate({**pipeline.model_dump(), **values})
    project.rows = project.rows.model_copy(update={"pipelines": (changed,)})


def _entry(finished_at: datetime, usd: float) -> SparkEntry:
    return SparkEntry(
        run_id="old", job_group="sales", target="dwh.days", status=LoadStatus.SUCCESS, backend="emr",
        cluster_id="j-0", instance_type="m5.xlarge", core_count=2, task_cores=6, started_at=finished_at,
        finished_at=finished_at, scan_bytes=1, row_count=1, predicted_minutes=1.0, predicted_usd=1.0,
        startup_seconds=1.0, step_seconds=1.0, cluster_seconds=1.0, usd=usd, prices_as_of=None, advice=None,
        error_message=None,
    )  # fmt: skip


def _group(project: EmrProject):  # type: ignore[no-untyped-def]
    from flows.spark.sizing.groups import GroupMember, make_groups
    from flows.spark.sizing.learning import learn

    (pipeline,) = project.rows.pipelines
    items = [GroupMember(row, pipeline, GIB, learn([])) for row in project.rows.transformations]
    return make_groups(items, None, None)[0]


def _prepared(project: EmrProject, item):  # type: ignore[no-untyped-def]
    from flows.spark.jobs import SparkJob
    from flows.spark.preparation import PreparedJob
    from metadata_sync.analysis.spark import SparkSelect

    job = SparkJob("dwh.orders", "one", SparkSelect("select 1", (), ()), {}, "s3://lake/none", item.scan_bytes)
    return PreparedJob(job, item, {})
