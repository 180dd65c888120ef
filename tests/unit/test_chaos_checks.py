"""The checks of `make chaos` find what they are for."""

from __future__ import annotations

from tests.chaos.story import alert_faults, growth_faults


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
