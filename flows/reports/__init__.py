"""Reports from the control database: pure functions over rows, decisions and loads.

| module | what it holds |
| --- | --- |
| `status` | `target_statuses`: the last run, last load and age of every target |
| `freshness` | `measure_freshness`: which targets and sources are late |
| `cost` | `add_up`: what loads took of a Redshift warehouse |
| `savings` | `add_up`: the runs and the cost that the gate avoided |

Never imported here: Prefect, dbt, boto3, a connection to the warehouse. The caller reads the control database.
"""
