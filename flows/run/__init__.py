"""A run: its request, plan, outcomes, retries, leases and records.

| module | what it holds |
| --- | --- |
| `model` | request, plan, outcome, summary, and the observer's protocol |
| `selection` | which transformations a run contains, and their order |
| `outcome` | the outcome of a target, from dbt's results and the load log |
| `error_text` | the cause of an error, and the user's SQL that the warehouse quotes (pure) |
| `retry` | which failures are retried, and when (pure) |
| `leases` | one run per target: leases with a heartbeat |

Never imported here: dbt, Prefect, boto3, `flows.engine`.
"""
