"""A session that stays open between readers, and when it is opened again."""

from __future__ import annotations

from contextlib import suppress

import pytest

from flows.warehouse.kept import MOST_IDLE_SECONDS, Kept
from metadata_sync.errors import HardRunError, SoftRunError


class Resource:
    """Says whether it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def opened() -> list[Resource]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(opened: list[Resource], clock: Clock) -> Kept[Resource]:
    def open_() -> Resource:
        opened.append(Resource())
        return opened[-1]

    return Kept(open_, most_idle_seconds=MOST_IDLE_SECONDS, clock=clock)


def _use(kept: Kept[Resource], error: Exception | None = None) -> None:
    with suppress(Exception if error is None else type(error)), kept.use():
        if error is not None:
            raise error


def test_every_use_opens_its_own_outside_of_keep(kept: Kept[Resource], opened: list[Resource]) -> None:
    _use(kept)
    _use(kept)
    assert [item.is_closed for item in opened] == [True, True]


def test_uses_share_one_inside_of_keep(kept: Kept[Resource], opened: list[Resource]) -> None:
    with kept.keep():
        _use(kept)
        with kept.use(), kept.use():
            assert not opened[0].is_closed
        assert not opened[0].is_closed
    assert [item.is_closed for item in opened] == [True]


@pytest.mark.parametrize("error", [HardRunError("refused"), ValueError("no such file")])
def test_refused_question_leaves_it_open(kept: Kept[Resource], opened: list[Resource], error: Exception) -> None:
    with kept.keep():
        _use(kept, error)
        _use(kept)
    assert len(opened) == 1


@pytest.mark.parametrize("error", [SoftRunError("lost"), OSError("broken"), KeyError("bug")])
def test_error_that_leaves_its_state_unknown_closes_it(
    kept: Kept[Resource], opened: list[Resource], error: Exception
) -> None:
    with kept.keep():
        _use(kept, error)
        assert opened[0].is_closed
        _use(kept)
    assert len(opened) == 2


def test_idle_one_is_opened_again(kept: Kept[Resource], opened: list[Resource], clock: Clock) -> None:
    with kept.keep():
        _use(kept)
        clock.now += MOST_IDLE_SECONDS
        _use(kept)
        assert len(opened) == 1
        clock.now += MOST_IDLE_SECONDS + 1
        _use(kept)
        assert [item.is_closed for item in opened] == [True, False]


def test_one_in_use_does_not_grow_stale(kept: Kept[Resource], opened: list[Resource], clock: Clock) -> None:
    with kept.use():
        clock.now += 10 * MOST_IDLE_SECONDS
        _use(kept)
    assert len(opened) == 1
