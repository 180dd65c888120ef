"""Control rows as typed objects, and pure functions over them.

| module | what it holds |
| --- | --- |
| `model` | `SourceRow`, `PipelineRow`, `TransformationRow`, `ControlRows` |
| `vocabulary` | the allowed words of columns, as enums |
| `names` | identifiers, slugs and `schema.table` names |
| `forms` | what to say of a value of the wrong form |
| `parsing` | untyped values to typed rows, with all faults |
| `resolve` | a row's settings with the defaults of the rows that it refers to |
| `merge` | the three-way merge of files, last applied rows and table |
| `calendar` | weekdays on which new data is expected |

Never imported here: the control database, SQL parsing, a warehouse.
"""
