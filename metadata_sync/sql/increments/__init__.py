"""The proof that a SELECT suits its increment mode: that loads of parts give the same target as one load of everything.

The proof walks the SELECT from its tables to its output. For each query it derives a `Relation`: whether its rows come
from a driving source, and which of its columns carry the group of the source's rows. Each construct above a driving
source must be one that is known to keep the statement below true; everything else is refused with its line.

* `rows`: a load reads some rows of the driving source. Reading two parts gives the rows of both: each operator works
  on single rows, or removes duplicates (a target with a business key does that as well).
* `groups`: a load reads all rows of some groups. Reading these gives exactly those output rows whose group columns
  name one of the groups: GROUP BY, PARTITION BY and joins keep to one group.

| module | idea |
| --- | --- |
| `relation` | what is known of the rows and columns of a query |
| `rule` | what a row of the control table asks for |
| `syntax` | the syntax and the functions that the proof knows |
| `refusals` | problems with construct, line and remedy |
| `scope` | names and values inside one SELECT |
| `joins` | FROM and JOIN |
| `outer_joins` | outer joins that a condition makes inner |
| `self_matches` | a row that finds itself in a subquery or join over its own source |
| `filters` | WHERE |
| `expressions` | subqueries, aggregates, windows, functions |
| `grouping` | GROUP BY, grouping sets, DISTINCT, PIVOT |
| `queries` | SELECT, set operations, common table expressions |
| `proof` | the way in: `increment_problems` |
| `aliases` | what the columns of the output are over the driving source |

Never imported here: rows of the control tables, the catalog, the warehouse.
"""

from metadata_sync.sql.increments.proof import increment_problems
from metadata_sync.sql.increments.rule import IncrementRule

__all__ = ["IncrementRule", "increment_problems"]
