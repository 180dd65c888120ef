"""Targets as a whole: a new name, or an end.

Way in: `rename.plan_rename` and `rename.rename_steps`, `retire.plan_retirement` and `retire.retire_steps`.

| module | what it holds |
| --- | --- |
| `rename` | the plan of a renaming, and its steps |
| `retire` | the plan of a retirement, its steps, and how it is taken back |
| `files` | the team's files that name a target: bundles of rows, SELECTs, what is left |
| `standing` | what stands of a target in the warehouse |

A kill between two steps leaves an entry in `lifecycle_log`; until the same command has finished it, no run loads the
targets that it involves: their rows count as faulty (rename), or are switched off (retire).

Never imported here: Prefect, `flows.prefect`, `flows.cli`. dbt is imported inside functions only.
"""
