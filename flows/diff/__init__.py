"""Compare a target with the same target of another environment, in the warehouse and by its key.

Way in: `compare.compare(context, target, against)`.

| module | what is in it |
| --- | --- |
| `model` | what a comparison shows |
| `sides` | both tables on one connection, with their columns |
| `statements` | the SQL: keys, rows, versions of histories |
| `compare` | asks it, and adds up |
| `past` | a history now and at an earlier moment |

Rows never leave the warehouse but for a few examples, whose values are masked unless somebody asks for them.
"""
