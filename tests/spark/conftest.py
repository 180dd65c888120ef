"""The run's PostgreSQL, behind the Redshift stand-in, and one Spark for the loads of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.spark import local
from tests.support.postgres_cluster import postgres_cluster, postgres_url
from tests.support.resident_spark import ResidentSpark, resident_spark

__all__ = ["postgres_cluster", "postgres_url"]


@pytest.fixture(scope="package")
def resident() -> Iterator[ResidentSpark]:
    """One Spark for the tests of this folder."""
    with resident_spark() as spark:
        yield spark


@pytest.fixture(scope="module")
def spark_submit(resident: ResidentSpark) -> Iterator[None]:
    """Let `spark-submit` reach a Spark that runs: its start takes longer than the jobs of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "submit_command", resident.command)
        yield
