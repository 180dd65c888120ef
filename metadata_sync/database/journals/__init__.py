"""The journals of the control database: append-only logs, incidents and the outbox of alerts.

`ControlStore` is the way in; it opens the transactions.

| module | what it holds |
| --- | --- |
| `entries` | the values of all journals |
| `decisions_loads` | decision_log and run_log |
| `counts` | counts of decisions, and past loads, for `sluice savings` |
| `incidents` | incident and alert_outbox |
| `settlement` | loads, changes of rows, incidents and alerts, written together |
| `spark` | spark_log |
| `backfills` | backfill_log |
| `retention` | removes old entries, in small batches |
| `lifecycle` | lifecycle_log, and a new name of a target in all journals |

Never imported here: `metadata_sync.database.store`.
"""
