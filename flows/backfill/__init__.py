"""Backfills: load any window of the past again, chunk by chunk. The live watermark does not move.

Way in: `backfill.plan_backfill(context, request)`, then `backfill.run_backfill(context, plan)`.

| module | what it holds |
| --- | --- |
| `backfill` | plans and runs a backfill |
| `slices` | which keys of its sources a target reads, as chunks; or why it is excluded |
| `model` | request, plan, progress and summary |
| `restate` | derives a target's rows again by today's SELECT, and prunes what it no longer yields |
| `held` | which events of a target its source still holds |
| `fill` | which columns stored events can take from today's SELECT |
| `automatic` | restatements that rows ask for, after a run |
| `readers` | the targets that read what was loaded again |
| `first_loads` | goes on with first loads in chunks, after the run that began them |

Never imported here: Prefect, `flows.prefect`, `flows.cli`. dbt and Spark are imported inside functions only.
"""
