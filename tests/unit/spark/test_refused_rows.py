"""A row that cannot run on Spark stops itself: the others get their engine, their job, and their Spark."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from flows.backfill.slices import ExcludedTarget
from flows.gate.facts import Action, Decision, EngineChoice, Reason
from flows.incidents.incident import find
from flows.run.model import OutcomeStatus, RunRequest
from flows.run.outcome import Compiled, outcome_without_run
from flows.spark.analyzer import spark_selects
from flows.spark.backend import JobStatus
from flows.spark.engine_choice import EngineChooser, with_engines
from flows.spark.jobs import SparkJob
from flows.spark.local import LocalCluster, utc_now
from flows.spark.settings import SparkSettings
from flows.warehouse.load_log import WarehouseState
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.spark import SparkSelect
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.vocabulary import Engine
from tests.support.emr_project import GIB, WINDOW, EmrProject
from tests.support.emr_simulator import EmrSimulator

pytestmark = pytest.mark.processes


@pytest.fixture
def project(emr: EmrSimulator, tmp_path: Path) -> Iterator[EmrProject]:
    project = EmrProject(tmp_path, pipeline={"engine": "auto", "spark_threshold_gb": "1"})
    yield project
    project.context.store.close()


def _to_run(*targets: str) -> list[Decision]:
    return [Decision(target, "orders", Action.RUN, Reason.NEW_ROWS, "New rows.") for target in targets]


def _without_output(project: EmrProject, target: str) -> None:
    rows = [
        row.model_copy(update={"output_path": None}) if str(row.name) == target else row
        for row in project.rows.transformations
    ]
    project.rows = project.rows.model_copy(update={"transformations": tuple(rows)})


@pytest.mark.parametrize("request_", [RunRequest(engine=Engine.SPARK), RunRequest(cluster="r5.4xlarge:8")])
def test_a_row_that_spark_refuses_is_held_and_the_others_run(project: EmrProject, request_: RunRequest) -> None:
    _without_output(project, "dwh.days")

    orders, days = with_engines(
        project.context, request_, project.rows, WarehouseState(), _to_run("dwh.orders", "dwh.days")
    )

    assert orders.action is Action.RUN
    assert orders.choice is not None
    assert orders.choice.engine is Engine.SPARK
    assert (days.action, days.reason) == (Action.HOLD, Reason.NOT_ON_SPARK)
    assert "it cannot run on Spark: Spark needs a folder for its result" in days.message


def test_a_row_held_for_one_request_opens_no_incident(project: EmrProject) -> None:
    held = Decision("dwh.days", "orders", Action.HOLD, Reason.NOT_ON_SPARK, "it cannot run on Spark: LATERAL")

    outcome = outcome_without_run(held, ())

    assert outcome.status is OutcomeStatus.HELD
    assert find([outcome], project.rows, (), {}) == ()


def test_a_folder_that_cannot_be_listed_holds_its_readers(project: EmrProject) -> None:
    (orders,) = project.rows.sources
    gone = SourceRow.model_validate(
        {"schema": "lake", "table": "gone", "kind": "lake", "format": "parquet", "location": "s3://no-such-bucket/x"}
    )
    reads = [
        row.model_copy(update={"dependencies": [row.dependencies[0].model_copy(update={"table": "lake.gone"})]})
        if str(row.name) == "dwh.days"
        else row
        for row in project.rows.transformations
    ]
    project.rows = project.rows.model_copy(update={"sources": (orders, gone), "transformations": tuple(reads)})

    found = with_engines(
        project.context, RunRequest(), project.rows, WarehouseState(), _to_run("dwh.orders", "dwh.days")
    )

    assert [item.action for item in found] == [Action.RUN, Action.HOLD]
    assert (found[1].reason, found[1].message.partition(": ")[0]) == (
        Reason.SOURCE_UNREADABLE,
        "lake.gone cannot be read",
    )


def test_a_backfill_leaves_out_what_spark_refuses(project: EmrProject) -> None:
    from flows.backfill.backfill import _choose

    _without_output(project, "dwh.days")
    chooser = EngineChooser(project.context, project.rows, Engine.SPARK)
    orders, days = [chooser.row(target) for target in ("dwh.orders", "dwh.days")]
    assert orders is not None
    assert days is not None

    assert isinstance(_choose(chooser, orders, ()), EngineChoice)
    found = _choose(chooser, days, ())
    assert isinstance(found, ExcludedTarget)
    assert "cannot run on Spark" in found.reason


def test_a_model_that_dbt_cannot_compile_fails_alone(emr: EmrSimulator, project: EmrProject) -> None:
    chosen = [(row, EngineChoice(Engine.SPARK, "", 10 * GIB)) for row in project.rows.transformations]

    staged = project.stage().run(
        chosen, lambda _: Compiled({"dwh__orders": f"select 1 from ({WINDOW} x)"}, {"dwh__days": "dwh.days: no key"})
    )

    assert sorted(staged.results) == ["dwh.orders"]
    assert staged.failed == {"dwh.days": "dwh.days: no key"}
    assert emr.live == []


def test_a_window_that_no_cluster_reads_fails_alone(emr: EmrSimulator, project: EmrProject) -> None:
    chosen = [
        (row, EngineChoice(Engine.SPARK, "", int("9" * 400) if str(row.name) == "dwh.days" else 10 * GIB))
        for row in project.rows.transformations
    ]

    staged = project.stage().run(chosen, lambda models: Compiled(dict.fromkeys(models, f"select 1 from ({WINDOW} x)")))

    assert sorted(staged.results) == ["dwh.orders"]
    assert "more than any cluster reads" in staged.failed["dwh.days"]
    assert emr.live == []


def test_an_output_path_that_leaves_the_project_fails_alone(emr: EmrSimulator, project: EmrProject) -> None:
    rows = [
        row.model_copy(update={"output_path": "../../elsewhere"}) if str(row.name) == "dwh.days" else row
        for row in project.rows.transformations
    ]
    project.rows = project.rows.model_copy(update={"transformations": tuple(rows)})

    staged = project.run()

    assert sorted(staged.results) == ["dwh.orders"]
    assert list(staged.failed) == ["dwh.days"]


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"engine": "auto", "spark_threshold_gb": "1"}, 2),
        ({"engine": "spark"}, 2),
        ({"engine": "auto", "spark_threshold_gb": None}, 0),
        ({"engine": "warehouse"}, 0),
    ],
)
def test_spark_is_asked_about_every_row_that_a_forecast_may_send_there(
    project: EmrProject, values: dict[str, object], count: int
) -> None:
    (pipeline,) = project.rows.pipelines
    changed = type(pipeline).model_validate({**pipeline.model_dump(), **values})
    rows = project.rows.model_copy(update={"pipelines": (changed,)})

    assert len(spark_selects(Catalog(rows, project.context.project, project.context.columns))) == count


_SUBMIT = """#!{python}
import json, sys
jobs = json.load(open(sys.argv[-2]))["jobs"]
open("{folder}/calls", "a").write(",".join(job["target"] for job in jobs) + chr(10))
for job in jobs:
    if job["target"] in {deadly!r}:
        print("java.lang.OutOfMemoryError: Java heap space")
        sys.exit(137)
    folder = job["output"] + "/attempt=" + job["attempt"] + "-1"
    import os
    os.makedirs(folder, exist_ok=True)
    author = {{"attempt": job["attempt"], "folder": folder, "seconds": 1.0}}
    manifest = {{"entries": [], "schema": {{"elements": []}}, "meta": {{"record_count": 0}}, "author": author}}
    open(job["manifest"], "w").write(json.dumps(manifest))
