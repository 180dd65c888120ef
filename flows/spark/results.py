"""Read the manifests and error files of jobs, on S3 or on this machine."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

from flows.spark.aws import aws_client, aws_errors
from flows.spark.backend import JobEnd, JobStatus
from flows.spark.jobs import Result, SparkJob, read_entries, read_manifest


def read_text(url: str) -> str | None:
    """Return a file's text, or None when it does not exist.

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


def read_end(job: SparkJob, ended_at: datetime) -> JobEnd | None:
    """Return the end of a job from its files; a manifest takes precedence over an error file.

    None: it left no file, or only the beginning of one.
    """
    text = read_text(job.manifest)
    if text is None or not _is_whole(text):
        document = _read_failure(read_text(job.error))
        if document is None:
            return None
        began = ended_at - timedelta(seconds=document["seconds"])
        return JobEnd(JobStatus.FAILED, began, ended_at, error=document["error"])
    try:
        result = _check(read_manifest(job, text), text)
        began = ended_at - timedelta(seconds=float(json.loads(text)["author"].get("seconds", 0.0)))
    except (ValueError, TypeError, OverflowError) as error:
        return JobEnd(JobStatus.FAILED, None, ended_at, error=str(error))
    return JobEnd(JobStatus.DONE, began, ended_at, result)


class _Failure(TypedDict):
    error: str
    seconds: float


def _read_failure(text: str | None) -> _Failure | None:
    """Return what an error file says; None: there is none, or it is cut off."""
    if text is None or not _is_whole(text):
        return None
    document = json.loads(text)
    return {"error": str(document.get("error", "")), "seconds": max(0.0, float(document.get("seconds", 0.0)))}


def _is_whole(text: str) -> bool:
    """Whether a file holds a JSON document to its end."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _check(result: Result, text: str) -> Result:
    """Compare the files that lie there with those that manifests name: another program may have put one beside them.

    Raises:
        ValueError: When they differ.
    """
    named = [(result.manifest, text, result.pattern)]
    if result.groups is not None:
        named.append((result.groups.manifest, read_text(result.groups.manifest) or "", result.groups.pattern))
    for manifest, content, pattern in named:
        folder = pattern.removesuffix("/*.parquet")
        if not folder:
            continue
        strange = sorted(read_entries(manifest, content, folder) ^ _list_parquet(folder))
        if strange:
            raise ValueError(f"{manifest} and the files in {folder} differ in {strange[0]!r}: others write there, too")
    return result


def _list_parquet(folder: str) -> set[str]:
    if not folder.startswith("s3://"):
        return {str(path) for path in Path(folder).iterdir() if path.suffix == ".parquet"}
    address, s3 = urlsplit(folder), aws_client("s3")
    found: set[str] = set()
    with aws_errors(f"listing {folder}"):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=address.netloc, Prefix=f"{address.path.lstrip('/')}/", Delimiter="/"
        )
        for page in pages:
            found |= {f"s3://{address.netloc}/{item['Key']}" for item in page.get("Contents", ())}
    return {name for name in found if name.endswith(".parquet")}
