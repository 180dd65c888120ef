"""The Redshift lint: find SQL that Redshift would refuse or run differently. It needs no warehouse.

Way in: `checks.lint(files.find_files(project, paths))`. The rules themselves are in `metadata_sync.sql.redshift`.

| module | what it holds |
| --- | --- |
| `files` | which SQL files a project has, and their text without Jinja |
| `checks` | findings of the rules (sqlglot) and of sqlfluff's parser |
| `reports` | findings as text, JSON, SARIF or GitHub annotations |

Never imported here: `flows.context`, the control database, the warehouse, dbt, Prefect.
"""
