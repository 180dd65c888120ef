"""dbt in this process: parse, build, compile and test models, with secrets masked in dbt's files.

| module | what it holds |
| --- | --- |
| `runner` | `DbtRunner`: dbt for the engine, one result per node |
| `kept_manifest` | `KeptManifest`: dbt's manifest, kept by node, so that a run needs no parse |
| `cut` | the part of a manifest that a selection needs |
| `parse_inputs` | what a parse depends on, looked at without reading the project |
| `time_limit` | the limit of a node's statement on DuckDB |
| `package`, `package_list` | the macros of the wheel, linked into a project, and dbt's list of packages |
| `passthrough` | `sluice dbt`: dbt by hand |
| `sessions` | dbt's sessions on Redshift: in UTC, reused, without a BEGIN that nothing needs |
| `session_reuse` | which of them may serve another node, and those that wait |

Never imported here: Prefect, `flows.engine`. dbt itself is imported inside functions only.
"""
