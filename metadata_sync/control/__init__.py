"""Changes of control rows, from files, commands and forms.

Way in: `apply.plan_files` and `apply.apply_plan`; `apply.set_values`, `apply.add_row`, `apply.switch` for one row.

| module | what it holds |
| --- | --- |
| `apply` | plans, checks and writes changes |
| `bundle` | reads YAML files as rows, with all faults |
| `yaml_source` | safe YAML with line numbers |
| `export` | writes rows as YAML files |

Never imported here: `flows`, prefect, dbt.
"""
