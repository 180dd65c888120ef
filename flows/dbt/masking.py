"""What dbt leaves on disk holds no secrets: its log is masked line by line, its results after the run."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final

from metadata_sync.redact import redact, redact_text

_DBT_LOG: Final = logging.getLogger("file_log")
"""The logger behind dbt's log file; dbt gives it a new handler per invocation, and leaves filters alone."""


def mask_log() -> None:
    """Let dbt's log file get no secrets, from now on and in this process."""
    _DBT_LOG.addFilter(_masked)


def mask_results(target_dir: Path, since: float) -> None:
    """Mask the results that dbt wrote: warehouses quote values in their errors.

    Args:
        target_dir: dbt's target folder.
        since: Results that are older are another run's; seconds since the epoch.
    """
    for name in ("run_results.json", "sources.json"):
        path = target_dir / name
        if path.is_file() and path.stat().st_mtime >= since:
            path.write_text(json.dumps(redact(json.loads(path.read_text()))))


def _masked(record: logging.LogRecord) -> bool:
    record.msg = redact_text(str(record.msg))
    return True
