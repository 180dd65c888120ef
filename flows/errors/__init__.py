"""Classification of errors: their class, and whether a retry can help.

Way in: `classify.classify(classify.read_facts(text), team_rules.load_rules(project))`.

| module | what it holds |
| --- | --- |
| `classify` | classes, advice, rules and verdicts (pure) |
| `rules` | the default rules, each with its source (pure) |
| `team_rules` | rules of the project and of packages |

Never imported here: Prefect, dbt, boto3, other packages of `flows`.
"""
