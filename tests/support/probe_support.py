"""A source table and a profile that tests of probes share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from flows.warehouse.profile import Profile
from metadata_sync.rows.model import SourceRow

NOW = datetime(2013, 1, 2, tzinfo=UTC)


def postgres_profile(url: str) -> Profile:
    parts: dict[str, Any] = conninfo_to_dict(url)
    return Profile("sluice", "dev", "postgres", "dev", {**parts, "type": "postgres"})


def table(name: str, **values: Any) -> SourceRow:
    return SourceRow.model_validate({"schema": "shop", "table": name, "kind": "warehouse", **values})
