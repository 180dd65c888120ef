"""Small files beside results, on S3 or here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from flows.emr.aws import aws_client, aws_errors


def read_text(url: str) -> str | None:
    """Return a file's text; None when there is no such file.

    Args:
        url: `s3://bucket/key`, or a path.

    Raises:
        ConfigurationError: When it is on S3 and boto3 is not installed.
        RunError: When S3 does not answer, or refuses.
    """
    if not url.startswith("s3://"):
        path = Path(url)
        return path.read_text("utf-8") if path.exists() else None
    address, s3 = urlsplit(url), aws_client("s3")
    with aws_errors(f"reading {url}"):
        try:
            body = s3.get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
    return str(body, "utf-8")
