"""Small files beside results: read, written and removed on S3 or here."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from metadata_sync.errors import ConfigurationError


class Storage:
    """Reads and writes small files, whole.

    Args:
        region: AWS region.
        endpoint_url: Another address of S3.
    """

    def __init__(self, region: str | None = None, endpoint_url: str | None = None) -> None:
        self._region = region
        self._endpoint_url = endpoint_url

    def read(self, url: str) -> str | None:
        """Return a file's text; None when there is no such file."""
        if not url.startswith("s3://"):
            path = Path(url)
            return path.read_text("utf-8") if path.exists() else None
        address = urlsplit(url)
        try:
            body = self._s3.get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return str(body, "utf-8")

    def write(self, url: str, text: str) -> None:
        """Write a file."""
        if not url.startswith("s3://"):
            path = Path(url)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            return
        address = urlsplit(url)
        self._s3.put_object(Bucket=address.netloc, Key=address.path.lstrip("/"), Body=text.encode())

    @cached_property
    def _s3(self) -> Any:
        return aws_client("s3", self._region, self._endpoint_url)


def aws_client(service: str, region: str | None, endpoint_url: str | None) -> Any:
    """Open a client that asks again when AWS is busy.

    Raises:
        ConfigurationError: When boto3 is not installed.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ConfigurationError("boto3 is not installed.", "pip install 'sluice-data[aws]'") from error
    retries = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=10, read_timeout=60)
    return boto3.client(service, region_name=region, endpoint_url=endpoint_url, config=retries)
