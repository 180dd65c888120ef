"""Spark's SQL for a row's SELECT: the same table as in the warehouse, or a refusal that names the construct.

A compiler by allow-list: every node of the syntax tree has one rule, by the types of its arguments, or is refused. A
part of a node that its rule does not read is refused, too. What both engines compute alike is copied, what they compute
differently is rewritten until it is equal. `make spark-matrix` runs every rule over awkward values on both.

| module | holds |
| --- | --- |
| translate.py | `spark_select`, the way in |
| query.py, joins.py, scope.py | SELECT and its clauses, set operations; FROM; what names mean |
| expressions.py | the table of rules; columns, literals, CASE |
| operators.py, intervals.py | comparison, logic, arithmetic, LIKE; intervals |
| texts.py, numbers.py, instants.py, json_values.py | functions of values |
| aggregates.py | aggregates and windows |
| kinds.py, casts.py | types, the type where several meet; casts between every pair |
| sources.py | views of sources, cut by windows |
| value.py | a translated expression; a refusal |

Nothing here may import duckdb, pyspark or flows.
"""

from metadata_sync.sql.spark.json_values import FUNCTIONS_PREFIX
from metadata_sync.sql.spark.kinds import spark_type
from metadata_sync.sql.spark.sources import Cut, group_types, touched_groups, unread_view, view_name
from metadata_sync.sql.spark.translate import spark_select

__all__ = [
    "FUNCTIONS_PREFIX",
    "Cut",
    "group_types",
    "spark_select",
    "spark_type",
    "touched_groups",
    "unread_view",
    "view_name",
]
