"""Targets as a whole: a new name, or an end.

Way in: `rename.plan_rename(context, old, new)` and `rename.rename(context, plan)`.

| module | what it holds |
| --- | --- |
| `rename` | the plan of a renaming, and its steps |
| `files` | the team's files that name a target: bundles of rows, SELECTs, what is left |
| `standing` | what stands of a target in the warehouse |

A kill between two steps leaves an entry in `lifecycle_log`; until the same command has finished it, no run loads the
targets that it involves.

Never imported here: Prefect, `flows.prefect`, `flows.cli`. dbt is imported inside functions only.
"""
