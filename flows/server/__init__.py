"""The local Prefect server of `sluice up`, its worker and its reconciler.

| module | what it holds |
| --- | --- |
| `local` | start, stop and find the server; `running_api_url` finds the API that runs report to |
| `companions` | the worker and the reconciler beside the server |
| `background` | detached processes with a pid file and a log |

Never imported here: Prefect (a run must learn within milliseconds whether a server answers), dbt, `flows.prefect`.
"""
