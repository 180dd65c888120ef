"""First loads in chunks: what comes next, what readers find, and what the warehouse holds already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.gate.first_load import FirstLoad, with_progress
from flows.prefect.pages.first_loads import first_loads_page
from metadata_sync.loads import Watermark, Window
from metadata_sync.rows.vocabulary import BackfillOrder

A = [Window("lake.a", str(start), str(start + 9)) for start in (1, 11, 21)]
B = [Window("lake.b", str(start), str(start + 9)) for start in (1, 11)]
OLDEST = FirstLoad("first-load-1", "dwh.t", BackfillOrder.OLDEST, (*A, *B), row_count=6000)
NEWEST = FirstLoad("first-load-2", "dwh.t", BackfillOrder.NEWEST, (A[2], B[1], A[1], A[0], B[0]), row_count=6000)


def marks(**ends: str) -> dict[tuple[str, str], Watermark]:
    return {("dwh.t", f"lake.{source}"): Watermark(end) for source, end in ends.items()}


@pytest.mark.parametrize(
    ("ends", "done"),
    [({}, 0), ({"a": "10"}, 1), ({"a": "19"}, 1), ({"a": "30"}, 3), ({"a": "99", "b": "20"}, 5), ({"b": "20"}, 0)],
)
def test_oldest_first_is_as_far_as_the_watermarks(ends: dict[str, str], done: int) -> None:
    first = with_progress(OLDEST, marks(**ends), ())
    assert first.done == done
    assert first.run_chunks == OLDEST.chunks[done : done + 1]
    assert all(window["moves_watermark"] for window in first.windows(first.run_chunks).values())
    assert first.is_done == (done == 5)


def test_newest_first_begins_with_the_newest_chunk_of_each_source() -> None:
    assert NEWEST.run_chunks == (A[2], B[1])
    assert NEWEST.windows(NEWEST.run_chunks)["lake.a"]["moves_watermark"] is True
    begun = with_progress(NEWEST, marks(a="30", b="20"), ())
    assert (begun.done, begun.run_chunks) == (2, ()), "what is new loads as in any run"
    assert begun.windows([A[1]])["lake.a"]["moves_watermark"] is False
    later = with_progress(NEWEST, marks(a="35", b="20"), {A[1], B[0]})
    assert later.done == 3, "chunks count without a gap"
    assert with_progress(NEWEST, marks(a="35", b="20"), set(NEWEST.chunks)).is_done


def test_progress_is_told_to_people() -> None:
    assert OLDEST.sentence == "its 6,000 rows are loaded in 5 chunks, oldest first"
    going = replace(OLDEST, done=3, rows_per_second=10)
    assert going.history == "history of lake.a up to 30"
    assert going.minutes_left == 4
    assert going.sentence == (
        "history of lake.a up to 30: 3 of 5 chunks of its first load are loaded, oldest first, about 4 min"
    )
    assert replace(NEWEST, done=3).history == "history of lake.a from 11"
    assert replace(NEWEST, done=5).history is None
    page = first_loads_page("p_1", [going, replace(NEWEST, target="dwh.u", done=5)])
    assert page.startswith("## p\\_1: 2 chunks of first loads are left\n")
    assert "| dwh.t | oldest first | 3 of 5 | 6,000 | history of lake.a up to 30 | 4 |" in page
    assert "| dwh.u | newest first | 5 of 5 | 6,000 | all of its history | 0 |" in page
    assert "are done" in first_loads_page("p", [replace(OLDEST, done=5)])


def test_progress_is_unknown_when_the_key_has_another_type() -> None:
    with pytest.raises(ValueError, match="type of the incremental key has changed"):
        with_progress(OLDEST, marks(a="2024-01-01"), ())
