"""SIGKILL in the middle of a run: the next run makes it good, nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest

from tests.support.raw_flights import LAST_DAY, WEEK_END
from tests.support.workspace import Workspace, assert_same, finish

MOMENTS = 3


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_run_after_a_kill_gives_what_an_undisturbed_run_gives(
    moment: int, first_week: Workspace, nine_days: Workspace, full_lake: Path, tmp_path: Path
) -> None:
    """Each moment falls, at random, into its own third of the time in which the undisturbed run wrote."""
    workspace = first_week.copy(tmp_path / "project")
    workspace.land(full_lake, date(2013, 1, 8), LAST_DAY)
    kill_while_it_writes(workspace, nine_days, random.Random(moment).uniform(moment / MOMENTS, (moment + 1) / MOMENTS))
    workspace.must("run")
    assert_same(workspace.contents(), nine_days.contents())
    assert_nothing_is_due(workspace)


def test_first_run_after_a_kill_gives_what_an_undisturbed_run_gives(
    fresh: Workspace, first_week: Workspace, nine_days: Workspace, full_lake: Path
) -> None:
    """The first run creates schemas and tables: killed there, it leaves what the next one can begin with."""
    fresh.land(full_lake, date(2013, 1, 1), WEEK_END)
    fresh.must("control", "apply", "--yes")
    kill_while_it_writes(fresh, nine_days, random.Random(MOMENTS).uniform(0, 0.5))
    fresh.must("run")
    assert_same(fresh.contents(), first_week.contents())
    assert_nothing_is_due(fresh)


def kill_while_it_writes(workspace: Workspace, undisturbed: Workspace, fraction: float) -> None:
    """Kill a run after its first write, when that fraction of the time has passed that an undisturbed run needs."""
    process = workspace.start_run_and_await_write()
    time.sleep(fraction * float(undisturbed.write_seconds_file.read_text()))
    with suppress(ProcessLookupError):  # it was faster than the undisturbed one
        os.killpg(process.pid, signal.SIGKILL)
    finish(process)


def assert_nothing_is_due(workspace: Workspace) -> None:
    outcome = workspace.must("run", "--json").json()
    assert {target["decision"] for target in outcome["targets"]} == {"skip"}
