"""Reports of a run to Prefect while it works: task runs, log lines, events. A slow or dead server never delays a load.

Way in: `observer.PrefectObserver`, which the engine calls; `pump.ReportPump` delivers in the background.

| module | what it holds |
| --- | --- |
| `observer` | turns the engine's calls into task runs and log lines |
| `task_runs` | dbt's nodes as task runs |
| `events` | the states of a task run as Prefect events |
| `load_events` | an event per loaded target; automations start its readers |
| `phases` | durations of dbt's phases |
| `pump`, `api` | the queue with its thread, and the client that it uses |
| `fallback` | task runs through the public API, for servers that do not create them from events |
| `variables` | notes as Prefect variables |

Never imported here: the control database, the warehouse, dbt.
"""
