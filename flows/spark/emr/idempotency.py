"""Calls to AWS that must not be taken twice: clusters that cost money, steps that compute.

An answer can be lost when the request has arrived, and EMR knows no token that would make two requests one. So
botocore does not make such a call again; it is made again here, once nothing is found that the lost one has left.

Source: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html (no client token; read, not tested).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from flows.errors.classify import FailureClass, classify, read_facts
from flows.errors.rules import DEFAULT_RULES
from flows.spark.aws import aws_errors, max_tries
from metadata_sync.errors import RunError, SoftRunError

logger = logging.getLogger(__name__)

_PASSING: Final = frozenset({FailureClass.CONNECTION, FailureClass.THROTTLING, FailureClass.TIMEOUT})
_SERVER_FAILED: Final = 500
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 20.0

T = TypeVar("T")


def call_once(doing: str, call: Callable[[], T], find: Callable[[], T | None], sleep: Callable[[float], None]) -> T:
    """Make a call that counts once, however often its answer is lost.

    Args:
        doing: What is being done, for errors.
        call: Makes it, and does not repeat it by itself.
        find: Returns what an earlier call has left; None when there is nothing. While it fails nothing is asked again.
        sleep: Waits that many seconds: EMR shows what it has taken a moment later.

    Raises:
        RunError: When AWS refuses, or still does not answer at the last try.
    """
    trouble: SoftRunError | None = None
    for number in range(max_tries()):
        try:
            if trouble is not None:
                sleep(min(_FIRST_PAUSE_SECONDS * 2 ** (number - 1), _LONGEST_PAUSE_SECONDS))
                if (found := find()) is not None:
                    logger.info("aws.adopted doing=%s", doing)
                    return found
            with aws_errors(doing):
                return call()
        except SoftRunError as error:
            if _is_refusal(error):
                raise
            trouble = error
    assert trouble is not None, "each try returns, raises or leaves its trouble"
    with suppress(RunError):
        if (found := find()) is not None:
            return found
    raise trouble


def _is_refusal(error: SoftRunError) -> bool:
    """Whether AWS has answered, and would answer the same to the next call: no capacity, for example."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False  # no answer, or none that could be read
    if cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAILED:
        return False  # it may have been taken before EMR failed
    return classify(read_facts(str(error)), DEFAULT_RULES).failure_class not in _PASSING
