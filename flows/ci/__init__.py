"""Everything that a pull request is checked for, in one command; only what is built needs a warehouse.

Way in: `checks.run_checks(context, ref)`.

| module | what is in it |
| --- | --- |
| `checks` | the checks in their order, each with what it found |
| `choose`, `build` | which targets changed; they are loaded before and after in a place of their own, and compared |
| `built_text`, `messages` | what was built, for people; messages of the warehouse without values of rows |
| `report` | Markdown for a comment, JUnit for a CI system, SARIF for code scanning |
"""
