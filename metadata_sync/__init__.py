"""Control rows, from files and tables to generated dbt models: database, validation, SQL analysis, rendering.

| package or module | what it holds |
| --- | --- |
| `rows/` | control rows as typed objects, parsing, the three-way merge |
| `control/` | reads YAML bundles, changes and exports rows |
| `database/` | the control database and its journals |
| `validation/` | the rules for rows and SELECTs |
| `analysis/` | columns, lineage, Spark translation of SELECTs |
| `sql/` | parses and rewrites SQL; Redshift's rules |
| `sync/` | writes the dbt models |
| `errors`, `problems` | the error tree, faults and problems |
| `incident`, `loads` | values that packages share |
| `project`, `settings` | where the project is; `SLUICE_*` |
| `redact`, `text` | masking of secrets; text for terminals, Jinja and people |

Never imported here: prefect, boto3, dbt, a warehouse driver. Questions to a warehouse go through the protocols of
`metadata_sync.analysis.protocols`, which `flows` implements.
"""
