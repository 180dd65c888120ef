"""Sync: write control rows as dbt models.

Way in: `sync.sync_store(store, stored, project, columns)`; `sync.sync` for rows without a control database.

| module | what it holds |
| --- | --- |
| `sync` | compares rows with files, validates changed SELECTs, writes and removes files |
| `render` | a row as the text of a model and its properties (pure) |
| `generated` | headers, hashes and atomic writes of generated files |
| `last_look` | skips the comparison when neither rows nor files have changed |

Never imported here: dbt, a warehouse driver, `flows`.
"""
