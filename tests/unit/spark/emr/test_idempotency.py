"""A call that counts once: made again when nothing came of it, found when its answer was lost, refused at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError, HTTPClientError, ReadTimeoutError

from flows.spark.emr.idempotency import call_once
from metadata_sync.errors import HardRunError, SoftRunError


def refusal(code: str, message: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "RunJobFlow")  # type: ignore[arg-type]


NO_ANSWER = ReadTimeoutError(endpoint_url="https://emr")
UNREADABLE = HTTPClientError(error="frobnicated")
BROKEN = refusal("Frobnicated", "out of frob", 500)
BUSY = refusal("ThrottlingException", "Rate exceeded")
NO_MACHINES = refusal("ValidationException", "We currently do not have sufficient m5.xlarge capacity")
FORBIDDEN = refusal("AccessDeniedException", "not you")


def play(calls: list[object], finds: list[object], monkeypatch: pytest.MonkeyPatch) -> tuple[object, int]:
    """Let calls and looks end so, one after the other; return what came of it, and how many calls were made."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    made: list[object] = []

    def take(script: Iterator[object]) -> object:
        step = next(script)
        if isinstance(step, Exception):
            raise step
        return step

    calling, finding = iter(calls), iter(finds)

    def call() -> object:
        made.append(1)
        return take(calling)

    try:
        return call_once("trying", call, lambda: take(finding), lambda _: None), len(made)
    except (SoftRunError, HardRunError) as error:
        return type(error), len(made)


@pytest.mark.parametrize(
    ("calls", "finds", "outcome"),
    [
        (["new"], [], ("new", 1)),
        ([NO_ANSWER], ["found"], ("found", 1)),
        ([UNREADABLE], ["found"], ("found", 1)),
        ([BROKEN], ["found"], ("found", 1)),
        ([BUSY, "new"], [None], ("new", 2)),
        ([NO_ANSWER, NO_ANSWER, "new"], [None, None], ("new", 3)),
        ([NO_ANSWER], [SoftRunError("down: connection refused"), "found"], ("found", 1)),
        ([NO_ANSWER, NO_ANSWER, NO_ANSWER], [None, None, "found"], ("found", 3)),
        ([NO_ANSWER, NO_ANSWER, NO_ANSWER], [None, None, None], (SoftRunError, 3)),
        ([NO_MACHINES], [], (SoftRunError, 1)),
        ([FORBIDDEN], [], (HardRunError, 1)),
    ],
)
def test_a_call_counts_once(
    calls: list[object], finds: list[object], outcome: tuple[object, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play(calls, finds, monkeypatch) == outcome
