"""Analysis of rows and SELECTs: columns, lineage, translation to Spark, and which faults stop which rows.

| module | what it holds |
| --- | --- |
| `catalog` | the columns of every table and the analysis of every SELECT, cached |
| `protocols` | `WarehouseColumns`: the questions to a warehouse; `flows.warehouse.columns` implements it |
| `select_file` | reads the file of a row's `sql_path` |
| `lineage` | the graph of tables and columns |
| `lookups` | which rows a change of a lookup touches, and what cannot be derived again |
| `spark` | translates a row's SELECT to Spark, or says why it cannot run there |
| `lake_location` | files and partition columns of a lake source's location |
| `unit_tests` | reads test files, and writes their unit tests as dbt reads them |
| `blame` | faults by row, and the transformations that they stop |

Never imported here: a warehouse driver, the control database.
"""
