"""What the gate has saved: counted by the database, estimated from a target's own loads, claimed of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from flows.cli.savings import HOW
from flows.reports.cost import Prices
from flows.reports.savings import add_up, skipped_targets
from metadata_sync.database import ControlStore, DecisionEntry, LoadEntry, LoadStatus
from metadata_sync.database.journals.counts import RECENT_LOADS, DecisionCount, PastLoad
from metadata_sync.database.journals.entries import LoadCost
from metadata_sync.loads import ClusterCost

NOW = datetime(2026, 1, 31, tzinfo=UTC)
DAY = timedelta(days=1)
PRICED = ClusterCost(600.0, 2.0, date(2026, 1, 1))
LOCAL = ClusterCost(60.0, 0.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ControlStore]:
    with ControlStore.open(f"sqlite:///{tmp_path}/control.db", "dev") as store:
        yield store


def skip(target: str, count: int, reason: str = "nothing_new", action: str = "skip") -> DecisionCount:
    return DecisionCount(target, "p", action, reason, count)


def test_runs_that_found_nothing_count_and_others_do_not() -> None:
    counts = [
        skip("dwh.a", 5),
        skip("dwh.a", 2, "trigger_waits"),
        skip("dwh.a", 9, "lease_held"),
        skip("dwh.a", 3, "new_rows", "run"),
        skip("dwh.b", 4, "inactive"),
        skip("dwh.c", 1, "source_unreadable", "hold"),
    ]

    found = add_up(counts, [PastLoad("dwh.a", seconds, None) for seconds in (1.0, 100.0, 2.0)])

    assert skipped_targets(counts) == {"dwh.a"}
    assert (found.decided, found.ran, found.runs) == (24, 3, 7)
    assert found.seconds == 7 * 2.0, "the median: a first load is not what the next one takes"
    assert (found.cluster_runs, found.usd) == (0.0, None)


def test_clusters_count_by_the_share_of_loads_that_had_one_and_money_only_where_there_was_a_price() -> None:
    loads = [
        *(PastLoad("dwh.a", 10.0, cluster) for cluster in (PRICED, None, PRICED, None)),
        PastLoad("dwh.b", 10.0, LOCAL),
    ]

    found = add_up([skip("dwh.a", 8), skip("dwh.b", 3)], loads)
    a, b = found.targets

    assert (a.cluster_runs, a.cluster_seconds, a.usd) == (4.0, 2400.0, 8.0)
    assert (b.cluster_runs, b.cluster_seconds, b.usd) == (3.0, 180.0, None)
    assert (found.cluster_seconds, found.usd) == (2580.0, 8.0)


def test_time_is_not_claimed_for_a_target_that_was_never_loaded() -> None:
    found = add_up([skip("dwh.a", 8, "source_empty")], [])

    assert (found.runs, found.seconds, found.unestimated) == (8, 0.0, ("dwh.a",))


def test_database_counts_the_period_and_gives_the_last_loads(store: ControlStore) -> None:
    def decision(age: timedelta, reason: str = "nothing_new") -> DecisionEntry:
        return DecisionEntry("r", NOW - age, "p", "dwh.a", "skip", reason, "…", {})

    def load(seconds: float, status: LoadStatus = LoadStatus.SUCCESS) -> LoadEntry:
        return LoadEntry("r", "p", "dwh.a", "l", status, NOW, NOW, seconds, cluster=PRICED if seconds == 1 else None)

    store.record_decisions([decision(40 * DAY), decision(3 * DAY), decision(DAY), decision(DAY, "lease_held")])
    store.record_loads([load(999.0), *(load(float(place)) for place in range(RECENT_LOADS))])
    store.record_loads([load(500.0, LoadStatus.ERROR)])

    assert store.count_decisions(NOW - 30 * DAY) == (skip("dwh.a", 1, "lease_held"), skip("dwh.a", 2))
    past = store.past_loads(["dwh.a", "dwh.b"])
    assert sorted(item.seconds for item in past) == [float(place) for place in range(RECENT_LOADS)]
    assert [item.cluster for item in past if item.cluster] == [PRICED]
    assert store.past_loads([]) == ()


def test_page_says_how_each_number_is_estimated() -> None:
    page = (Path(__file__).parents[3] / "docs" / "concepts" / "gate.md").read_text().replace("\n", " ")
    for sentence in HOW:
        assert sentence in page


def test_seconds_of_redshift_are_shares_by_its_history_once_there_are_any() -> None:
    costs = [LoadCost("r1", "dwh.a", "p", NOW, 5, 60.0, share, None) for share in (10.0, 30.0, 20.0)]
    counts, loads = [skip("dwh.a", 4), skip("dwh.b", 1)], [PastLoad("dwh.a", 99.0, None), PastLoad("dwh.b", 5.0, None)]

    found = add_up(counts, loads, costs, Prices(usd_per_hour=36.0))

    assert {item.target: (item.seconds, item.load_count) for item in found.targets} == {
        "dwh.a": (80.0, 3),
        "dwh.b": (5.0, 1),
    }
    assert found.warehouse_usd == pytest.approx(0.8)
    assert add_up(counts, loads, costs).warehouse_usd is None
