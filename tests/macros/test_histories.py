"""The promise: a target is a function of the events ever accepted, however they were cut, ordered or repeated."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support import histories as h
from tests.support import scd_oracle as oracle
from tests.support.dbt_project import DbtProject

COUNT = 8
ALL_TRACKED = (0, 1, 2)
V_ONLY = (2,)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    return h.make_project(tmp_path_factory.mktemp("histories"), COUNT)


def _check(project: DbtProject, drawn: list[h.History], tracked: tuple[int, ...] = V_ONLY) -> None:
    for number, history in enumerate(drawn):
        events = list(itertools.chain.from_iterable(history))
        assert h.read_scd2(project, number) == oracle.scd2(events, tracked), history
        assert h.read_scd1(project, number) == oracle.scd1(events), history


# An example is a dozen histories at once; shrinking it would start dbt for minutes, its seed says enough.
@settings(max_examples=2, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 1_000_000))
def test_loads_equal_the_oracle_when_history_is_random(project: DbtProject, seed: int) -> None:
    drawn = h.histories(seed, COUNT)
    h.empty_warehouse(project)
    h.load_all(project, drawn)
    _check(project, drawn)
    _check_current_rows(project)
    _check_replay(project)
    _check_rebuild(project, drawn)


def _check_current_rows(project: DbtProject) -> None:
    for number in range(COUNT):
        columns = "k1, k2, is_deleted, u, v, happened_at, lsn"
        current = project.query(f"select {columns} from dwh.two_{number} where is_current")
        assert sorted(current, key=str) == sorted(project.query(f"select {columns} from dwh.one_{number}"), key=str)


def _check_replay(project: DbtProject) -> None:
    """Everything once more by a backfill: known rows write nothing, not even an audit column."""
    before = [project.query(f"select * from dwh.two_{number} order by all") for number in range(COUNT)]
    windows = {
        f"dwh.{name}_{number}": {"lake.events": {"start": "0", "end": str(h.BATCHES)}}
        for name in ("one", "two")
        for number in range(COUNT)
    }
    result = project.run(env={"SLUICE_WINDOWS": windows})
    assert result.success, result.messages
    assert set(result.messages.values()) <= {"UNCHANGED", "sluice.on-run-start.0 passed"}
    assert before == [project.query(f"select * from dwh.two_{number} order by all") for number in range(COUNT)]


def _check_rebuild(project: DbtProject, drawn: list[h.History]) -> None:
    """Tracking other columns rebuilds from the ledger, without a source."""
    project.execute("delete from lake.events")
    for number in range(COUNT):
        project.model(f"two_{number}", h.SELECT % number, materialized="scd2", **h.SETTINGS)
    try:
        result = project.run("--select", *(f"two_{number}" for number in range(COUNT)))
        assert result.success, result.messages
    finally:
        for number in range(COUNT):
            project.model(f"two_{number}", h.SELECT % number, materialized="scd2", scd_columns=h.TRACKED, **h.SETTINGS)
    _check(project, drawn, ALL_TRACKED)
