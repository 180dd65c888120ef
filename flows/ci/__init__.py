"""Everything that a pull request is checked for without a warehouse, in one command.

Way in: `checks.run_checks(context, ref)`.

| module | what is in it |
| --- | --- |
| `checks` | the checks in their order, each with what it found |
| `report` | Markdown for a comment, JUnit for a CI system, SARIF for code scanning |
"""
