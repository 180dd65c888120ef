"""The control database: rows, their audit, decisions and loads; SQLite by default, PostgreSQL by URL."""

from metadata_sync.database.journals.entries import (
    AuditEntry,
    DecisionEntry,
    LoadEntry,
    LoadStatus,
    Via,
)
from metadata_sync.database.leases import Lease, LeaseHolder
from metadata_sync.database.store import ControlStore, StoredRows

__all__ = [
    "AuditEntry",
    "ControlStore",
    "DecisionEntry",
    "Lease",
    "LeaseHolder",
    "LoadEntry",
    "LoadStatus",
    "StoredRows",
    "Via",
]
