"""The warehouse: connection, load log, columns. Everything here reads; dbt writes.

Way in: `connection.open_warehouse(profile)`.

| module | what it holds |
| --- | --- |
| `profile` | the target in profiles.yml, and the variables that dbt needs |
| `connection` | read-only connections to DuckDB, PostgreSQL and Redshift, confined on DuckDB; pieces of SQL text |
| `kept` | a session that stays open between readers |
| `definition` | how a target is built, as heads and the load log hold it (pure) |
| `load_log` | existing tables, watermarks, heads and logged loads |
| `rejects` | counts of rejected rows, and the command that loads them again |
| `columns` | columns and types of tables, files and SELECTs |
| `lake/` | lake sources: their files, the columns of these, and what a load may read of them |
| `bounds` | window bounds, compared by value |
| `chunks` | cuts a range of keys into chunks (pure) |
| `file_lock` | one writer at a time on the embedded warehouse |

Never imported here: Prefect, dbt, other packages of `flows`. boto3 is imported inside functions only.
"""
