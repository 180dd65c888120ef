"""The run's PostgreSQL, behind the Redshift stand-in."""

from __future__ import annotations

from postgres_cluster import postgres_cluster, postgres_url

__all__ = ["postgres_cluster", "postgres_url"]
