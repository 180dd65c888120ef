"""The promise: a target is a function of the events ever accepted, however they were cut, ordered or repeated."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support import histories as h
from tests.support.dbt_project import DbtProject

NUMBERS = range(len(h.SHAPES))
ALL_TRACKED = (0, 1, 2)
V_ONLY = (2,)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    return h.make_project(tmp_path_factory.mktemp("histories"))


# An example is dozens of histories at once; shrinking it would start dbt for minutes, its seed says enough.
@settings(max_examples=1, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 1_000_000))
def test_loads_equal_the_oracle_when_history_is_random(project: DbtProject, seed: int) -> None:
    drawn = h.histories(seed)
    h.empty_warehouse(project)
    h.load_all(project, drawn)
    assert h.differs(project, drawn, V_ONLY) == []
    _check_current_rows(project)
    _check_replay(project)
    _check_rebuild(project, drawn)


def _rows(project: DbtProject, sql: str) -> list[tuple[object, ...]]:
    return sorted(project.query(sql), key=str)


def _check_current_rows(project: DbtProject) -> None:
    """SCD1 is the current rows of SCD2."""
    columns = "k1, k2, is_deleted, u, v, happened_at, lsn"
    for number in NUMBERS:
        current = _rows(project, f"select {columns} from dwh.two_{number} where is_current")
        assert current == _rows(project, f"select {columns} from dwh.one_{number}")


def _check_replay(project: DbtProject) -> None:
    """Everything once more by a backfill: known rows write nothing, not even an audit column."""
    tables = [f"dwh.{name}_{number}" for name in ("one", "two", "add") for number in NUMBERS]
    before = [_rows(project, f"select * from {table}") for table in tables]
    window = {"lake.events": {"start": "0", "end": str(h.BATCHES)}}
    result = project.run(env={"SLUICE_WINDOWS": dict.fromkeys(tables, window)})
    assert result.success, result.messages
    assert set(result.messages.values()) <= {"UNCHANGED", "sluice.on-run-start.0 passed"}
    assert before == [_rows(project, f"select * from {table}") for table in tables]


def _check_rebuild(project: DbtProject, drawn: list[h.History]) -> None:
    """Tracking other columns rebuilds from the ledger; no source is needed."""
    project.execute("delete from lake.events")
    for number in NUMBERS:
        project.model(f"two_{number}", h.SELECT % number, materialized="scd2", **h.SETTINGS)
    try:
        result = project.run("--select", *(f"two_{number}" for number in NUMBERS))
        assert result.success, result.messages
    finally:
        for number in NUMBERS:
            project.model(f"two_{number}", h.SELECT % number, materialized="scd2", scd_columns=h.TRACKED, **h.SETTINGS)
    assert h.differs(project, drawn, ALL_TRACKED) == []
