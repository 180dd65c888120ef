"""Calls that AWS must not execute twice: creating a cluster, adding steps.

A response can be lost after AWS has executed the request, and EMR has no idempotency token. So botocore does not retry
such a call. It is retried here, after a check that the first request has left nothing.

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
    """Execute a call exactly once, even when responses are lost.

    Args:
        doing: The activity, for errors.
        call: Makes one request, without retries.
        find: Returns the result of an earlier request, or None. While it fails, the call is not repeated.
        sleep: Waits a number of seconds: EMR lists new clusters and steps with a delay.

    Raises:
        RunError: When AWS refuses, or does not answer the last attempt.
    """
    last_error: SoftRunError | None = None
    for number in range(max_tries()):
        try:
            if last_error is not None:
                sleep(min(_FIRST_PAUSE_SECONDS * 2 ** (number - 1), _LONGEST_PAUSE_SECONDS))
                if (found := find()) is not None:
                    logger.info("aws.adopted doing=%s", doing)
                    return found
            with aws_errors(doing):
                return call()
        except SoftRunError as error:
            if _is_refusal(error):
                raise
            last_error = error
    assert last_error is not None, "each attempt returns, raises or sets last_error"
    with suppress(RunError):
        if (found := find()) is not None:
            return found
    raise last_error


def _is_refusal(error: SoftRunError) -> bool:
    """Tell whether AWS refused the request, so that a retry gets the same answer: no capacity, for example."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return False  # no response, or an unreadable one
    if cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_FAILED:
        return False  # EMR may have executed the request before it failed
    return classify(read_facts(str(error)), DEFAULT_RULES).failure_class not in _PASSING
