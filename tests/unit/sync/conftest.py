"""A project with a folder of SELECTs, and a warehouse that knows some columns."""

from __future__ import annotations

from tests.support.sync_support import project, warehouse

__all__ = ["project", "warehouse"]
