"""Warehouse or Spark: decided from the row, the request and the estimated bytes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from flows.gate.facts import EngineChoice
from flows.spark.sizing.scan_bytes import Scan
from metadata_sync.rows.model import PipelineRow
from metadata_sync.rows.vocabulary import Engine

GB: Final = 10**9


def choose_engine(
    pipeline: PipelineRow,
    asked: Engine | None,
    cluster: str | None,
    obstacles: Callable[[], str | None],
    scan: Callable[[], Scan],
) -> EngineChoice:
    """Decide where a target's SELECT runs.

    Args:
        pipeline: Its pipeline.
        asked: What a person asked for this run; None: nothing.
        cluster: The cluster that a person asked for, TYPE:N; it asks for Spark, too.
        obstacles: Says what keeps the row from Spark, or None; asked only when it matters.
        scan: Estimates what it reads; asked only when it matters.

    Returns:
        The engine with the numbers behind it.
    """
    wish = asked or (Engine.SPARK if cluster else None)
    engine = wish or pipeline.engine
    why = f"asked for {engine} in this run" if wish else f"its pipeline says engine: {engine}"
    if engine is Engine.WAREHOUSE:
        return EngineChoice(Engine.WAREHOUSE, why)
    threshold = _bytes(pipeline.spark_threshold_gb)
    if engine is Engine.AUTO and threshold is None:
        return EngineChoice(Engine.WAREHOUSE, f"{why}, and sets no spark_threshold_gb")
    obstacle = obstacles()
    if obstacle is not None:
        stays = Engine.WAREHOUSE if engine is Engine.AUTO else Engine.SPARK
        return EngineChoice(stays, f"{why}, and it cannot run on Spark: {obstacle}", threshold_bytes=threshold)
    return _by_size(engine, why, threshold, scan(), cluster)


def _by_size(engine: Engine, why: str, threshold: int | None, found: Scan, cluster: str | None) -> EngineChoice:
    numbers = (found.scan_bytes, threshold, found.basis)
    if engine is Engine.SPARK:
        return EngineChoice(Engine.SPARK, why, *numbers, cluster)
    assert threshold is not None, "auto without a threshold is decided before anything is listed"
    if found.scan_bytes >= threshold:
        message = f"it would read {in_gb(found.scan_bytes)}, the row's threshold is {in_gb(threshold)}"
        return EngineChoice(Engine.SPARK, message, *numbers, cluster)
    message = f"it would read {in_gb(found.scan_bytes)}, less than the row's threshold of {in_gb(threshold)}"
    return EngineChoice(Engine.WAREHOUSE, message, *numbers)


def in_gb(count: int) -> str:
    """Write bytes for people.

    >>> in_gb(1_500_000_000), in_gb(20_000), in_gb(0)
    ('1.5 GB', '0.02 MB', '0 MB')
    """
    return f"{count / GB:,.3g} GB" if count >= GB else f"{count / 10**6:,.3g} MB"


def _bytes(gigabytes: Decimal | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * GB)
