"""The backend EMR on EC2: a cluster per run and job group, a step per job.

| module | what it holds |
| --- | --- |
| `backend` | creates clusters |
| `cluster` | one cluster: its steps, their limits, its end |
| `calls` | calls of EMR's API that read or end a cluster or a step |
| `request` | arguments of RunJobFlow and AddJobFlowSteps (pure) |
| `cluster_state` | the state of a cluster and its steps, and the end of a job |
| `clusters` | finds the managed clusters of an environment |
| `idempotency` | calls that AWS must not execute twice |
| `sweep` | terminates clusters that no run waits for |

Never imported here: dbt, Prefect. boto3 comes from `flows.spark.aws`.
"""
