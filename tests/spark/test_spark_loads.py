"""The same rows through the warehouse and through Spark give the same tables: a month of flights, some late."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest

from flows.backfill.backfill import BackfillRequest, plan_backfill, run_backfill
from flows.engine.engine import prepare
from flows.gate.facts import Reason
from flows.run.model import OutcomeStatus, RunRequest, RunSummary
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.rows.vocabulary import Engine
from tests.support.flights_project import BROKEN, TARGETS, FlightsProject, differences, land, make_lake

FIRST, MIDDLE = date(2013, 1, 2), date(2013, 1, 10)
LAST = date.fromisoformat(os.environ.get("SLUICE_FLIGHTS_UNTIL", "2013-02-01"))
"""A month; `SLUICE_FLIGHTS_UNTIL=2014-01-01 … -k same_table` compares the whole year."""


@dataclass
class Story:
    """Both projects after two loads, and what the Spark side did."""

    warehouse: FlightsProject
    spark: FlightsProject
    first: RunSummary
    second: RunSummary


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, spark_submit: None) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("spark")
    warehouse, spark = FlightsProject(folder / "warehouse"), FlightsProject(folder / "on_spark")
    make_lake(folder / "made", FIRST, LAST)
    for project in (warehouse, spark):
        land(folder / "made", project.lake, MIDDLE)
    warehouse.apply()
    spark.apply()
    warehouse.run()
    first = spark.run(Engine.SPARK)
    for project in (warehouse, spark):
        land(folder / "made", project.lake, LAST)
    spark.apply(has_broken=True)
    warehouse.run()
    second = spark.run(Engine.SPARK)
    yield Story(warehouse, spark, first, second)
    warehouse.context.store.close()
    spark.context.store.close()


def test_spark_loads_everything_the_first_time(story: Story) -> None:
    assert story.spark.statuses(story.first) == dict.fromkeys(sorted(TARGETS), "loaded")


@pytest.mark.parametrize("target", TARGETS)
def test_both_engines_give_the_same_table(story: Story, target: str) -> None:
    assert differences(story.warehouse.warehouse, story.spark.warehouse, target) == []
    assert story.spark.query(f"select count(*) > 1000 from {target}") == [(True,)]


def test_an_increment_reads_its_new_files_alone(story: Story) -> None:
    (fact,) = [outcome for outcome in story.second.outcomes if outcome.target == "dwh.fact_flight"]
    assert fact.windows[0].start == "2013-01-10 08:00:00.000000"
    assert fact.rows is not None
    (expected,) = story.spark.query(
        f"select count(*) from read_parquet('{story.spark.lake}/flights/*.parquet', filename = true) "
        "where parse_filename(filename) > 'recorded_2013-01-10.parquet'"
    )
    assert fact.rows.read == expected[0]


def test_a_job_that_fails_fails_only_its_target(story: Story) -> None:
    by_target = {outcome.target: outcome for outcome in story.second.outcomes}
    assert by_target[BROKEN].status is OutcomeStatus.FAILED
    assert "CAST_INVALID_INPUT" in (by_target[BROKEN].error or "")
    assert {by_target[target].status for target in ("dwh.fact_flight", "dwh.dim_aircraft")} == {OutcomeStatus.LOADED}
    assert story.spark.query("select count(*) from duckdb_tables() where table_name = 'broken'") == [(0,)]


def test_a_row_that_spark_refuses_is_held_with_its_reader_and_stops_no_other(story: Story) -> None:
    by_target = {outcome.target: outcome for outcome in story.second.outcomes}
    refused, reader = by_target["dwh.refused"], by_target["dwh.reader"]
    assert (refused.status, refused.decision.reason) == (OutcomeStatus.HELD, Reason.NOT_ON_SPARK)
    assert "it cannot run on Spark" in refused.decision.message
    assert "regexp" in refused.decision.message.lower()
    assert (reader.status, reader.decision.reason) == (OutcomeStatus.SKIPPED, Reason.UPSTREAM_HELD)
    assert by_target["dwh.dim_aircraft"].status is OutcomeStatus.LOADED


def test_the_manifest_names_one_attempt_and_counts_its_rows(story: Story) -> None:
    folder = story.spark.root / ".sluice/results/fact_flight" / f"run_id={story.second.run_id}"
    (found,) = (folder / "dwh__fact_flight").glob("attempt=*.manifest.json")
    manifest = json.loads(found.read_text())
    files = [Path(entry["url"]) for entry in manifest["entries"]]
    assert {file.parent for file in files} == {Path(manifest["author"]["folder"])}
    assert [entry["meta"]["content_length"] for entry in manifest["entries"]] == [file.stat().st_size for file in files]
    ((rows,),) = story.spark.query(f"select count(*) from read_parquet({[str(file) for file in files]})")
    assert manifest["meta"]["record_count"] == rows


def test_what_ran_on_spark_is_recorded_with_its_share(story: Story) -> None:
    entries = {
        entry.target: entry
        for entry in story.spark.context.store.spark_entries()
        if entry.run_id == story.second.run_id
    }
    assert {target: entry.status for target, entry in entries.items()} == {
        "dwh.fact_flight": LoadStatus.SUCCESS,
        "dwh.dim_aircraft": LoadStatus.SUCCESS,
        "dwh.aircraft_total": LoadStatus.SUCCESS,
        BROKEN: LoadStatus.ERROR,
    }
    assert all(entry.scan_bytes > 0 and entry.step_seconds > 0 for entry in entries.values())
    assert {entry.backend for entry in entries.values()} == {"local"}
    for target, entry in entries.items():
        load = story.spark.context.store.load_at(target, story.second.run_id)
        assert load is not None
        cost = load.cluster
        assert cost is not None
        assert (cost.seconds, cost.usd, cost.prices_as_of) == (entry.cluster_seconds, 0.0, None)
    assert story.second.cluster is not None
    assert story.second.cluster.seconds == pytest.approx(sum(entry.cluster_seconds for entry in entries.values()))


def test_the_decision_says_where_it_ran_and_by_which_numbers(story: Story) -> None:
    (decision,) = story.spark.context.store.latest_decisions("dwh.fact_flight", limit=1)
    engine = decision.evidence["engine"]
    assert engine["engine"] == "spark"
    assert engine["message"] == "spark was requested for this run"
    assert engine["basis"] == "lake.flights: 24 of 31 files, by the dates in their names"
    assert engine["scan_bytes"] > 0


def test_a_backfill_on_spark_loads_again_what_is_missing(story: Story) -> None:
    """The whole stretch is one chunk: each would start a Spark of its own."""
    project, watermarks = story.spark, "select target, window_end from sluice.watermark_control order by all"
    before = project.query(watermarks)
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("delete from dwh.fact_flight where recorded_at < '2013-01-20'")
    request = BackfillRequest(
        "dwh.fact_flight", "2013-01-01", "2013-01-31", engine=Engine.SPARK, cluster="r5.4xlarge:8"
    )

    plan = plan_backfill(project.context, request)
    summary = run_backfill(project.context, plan)

    (fared,) = summary.targets
    assert (fared.error, fared.done, fared.chunk_count) == (None, 1, 1)
    assert differences(story.warehouse.warehouse, project.warehouse, "dwh.fact_flight") == []
    assert project.query(watermarks) == before
    (entry,) = [item for item in project.context.store.spark_entries() if item.run_id == plan.backfill_id]
    (load,) = [item for item in project.context.store.latest_loads().newest if item.run_id == plan.backfill_id]
    assert load.cluster is not None
    assert load.cluster == fared.cluster == summary.cluster
    assert load.cluster.seconds == entry.cluster_seconds


def test_auto_goes_by_the_threshold(story: Story) -> None:
    """Nothing is started here: the plan says where it would run."""
    choices = []
    for gigabytes in ("0.000001", "1000"):
        story.spark.apply(engine="auto", spark_threshold_gb=gigabytes)
        plan = prepare(story.spark.context, RunRequest(is_forced=True))
        choices += [decision.choice for decision in plan.decisions if decision.target == "dwh.fact_flight"]
    small, large = choices
    assert small is not None
    assert large is not None
    assert (small.engine, large.engine) == (Engine.SPARK, Engine.WAREHOUSE)
    assert "threshold is 0.001 MB" in small.message
    assert "less than the row's threshold of" in large.message
