"""SIGKILL in the middle of a run: the next run makes it good, nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import date
from pathlib import Path

import pytest
from raw_flights import LAST_DAY, WEEK_END
from workspace import Workspace, assert_same, finish, moved

MOMENTS = 4


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_run_after_a_kill_gives_what_an_undisturbed_run_gives(
    moment: int, first_week: Workspace, nine_days: Workspace, full_lake: Path, tmp_path: Path
) -> None:
    """Each moment falls, at random, into its own quarter of the time that the undisturbed run took."""
    seconds = float(nine_days.run_seconds_file.read_text())
    workspace = moved(first_week, tmp_path / "project")
    workspace.land(full_lake, date(2013, 1, 8), LAST_DAY)

    process = workspace.start("run")
    time.sleep(seconds * random.Random(moment).uniform(moment / MOMENTS, (moment + 1) / MOMENTS))
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)

    workspace.must("run")
    assert_same(workspace.contents(), nine_days.contents())
    _assert_nothing_is_due(workspace)


def test_first_run_after_a_kill_gives_what_an_undisturbed_run_gives(
    fresh: Workspace, first_week: Workspace, nine_days: Workspace, full_lake: Path
) -> None:
    """The first run creates schemas and tables: killed there, it leaves what the next one can begin with."""
    fresh.land(full_lake, date(2013, 1, 1), WEEK_END)
    fresh.must("control", "apply", "--yes")
    process = fresh.start("run")
    while process.poll() is None and not fresh.warehouse.exists():
        time.sleep(0.02)
    time.sleep(float(nine_days.run_seconds_file.read_text()) * random.Random(0).uniform(0.1, 0.4))
    os.killpg(process.pid, signal.SIGKILL)
    finish(process)

    fresh.must("run")
    assert_same(fresh.contents(), first_week.contents())
    _assert_nothing_is_due(fresh)


def _assert_nothing_is_due(workspace: Workspace) -> None:
    outcome = workspace.must("run", "--json").json()
    assert {target["decision"] for target in outcome["targets"]} == {"skip"}
