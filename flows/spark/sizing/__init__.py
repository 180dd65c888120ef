"""Sizing of clusters: type, number of nodes, duration and cost, within the row's bounds.

Way in: `groups.make_groups(items, …)`, then `Group.sized(prices)`.

| module | what it holds |
| --- | --- |
| `scan_bytes` | estimates the bytes that a run reads, from listings |
| `groups` | which targets share a cluster |
| `sizing` | the cheapest cluster that meets the SLA (pure) |
| `learning` | calibration by a target's own runs (pure) |
| `prices` | machines and prices, from a dated file |
| `refresh` | writes a project's own price list from AWS's |
| `forecast` | the clusters that a run would create, for `sluice plan` |

Never imported here: boto3, dbt, Prefect.
"""
