"""A flow whose runs stay pending, and then running, until files say that they may go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

FOLDER = "HELD_FLOW_FOLDER"
"""Names the folder of the files, in the environment of the worker."""


def pending_file(folder: Path, run_id: str) -> Path:
    """Return the file that keeps a run pending as long as it exists."""
    return folder / f"pending-{run_id}"


def end_file(folder: Path, run_id: str) -> Path:
    """Return the file that lets a run end."""
    return folder / f"end-{run_id}"


def _folder() -> Path:
    return Path(os.environ[FOLDER])


if FOLDER in os.environ:  # Prefect imports the module of a run while it is still pending
    while pending_file(_folder(), os.environ.get("PREFECT__FLOW_RUN_ID", "")).exists():
        time.sleep(0.1)


@flow(name="held", persist_result=False)
def held() -> None:
    """Run until the run's file exists."""
    while not end_file(_folder(), str(flow_run.id)).exists():
        time.sleep(0.1)
