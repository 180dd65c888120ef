"""Propose control rows for tables, files and SELECTs, each setting with its evidence and a confidence.

Way in: `offers.resolve` says what was named, `propose.propose` what its rows should be, `files.write` writes them,
`trial.try_out` loads them in an environment of its own.

| module | what is in it |
| --- | --- |
| `model` | an offered table, its facts, and a proposal with its choices |
| `offers` | tables, files, folders and SELECTs as relations that can be asked |
| `file_names` | which files of a folder are one table, and how a row names them |
| `relations` | a source's rows, and what arrived together, as table expressions |
| `renames` | names for columns that no target may have, such as `Order ID` |
| `facts` | what a relation holds: columns, NULLs, distinct values, landings |
| `names` | what a column's name and type say of it |
| `keys` | the shortest sets of columns that identify a row |
| `increments` | which column says when a row arrived, and which when it changed |
| `propose` | from facts to choices |
| `files` | the YAML and SQL of a proposal |
| `trial` | a load of the proposal in an environment of its own |

Nothing here decides for a person: what data cannot tell is asked, or left open.
"""
