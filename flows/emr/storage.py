"""Small files beside results, on S3 or here."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from metadata_sync.errors import ConfigurationError


def read_text(url: str) -> str | None:
    """Return a file's text; None when there is no such file.

    Args:
        url: `s3://bucket/key`, or a path.

    Raises:
        ConfigurationError: When it is on S3 and boto3 is not installed.
    """
    if not url.startswith("s3://"):
        path = Path(url)
        return path.read_text("utf-8") if path.exists() else None
    address, s3 = urlsplit(url), _s3()
    try:
        body = s3.get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return str(body, "utf-8")


@cache
def _s3() -> Any:
    """Open a client that asks again when AWS is busy."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ConfigurationError("boto3 is not installed.", "pip install 'sluice-data[aws]'") from error
    retries = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=10, read_timeout=60)
    return boto3.client("s3", config=retries)
