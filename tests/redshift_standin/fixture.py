"""The stand-in for tests: one for each test that asks, on a database of its own of the run's PostgreSQL.

A folder that wants it says in its conftest.py: `from tests.redshift_standin.fixture import redshift_standin`, beside
`postgres_cluster` and `postgres_url` (fixtures of tests/support/postgres_cluster.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.redshift_standin.server import Standin


@contextlib.contextmanager
def running(postgres_url: str) -> Iterator[Standin]:
    """A stand-in in snapshot isolation on a database, stopped afterwards."""
    standin = Standin(postgres_url)
    standin.start()
    try:
        yield standin
    finally:
        standin.stop()


@pytest.fixture
def redshift_standin(postgres_url: str) -> Iterator[Standin]:
    """One for each test."""
    with running(postgres_url) as standin:
        yield standin
