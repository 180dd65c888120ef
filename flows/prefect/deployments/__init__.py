"""Prefect's deployments, computed from the control rows and compared with what the server has.

Way in: `deploy.deploy(context, api_url)`; `watch.watch` repeats it.

| module | what it holds |
| --- | --- |
| `pipelines`, `upkeep`, `forms`, `automations` | the desired deployments and automations (pure) |
| `diff` | the difference between desired and existing ones (pure) |
| `reads` | what the server has, over plain HTTP |
| `client` | writes and removes, with Prefect's client |
| `deploy` | `sluice deploy` |
| `watch` | the reconciler: deploys again when rows change |

Never imported here at module level, except in `client`: prefect (`sluice deploy` and the reconciler start without it).
"""
