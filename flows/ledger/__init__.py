"""A target's ledger: verify the target against it, rebuild the target from it, show which of its events tie.

dbt runs the macros' SQL in the warehouse: SLUICE_TASKS makes the model run its task instead of a load.

| module | what it holds |
| --- | --- |
| `tasks` | one task of one model, and its answer |
| `verify` | compares a target with its ledger and its load log |
| `rebuild` | writes a target again from its ledger |
| `ties` | events of equal key and time that differ |

Never imported here: Prefect, `flows.prefect`, `flows.cli`. dbt is imported inside functions only.
"""
