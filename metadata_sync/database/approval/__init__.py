"""Protected environments: changes of rows become proposals, which another identity approves.

`ControlStore.write` asks `desk.propose_if_protected`; `Approvals` (`ControlStore.approvals`) decides.

| module | what it holds |
| --- | --- |
| `model` | roles, identities, proposals; pure |
| `identity` | who calls, from the authenticated side |
| `protection` | which environments are protected, and who has which role |
| `desk` | storing proposals, and the `Approvals` that people decide by |
| `proposals` | proposals in and out of the database |
| `triggers`, `postgres` | what holds plain SQL to it |

Never imported here: `metadata_sync.database.store`.
"""