"""


@pytest.mark.parametrize(
    ("deadly", "calls"),
    [
        ((), ["a,b,c,d"]),
        (("b",), ["a,b,c,d", "c,d"]),
        (("a",), ["a,b,c,d", "b,c,d"]),
        (("a", "c"), ["a,b,c,d", "b,c,d", "d"]),
        (("a", "b", "c", "d"), ["a,b,c,d", "b,c,d"]),
    ],
)
def test_a_job_that_kills_spark_here_fails_alone(tmp_path: Path, deadly: Sequence[str], calls: list[str]) -> None:
    """Twice in a row without a single job means that Spark does not start: the rest is not tried one by one."""
    submit = tmp_path / "spark" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(_SUBMIT.format(python=sys.executable, folder=tmp_path, deadly=tuple(deadly)))
    submit.chmod(0o755)
    cluster = LocalCluster(
        tmp_path / "state",
        SparkSettings(),
        {"SPARK_HOME": str(tmp_path / "spark")},
        utc_now,
        say=lambda _: None,
        on_step=lambda *_: None,
    )
    select = SparkSelect("SELECT 1", (), ())

    ends = cluster.run([SparkJob(name, f"one-{name}", select, {}, str(tmp_path / "out"), 1) for name in "abcd"])

    assert (tmp_path / "calls").exists(), {name: end.error for name, end in ends.items()}
    assert (tmp_path / "calls").read_text().splitlines() == calls
    failed = {name for name, end in ends.items() if end.status is JobStatus.FAILED}
    assert failed == set(deadly)
    assert all("OutOfMemoryError" in (ends[name].error or "") for name in failed)
