"""dbt in this process: parse, build, compile and test models, with secrets masked in dbt's files.

| module | what it holds |
| --- | --- |
| `runner` | `DbtRunner`: dbt for the engine, one result per node |
| `passthrough` | `sluice dbt`: dbt by hand |
| `sessions` | dbt's sessions on Redshift count in UTC |

Never imported here: Prefect, `flows.engine`. dbt itself is imported inside functions only.
"""
