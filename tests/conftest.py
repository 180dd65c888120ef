"""What holds for every test: markers by folder, no settings leaking in from the developer's shell."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.support.json_formats import watch_documents
from tests.support.quicker_dbt import hurry_dbt

HERE = Path(__file__).parent
ON_DEMAND = ("redshift_live", "s3", "iceberg")
"""Markers of tests that run only when they are asked for."""
SHARE_SPARK = ("tests/spark/test_spark_loads.py", "tests/spark/test_spark_on_emr.py")
FOLDER_MARKERS = ("macros", "flows", "e2e", "spark", "s3", "iceberg")
LONGEST_FIRST = ("spark", "macros", "e2e", "flows", "docs", "unit")
WAIT = ("tests/e2e/", "tests/flows/prefect/")
"""Folders whose tests mostly wait, for servers and for processes of their own."""

# Deadlines measure the machine, not the code; CI repeats the same examples every time.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
hurry_dbt()
watch_documents()
# A full collection goes through all of dbt, Prefect and the tests' modules: a fifth of the processor's time went there.
gc.set_threshold(100_000, 50, 1_000)


def pytest_collection_finish() -> None:
    """Let collections leave out what lives as long as the process."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test the marker of its folder; `unit` needs none. Some run only when asked for.

    Folders with the longest files come first: a worker takes a file at a time, and the last ones must be short. Files
    that wait alternate with files that compute, so that the processors have work.
    """
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(HERE).parts[0], -1))
    by_file = {path: list(found) for path, found in groupby(items, key=lambda item: item.path)}
    waiting = [found for found in by_file.values() if found[0].nodeid.startswith(WAIT)]
    computing = [found for found in by_file.values() if not found[0].nodeid.startswith(WAIT)]
    pairs = zip_longest(computing, waiting, fillvalue=[])
    items[:] = [item for pair in pairs for found in pair for item in found]
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in FOLDER_MARKERS:
            item.add_marker(folder)
    for marker in ON_DEMAND:
        if marker not in config.option.markexpr:
            others = [item for item in items if item.get_closest_marker(marker)]
            items[:] = [item for item in items if item not in others]
            config.hook.pytest_deselected(items=others)


class _SparkTogether(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each worker whole files, and one worker those that share a Spark."""

    def _split_scope(self, nodeid: str) -> str:
        is_shared = nodeid.startswith(SHARE_SPARK)
        return "tests/spark" if is_shared else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Replace `--dist loadfile`."""
    return _SparkTogether(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _left_as_found() -> Iterator[None]:
    """Put the process's variables back, and fail a test that leaves it in another folder: others inherit both."""
    folder, variables = Path.cwd(), dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(variables)
    try:
        assert Path.cwd() == folder
    finally:
        os.chdir(folder)


@pytest.fixture(autouse=True)
def _clean_environment(_left_as_found: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLUICE_", "PREFECT_", "DBT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
