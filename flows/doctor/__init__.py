"""`sluice doctor`: checks of an installation. Nothing is changed.

Way in: `checks.examine(context)`.

| module | what it holds |
| --- | --- |
| `checks` | all checks in order |
| `finding` | level, message and remedy of a finding |
| `clocks` | differences between machines' clocks |
| `spark` | settings and AWS resources for EMR |
| `server` | a Prefect server that answers |

Never imported here at module level: Prefect, dbt, boto3, a warehouse driver.
"""
