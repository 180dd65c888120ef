"""A short part of `make chaos`: the same shop and the same disturbances, a few of them, in a fixed order."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from tests.chaos.shop import Shop
from tests.chaos.story import Chaos, alert_faults, faults, growth_faults, wait_for_all
from tests.support.live_server import free_port
from tests.support.receiver import receiving

STRIKES = ("refuse_alerts", "fill_disk", "kill_worker_only", "lock_warehouse", "kill_everything")
PIPELINES = 2


@pytest.mark.timeout(600)  # it waits for ticks of a schedule, and for programs that start again
def test_shop_to_which_everything_happened_ends_as_one_to_which_nothing_happened(tmp_path: Path) -> None:
    with receiving() as receiver:
        shop = Shop(tmp_path / "project", free_port(), receiver.url, PIPELINES)
        shop.write("* * * * *")
        assert shop.sluice("control", "apply", "--yes").returncode == 0
        chaos = Chaos(shop, receiver, draw := Random(7))
        try:
            chaos.repair()
            for place, strike in enumerate(STRIKES):
                shop.land(place % PIPELINES, draw)
                chaos.strike(strike)
                time.sleep(3)
            chaos.calm()
            seconds = wait_for_all(shop)
        finally:
            shop.sluice("down")
        assert [*faults(shop, receiver, seconds, tmp_path / "undisturbed")] == []


def test_harness_finds_what_went_wrong() -> None:
    told = [("a", "opened"), ("a", "opened"), ("b", "resolved"), ("b", "opened"), ("c", "opened"), ("c", "resolved")]

    assert [*alert_faults(told)] == [
        "incident a was told 2 times as opened",
        "incident a was opened and never resolved",
        "the end of incident b was told before its beginning",
    ]
    before = {"server": (200, 50), "worker": (100, 20)}
    assert [*growth_faults(before, {"server": (220, 55), "worker": (100, 20)})] == []
    assert len([*growth_faults(before, {"server": (600, 50), "worker": (100, 200)})]) == 2
