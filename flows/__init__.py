"""Running pipelines: gate, engine, dbt, Spark, Prefect, command line. `metadata_sync` holds the rows and the models.

| package or module | what it holds |
| --- | --- |
| `cli/`, `demo/` | the `sluice` command; `make demo` |
| `doctor/` | checks of an installation |
| `prefect/` | flows, deployments, forms, pages and reports in Prefect |
| `backfill/`, `upkeep/`, `ledger` | backfills; heal and monitor; verify and rebuild |
| `engine/` | prepares and executes a run |
| `dbt/`, `spark/`, `incidents/` | dbt in this process; Spark and EMR; incidents and alerts |
| `run/` | request, plan, outcome, retries and leases of a run |
| `reports/` | status, freshness, savings |
| `gate/` | RUN, SKIP or HOLD for each target |
| `server/` | the local Prefect server |
| `context` | project, settings, control database and clock of a process |
| `warehouse/` | reads of the warehouse |
| `errors/`, `lint/`, `process` | classification of errors; the Redshift lint; identity of processes |

A package imports only packages below it in this table; import-linter checks it.
"""
