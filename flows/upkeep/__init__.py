"""Upkeep between runs: reactivate rows whose failure is repaired, and watch for what runs cannot report.

Way in: `heal.heal(context)` and `monitor.monitor(context)`.

| module | what it holds |
| --- | --- |
| `heal` | checks deactivated rows and reactivates those whose cause is gone |
| `heal_policy` | when a deactivated row is checked again (pure) |
| `dry_run` | runs a model over empty sources, and tests the right to write |
| `monitor` | crashed and hanging runs, late pipelines, stale tables, pending alerts, orphaned clusters |
| `lateness` | pipelines that were due and on which no run has decided since |
| `ticks` | when a schedule is due |
| `costs` | reads what loads took of a Redshift warehouse, and keeps it |
| `problems` | what is wrong now, for `sluice status` and a page |

Never imported here: `flows.prefect`, `flows.cli`. dbt, boto3 and, in `ticks`, Prefect's schedules are imported inside
functions only.
"""
