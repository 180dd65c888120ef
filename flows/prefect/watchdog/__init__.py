"""Finds what stops the schedules on a Prefect server, ends it where that is safe, and tells people.

Server, worker and run may die at any moment. Prefect then keeps a run as Pending, Running or Cancelling for good, and
with it the only slot of its deployment: every later run is refused. Nothing in Prefect ends that by itself.

| module | what it holds |
| --- | --- |
| `facts` | what the server says: live runs, held slots, refused and late runs, workers |
| `stuck` | which runs and slots have not moved for too long. Pure |
| `ending` | ends a run, unless it has gone on since the look |
| `missed` | leaves one of the runs that no worker took in time |
| `repair` | ends such runs, frees such slots, starts one run in place of the lost ones |
| `report` | sentences for doctor, status and monitor. Pure |

The reconciler (`flows/prefect/deployments/watch.py`) looks every few seconds and repairs. Doctor, status and monitor
only report. Never imported here: Prefect itself.
"""
