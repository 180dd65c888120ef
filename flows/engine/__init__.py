"""The engine: prepares a run, executes it wave by wave, and records what happened. It works without Prefect.

Way in: `engine.prepare(context, request)`, then `engine.execute(context, plan)`.

| module | what it holds |
| --- | --- |
| `engine` | sync, gate and plan of a run; the warehouse's lock |
| `execution` | one run of one plan: waves of dbt, retries, outcomes |
| `engines` | warehouse or Spark, for each target that is due; Spark's code is imported only when needed |
| `first_loads` | which targets load by chunks, because one load of their source would be too large |
| `recovery` | runs that were killed: frees their leases, records their loads |
| `rerun` | runs the targets that other runs skipped because this run held them |
| `startup_failures` | incidents of runs that end before the gate decides |
| `outlook` | what is pending and what would run, for `sluice plan` |

Never imported here: Prefect, `flows.prefect`, `flows.cli`. dbt and Spark are imported inside functions only.
"""
