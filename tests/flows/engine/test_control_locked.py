"""Another process holds the control tables while a run loads: the loads stand, and the next run records them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.engine.engine import execute
from flows.run.model import Wave
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.errors import StoreError
from tests.support.engine_project import Recorder, Workshop


@dataclass
class Locker(Recorder):
    """Takes the control tables as soon as dbt begins, and keeps them."""

    control: Path = Path()
    holder: sqlite3.Connection | None = None

    def wave_started(self, wave: Wave) -> None:
        self.holder = sqlite3.connect(self.control, isolation_level=None)
        self.holder.execute("begin immediate")


def test_loads_stand_and_are_recorded_by_the_next_run_when_the_control_tables_are_locked(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metadata_sync.database.engine.BUSY_SECONDS", 1)
    workshop.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    locker = Locker(control=workshop.control)

    with pytest.raises(StoreError, match="locked"):
        execute(workshop.context, workshop.plan("orders"), locker)
    assert locker.holder is not None
    locker.holder.close()
    assert workshop.query("select count(*) from dwh.fact_order where order_id >= 20") == [(5,)]
    workshop.plan()

    (entry,) = [item for item in workshop.context.store.latest_loads().newest if item.target == "dwh.fact_order"]
    assert (entry.status, entry.rows.inserted) == (LoadStatus.SUCCESS, 5)
    assert not workshop.run("orders")[0].has_failed
