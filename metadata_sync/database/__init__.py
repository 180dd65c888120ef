"""The control database: rows, their audit, journals and leases; SQLite by default, PostgreSQL by URL.

Way in: `ControlStore.open(url, environment)`.

| module or package | what it holds |
| --- | --- |
| `store` | `ControlStore`: all reads and writes of one environment |
| `stored_rows` | all rows as they are stored, parsed on access |
| `tables` | the tables |
| `codec` | rows to and from columns |
| `changes`, `audit` | changes of rows, and their audit entries |
| `leases` | one lease per target |
| `journals/` | decisions, loads, incidents, alerts, Spark, backfills |
| `engine` | connections, transactions, the shared clock, ids that sort by time |
| `upgrade`, `migrations/` | schema migrations |

Never imported here: YAML, SQL analysis, a warehouse driver.
"""

from metadata_sync.database.journals.entries import (
    AuditEntry,
    DecisionEntry,
    LoadEntry,
    LoadStatus,
    Via,
)
from metadata_sync.database.leases import Lease, LeaseHolder
from metadata_sync.database.store import ControlStore
from metadata_sync.database.stored_rows import StoredRows

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
