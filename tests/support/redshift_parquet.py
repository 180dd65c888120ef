"""Parquet on the stand-in's S3, with the manifest that COPY and the loads of Spark's results read."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from tests.redshift_standin.statements.lake import Lake


def put_parquet(lake: Lake, manifest: str, files: Mapping[str, str]) -> None:
    """Write queries' rows as Parquet files, then a manifest of them.

    Args:
        lake: S3.
        manifest: Address of the manifest.
        files: Address of each file → DuckDB's query.
    """
    with contextlib.suppress(lake.client.exceptions.BucketAlreadyOwnedByYou):
        lake.client.create_bucket(Bucket=manifest.split("/")[2])
    entries = [
        {"url": url, "mandatory": True, "meta": {"content_length": _put(lake, url, files[url])}} for url in files
    ]
    lake.write(manifest, json.dumps({"entries": entries}).encode())


def _put(lake: Lake, url: str, query: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.parquet")
        duckdb.sql(f"copy ({query}) to '{file}' (format parquet)")
        content = file.read_bytes()
    lake.write(url, content)
    return len(content)
