"""AWS clients with retries, and AWS errors as Sluice's errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from flows.errors.classify import classify, read_facts
from flows.errors.rules import DEFAULT_RULES
from metadata_sync.errors import ConfigurationError, HardRunError, SoftRunError

_TRIES: Final = 8
"""Attempts per call, unless AWS_MAX_ATTEMPTS is set; botocore doubles the pause between them, up to 20 seconds."""


def aws_client(service: str, region: str | None = None, *, tries: int | None = None) -> Any:
    """Return boto3's client of a service, with boto3's usual lookup of credentials and endpoint.

    Args:
        service: For example `emr` or `s3`.
        region: AWS region; None: the environment's.
        tries: Attempts per call; None: the maximum.

    Raises:
        ConfigurationError: When boto3 is not installed.
    """
    return _client(service, region, os.environ.get("AWS_ENDPOINT_URL"), tries or max_tries())


def max_tries() -> int:
    """Return the maximum number of attempts per call."""
    return int(os.environ.get("AWS_MAX_ATTEMPTS", _TRIES))


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Convert AWS errors to soft or hard run errors.

    Args:
        doing: The activity, for the message, e.g. `listing clusters`.

    Raises:
        RunError: Soft when a retry may succeed: busy, unreachable, no capacity.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        kind = SoftRunError if classify(read_facts(str(error)), DEFAULT_RULES).advice.is_soft else HardRunError
        raise kind(f"AWS returned an error while {doing}: {error}") from error


@cache
def _client(service: str, region: str | None, endpoint: str | None, tries: int) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ConfigurationError("boto3 is not installed.", "pip install 'sluice-data[aws]'") from error
    config = Config(retries={"mode": "standard", "total_max_attempts": tries}, connect_timeout=10, read_timeout=60)
    return boto3.client(service, region_name=region, endpoint_url=endpoint, config=config)
