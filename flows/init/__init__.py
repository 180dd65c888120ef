"""`sluice init`: a team's own project that depends on the installed package.

| module | what it holds |
| --- | --- |
| `scaffold` | a new project, from the files in `template/` |
| `adopt` | what is added to an existing dbt project |
| `writing` | writes files that are missing, never over one; can be killed and run again |

In `template/`, `@NAME@` and its like are replaced; a line that begins with `@duckdb` stands in projects of that
warehouse only.
"""
