"""Incidents and alerts: one incident per root cause, from its first failure until it is resolved.

Way in: `settle.settle_incidents(…)` after outcomes or findings; `outbox.deliver_or_log(context)` sends the alerts.

| module | what it holds |
| --- | --- |
| `incident` | findings and known incidents give new states (pure) |
| `settle` | the consequences of outcomes: rows, incidents and alerts, in one transaction |
| `fingerprint` | what a failed row depended on, so that `heal` sees changes |
| `alert_text` | title and body of an alert (pure) |
| `channels` | the channel of a row |
| `outbox` | sends alerts until their channel accepts them |
| `prefect_blocks` | Prefect's notification blocks as channels |

Never imported here: dbt, boto3, `flows.engine`, `flows.prefect`. Only `prefect_blocks` imports prefect.
"""
