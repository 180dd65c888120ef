"""Bytes from a listing, the engine they lead to, what runs teach, and who shares a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.gate.facts import EngineChoice
from flows.spark.engine_choice import choose_engine
from flows.spark.sizing.groups import GroupMember, make_groups, parse_cluster
from flows.spark.sizing.learning import ClusterUse, Sample, advise, combine, learn
from flows.spark.sizing.prices import read_instances
from flows.spark.sizing.scan_bytes import ScanEstimate, Span, estimate_scan
from flows.spark.sizing.sizing import GIB, MIB, PRIOR, Bounds, Calibration, Workload, size
from flows.warehouse.lake.folder import LakeFile
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.model import PipelineRow, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import ResolvedDependency
from metadata_sync.rows.vocabulary import Engine

PRICES = read_instances(Path(__file__).parents[3] / "metadata_sync/instances.yml").in_region("us-east-1")


def dependency(name: str, *, driving: bool = True) -> ResolvedDependency:
    return ResolvedDependency(TableName.parse(name), driving, False, "landed_at" if driving else None, (), 0, 60)


def day(number: int) -> datetime:
    return datetime(2013, 1, number, tzinfo=UTC)


def dated(*days: int) -> list[LakeFile]:
    return [LakeFile(f"recorded_2013-01-{number:02}.parquet", 10**number, "v", day(number)) for number in days]


def plain(*days: int) -> list[LakeFile]:
    return [LakeFile(f"part-{number}.parquet", 10**number, "v", day(number)) for number in days]


@pytest.mark.parametrize(
    ("files", "span", "scan_bytes", "basis"),
    [
        (plain(1, 2, 3), None, 1110, "all 3 files"),
        (plain(1, 2, 3), Span(), 1110, "all 3 files"),
        (plain(1, 2, 3), Span("2013-01-02 00:00:00", None, day(2)), 1000, "1 of 3 files, changed since the last load"),
        (plain(1, 2), Span("5", None, day(9)), 100, "its largest file of 2: none was changed since the last load"),
        (plain(1, 2), Span("2013-01-02", "2013-01-02"), 110, "all 2 files: no dates or times to select by"),
        (dated(1, 2, 3, 4), Span("2013-01-03 8:00", "2013-01-03"), 1100, "2 of 4 files, by the dates in their names"),
        (dated(1, 2, 3), Span("2013-01-03", None, day(1)), 1100, "2 of 3 files, by the dates in their names"),
        (dated(1, 2, 3), Span("17", None, day(2)), 1000, "1 of 3 files, changed since the last load"),
        ([], None, 0, "all 0 files"),
    ],
)  # fmt: skip
def test_a_listing_tells_how_much_is_read(
    files: list[LakeFile], span: Span | None, scan_bytes: int, basis: str
) -> None:
    spans = {} if span is None else {"lake.t": span}

    assert estimate_scan([dependency("lake.t")], spans, lambda _: files) == ScanEstimate(scan_bytes, f"lake.t: {basis}")


def test_a_lookup_counts_whole_whatever_the_window() -> None:
    reads = [dependency("lake.t"), dependency("lake.u", driving=False)]
    spans = dict.fromkeys(("lake.t", "lake.u"), Span("2013-01-03", "2013-01-03"))

    assert estimate_scan(reads, spans, lambda _: dated(1, 3)).scan_bytes == 1000 + 1010


def pipeline(**values: Any) -> PipelineRow:
    base = {"pipeline_id": "p", "pipeline_name": "P", "template": "lake_to_warehouse"}
    return PipelineRow.model_validate(base | values)


def choose(row: PipelineRow, *, asked: Engine | None = None, cluster: str | None = None, obstacle: str | None = None, scan: int = 0) -> EngineChoice:  # fmt: skip # noqa: E501
    return choose_engine(row, asked, cluster, lambda: obstacle, lambda: ScanEstimate(scan, "listed"))


def never(*_: object) -> Any:
    pytest.fail("asked for nothing")


@pytest.mark.parametrize(
    ("row", "asked", "scan", "engine", "words"),
    [
        (pipeline(engine="warehouse"), None, 10**12, Engine.WAREHOUSE, "engine: warehouse"),
        (pipeline(), None, 10**12, Engine.WAREHOUSE, "sets no spark_threshold_gb"),
        (pipeline(spark_threshold_gb=Decimal(5)), None, 5 * 10**9, Engine.SPARK, "5 GB, the row's threshold is 5 GB"),
        (
            pipeline(spark_threshold_gb=Decimal(5)),
            None,
            5 * 10**9 - 1,
            Engine.WAREHOUSE,
            "less than the row's threshold",
        ),
        (pipeline(engine="spark"), None, 1, Engine.SPARK, "engine: spark"),
        (pipeline(engine="spark"), Engine.WAREHOUSE, 1, Engine.WAREHOUSE, "warehouse was requested for this run"),
        (pipeline(engine="warehouse"), Engine.SPARK, 1, Engine.SPARK, "spark was requested for this run"),
    ],
)
def test_row_request_and_bytes_decide_the_engine(
    row: PipelineRow, asked: Engine | None, scan: int, engine: Engine, words: str
) -> None:
    choice = choose(row, asked=asked, scan=scan)

    assert choice.engine is engine
    assert words in choice.message


def test_a_cluster_asks_for_spark_and_is_kept() -> None:
    choice = choose(pipeline(), cluster="r5.4xlarge:8", scan=7)

    assert (choice.engine, choice.cluster, choice.scan_bytes) == (Engine.SPARK, "r5.4xlarge:8", 7)


def test_auto_stays_in_the_warehouse_when_spark_cannot() -> None:
    choice = choose(pipeline(spark_threshold_gb=Decimal(1)), obstacle="it reads dwh.x", scan=10**12)

    assert choice.engine is Engine.WAREHOUSE
    assert "cannot run on Spark: it reads dwh.x" in choice.message


def test_nothing_is_listed_when_the_answer_is_known() -> None:
    choose_engine(pipeline(), None, None, never, never)
    choose_engine(pipeline(engine="spark"), Engine.WAREHOUSE, None, never, never)


def sample(speed: float, startup_minutes: float = 8.0) -> Sample:
    return Sample(int(100 * 128 * MIB), 100 * 128 / speed / 10, 10, startup_minutes * 60)


def test_the_prior_counts_until_there_are_three_runs() -> None:
    assert learn([]).calibration == PRIOR
    assert learn([sample(20)]).calibration.mib_per_core_second == PRIOR.mib_per_core_second
    assert learn([sample(20), sample(22)]).calibration.mib_per_core_second == pytest.approx(20)
    assert learn([sample(20), sample(22), sample(24)]).calibration.mib_per_core_second == pytest.approx(22)


@given(st.lists(st.floats(5, 10), min_size=4, max_size=9), st.floats(0.001, 10_000), st.integers(0, 9))
def test_one_odd_run_moves_nothing_outside_of_the_others(speeds: list[float], odd: float, place: int) -> None:
    with_odd = [sample(speed) for speed in speeds]
    with_odd.insert(min(place, len(speeds)), sample(odd))

    learned = learn(with_odd).calibration.mib_per_core_second

    assert min(speeds) * 0.999 <= learned <= max(speeds) * 1.001


def test_idle_cores_do_not_count_as_slow() -> None:
    assert Sample(128 * MIB, 16, 40, 0).mib_per_core_second == pytest.approx(8)


def test_steps_on_one_cluster_take_their_times_together() -> None:
    fast, slow = Calibration(mib_per_core_second=20), Calibration(mib_per_core_second=5, expansion=7)

    both = combine([(100, fast), (100, slow)])

    assert both.mib_per_core_second == pytest.approx(8)
    assert both.expansion == 7


def test_looking_back_names_the_cheaper_cluster() -> None:
    bounds = Bounds(("m5.xlarge", "m5.4xlarge"), 2, 20)
    sizing = size(Workload(100 * GIB, 15), bounds, PRIOR, PRICES)
    assert str(sizing) == "3 × m5.4xlarge"

    said = advise(ClusterUse(sizing, 100 * GIB, 60.0, 300.0, 0.6, sla_minutes=60), bounds, PRICES)

    assert "6 minutes and $0.60 where 14 and $0.73 were expected" in said
    assert "2 × m5.xlarge would have done it" in said


def test_looking_back_says_when_it_was_late_or_right() -> None:
    bounds = Bounds(("m5.xlarge",), 2, 20)
    sizing = size(Workload(10 * GIB, 30), bounds, PRIOR, PRICES)

    late = advise(ClusterUse(sizing, 10 * GIB, 3600.0, 480.0, 1.0, sla_minutes=30), bounds, PRICES)
    right = advise(ClusterUse(sizing, 10 * GIB, 280.0, 480.0, sizing.usd, sla_minutes=30), bounds, PRICES)

    assert "too late: 7 × m5.xlarge would have been in time" in late
    assert "no cheaper cluster" in right


def item(name: str, **values: Any) -> GroupMember:
    row = TransformationRow(
        target_schema="dwh", target_table=name, pipeline_id=name, sql_path="x.sql", load_type="append"
    )
    return GroupMember(row, pipeline(pipeline_id=name, **values), GIB, learn([]))


def test_a_job_group_shares_a_cluster_and_its_tightest_deadline() -> None:
    types = ["r5.4xlarge"]
    groups = make_groups(
        [
            item("a", job_group="x", sla_minutes=60),
            item("b", job_group="x", emr_instance_types=types, emr_core_max=4, sla_minutes=30),
            item("c", job_group="y"),
            item("d", job_group="x", emr_core_min=9, emr_core_max=9),
        ],
        None,
        None,
    )

    shown = [(group.job_group, [str(one.row.name) for one in group.items], group.sla_minutes) for group in groups]
    assert shown == [("x", ["dwh.a", "dwh.b"], 30), ("y", ["dwh.c"], None), ("x", ["dwh.d"], None)]
    assert groups[0].bounds == Bounds(("r5.4xlarge",), 2, 4)
    assert groups[2].bounds.core_min == 9


def test_a_cluster_that_was_asked_for_replaces_the_bounds() -> None:
    (group,) = make_groups([item("a", emr_core_max=3), item("b")], parse_cluster("r5.4xlarge:8"), None)

    sizing = group.sized(PRICES)
    assert (sizing.instance_type, sizing.core_count, sizing.is_fixed) == ("r5.4xlarge", 8, True)


def test_alternatives_are_the_other_types_in_the_rows_order() -> None:
    (group,) = make_groups([item("a", emr_instance_types=["c5.xlarge", "r5.xlarge", "m5.xlarge"])], None, None)
    chosen = group.sized(PRICES)

    assert chosen.instance_type == "c5.xlarge"
    assert [other.instance_type for other in group.alternatives(chosen, PRICES)] == ["r5.xlarge", "m5.xlarge"]


@pytest.mark.parametrize("text", ["r5.4xlarge", "r5.4xlarge:0", "8:r5.4xlarge", "r5.4xlarge:-1", "r5.4xlarge:8;rm"])
def test_a_cluster_is_written_type_and_number(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TYPE:N"):
        parse_cluster(text)
