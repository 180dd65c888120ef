"""The local Prefect server of `sluice up`, its workers and its reconciler.

| module | what it holds |
| --- | --- |
| `local` | start, stop and find the server; `running_api_url` finds the API that runs report to |
| `companions` | the workers and the reconciler beside the server |
| `app`, `busy` | the server's program: who may speak to it, and requests that met a locked database |
| `slot_leases` | leases of Prefect's slots outlive an outage of the server |
| `api` | plain HTTP requests to any Prefect server, patient while it is busy |
| `background` | detached processes with a pid file and a log |

Never imported here: Prefect (a run must learn within milliseconds whether a server answers), dbt, `flows.prefect`.
"""
