"""Mask secrets in the files that dbt writes: its log line by line, its results after the run."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final

from metadata_sync.redact import redact, redact_text

_DBT_LOG: Final = logging.getLogger("file_log")
"""The logger of dbt's log file. dbt replaces its handler in each invocation, but keeps its filters."""


def mask_log() -> None:
    """Mask secrets in dbt's log file, for the rest of this process."""
    _DBT_LOG.addFilter(_masked)


def mask_results(target_dir: Path, since: float) -> None:
    """Mask secrets in dbt's result files: warehouses quote values in their error messages.

    Args:
        target_dir: dbt's target folder.
        since: Start of the run, seconds since the epoch; older files belong to another run.
    """
    for name in ("run_results.json", "sources.json"):
        path = target_dir / name
        if path.is_file() and path.stat().st_mtime >= since:
            path.write_text(json.dumps(redact(json.loads(path.read_text()))))


def _masked(record: logging.LogRecord) -> bool:
    record.msg = redact_text(str(record.msg))
    return True
