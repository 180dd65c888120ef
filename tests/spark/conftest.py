"""The run's PostgreSQL, behind the Redshift stand-in."""

from __future__ import annotations

from tests.support.postgres_cluster import postgres_cluster, postgres_url

__all__ = ["postgres_cluster", "postgres_url"]
