"""Sync: write control rows as dbt models.

Way in: `store.sync_store(store, stored, project, columns)`; `sync.sync` for rows without a control database.

| module | what it holds |
| --- | --- |
| `store` | syncs a control database, and stores the column lists that sync took from SELECTs |
| `sync` | compares rows with files, validates changed SELECTs, writes and removes files |
| `render` | a row as the text of a model and its properties (pure) |
| `report` | the result of a sync |
| `generated` | headers, hashes and atomic writes of generated files |
| `last_look` | skips the comparison when neither rows nor files have changed |

Never imported here: dbt, a warehouse driver, `flows`.
"""
