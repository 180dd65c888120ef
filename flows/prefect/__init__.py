"""Everything that knows Prefect: flows, deployments, reports of runs, pages and forms in its UI.

Loads do not depend on Prefect: the engine works without it, and the flows here only call the engine.

| module or package | what it holds |
| --- | --- |
| `run_flow` | the flow `run` |
| `local_run` | `sluice run` through a Prefect server, in this process |
| `run_guards` | a run that Prefect refused or that crashed is replaced; a run whose row changed does not start |
| `backfill_flow`, `form_flows`, `upkeep_flows` | the flows of the forms, and `heal` and `monitor` |
| `proposals` | pages of proposals, and who decides one by form |
| `retention` | removes old runs, logs and pages from the server |
| `deployments/` | one deployment per row, compared with what the server has |
| `forms/` | the forms' fields, and the changes that they make |
| `pages/` | run summary, gate, freshness, lineage and trend as pages in the UI |
| `watchdog/` | ends runs that will not end by themselves, frees slots that no run holds, reports what stops schedules |
| `reporting/` | task runs, log lines and events that a run sends while it works |

Never imported here: `flows.cli`. Only `flows.cli` and `flows.doctor` import this package, inside functions.
"""
