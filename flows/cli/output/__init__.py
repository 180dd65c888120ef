"""Output of commands, and their shared options.

| module | what it holds |
| --- | --- |
| `console` | results on stdout, messages on stderr, JSON documents, errors |
| `tables` | plans and summaries of runs as tables and JSON |
| `progress` | progress of a run on a terminal |
| `options` | options that several commands share |
| `changes`, `restoring` | changes of rows, and of SELECTs with what they do |

Never imported here: Prefect, dbt, the control database.
"""
