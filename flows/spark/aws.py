"""AWS: clients that ask again when AWS is busy, and its errors in Sluice's words."""

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
"""Of each call, unless AWS_MAX_ATTEMPTS says otherwise; botocore doubles the pause between them, up to 20 seconds."""


def aws_client(service: str, region: str | None = None, *, tries: int | None = None) -> Any:
    """Return boto3's client of a service; credentials and endpoint are found as boto3 finds them.

    Args:
        service: `emr` or `s3`, for instance.
        region: AWS region; None: the environment's.
        tries: How often it makes each call; None: as often as calls are made at most.

    Raises:
        ConfigurationError: When boto3 is not installed.
    """
    return _client(service, region, os.environ.get("AWS_ENDPOINT_URL"), tries or max_tries())


def max_tries() -> int:
    """Return how often a call is made at most."""
    return int(os.environ.get("AWS_MAX_ATTEMPTS", _TRIES))


@contextmanager
def aws_errors(doing: str) -> Iterator[None]:
    """Turn what AWS refuses into an error of Sluice's that says whether it may heal by itself.

    Args:
        doing: What was being done, e.g. `asking for a cluster`.

    Raises:
        RunError: Soft when it is worth another try: busy, unreachable, no capacity.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        kind = SoftRunError if classify(read_facts(str(error)), DEFAULT_RULES).advice.is_soft else HardRunError
        raise kind(f"AWS did not oblige in {doing}: {error}") from error


@cache
def _client(service: str, region: str | None, endpoint: str | None, tries: int) -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ConfigurationError("boto3 is not installed.", "pip install 'sluice-data[aws]'") from error
    config = Config(retries={"mode": "standard", "total_max_attempts": tries}, connect_timeout=10, read_timeout=60)
    return boto3.client(service, region_name=region, endpoint_url=endpoint, config=config)
