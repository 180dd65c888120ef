"""Forms in Prefect's UI. They change rows by the same functions as the command line.

| module | what it holds |
| --- | --- |
| `models` | the fields of each form, and its parameter schema |
| `changes` | the change of rows that a form makes |
| `pages` | the result of a form as Markdown |

Never imported here: prefect (the flows are in `flows.prefect.form_flows`).
"""
