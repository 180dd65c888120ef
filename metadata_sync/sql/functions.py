"""Which functions a SELECT may call: nothing that reads files, reaches other systems or changes state."""

from __future__ import annotations

import re
from typing import Final

from sqlglot import exp

TABLE_FUNCTIONS: Final = frozenset(
    {
        "explode",
        "generate_series",
        "generate_subscripts",
        "json_array_elements",
        "json_array_elements_text",
        "json_each",
        "json_each_text",
        "json_object_keys",
        "json_tree",
        "jsonb_array_elements",
        "jsonb_array_elements_text",
        "jsonb_each",
        "jsonb_each_text",
        "jsonb_object_keys",
        "range",
        "regexp_matches",
        "regexp_split_to_table",
        "string_to_table",
        "unnest",
    }
)
"""Functions that may stand in FROM: they turn a value of the row into rows."""

_REFUSED: Final = re.compile(
    r"""
    read_\w+ | write_\w+ | \w+_scan | scan_\w+ | parquet_\w+ | sniff_\w+ | glob | st_read\w* | which_secret # files
  | pg_(?!typeof$|column_size$)\w+ | lo_\w+ | dblink\w* | duckdb_\w+ | \w+_to_xml(schema|_and_xmlschema)?   # the server
  | set_config | current_setting | getenv | getvariable | nextval | setval | currval | lastval              # state
  | query | query_table | json_execute_serialized_sql | from_substrait\w* | sql_auto_complete               # other SQL
  | postgres_\w+ | mysql_\w+ | sqlite_\w+ | load_aws_credentials | http_\w+ | txid_\w+ | ts_stat
    """,
    re.VERBOSE,
)

_CLOCK: Final = frozenset(
    {
        "clock_timestamp",
        "current_date",
        "current_localtime",
        "current_localtimestamp",
        "current_time",
        "current_timestamp",
        "get_current_time",
        "get_current_timestamp",
        "getdate",
        "gen_random_uuid",
        "localtime",
        "localtimestamp",
        "now",
        "rand",
        "random",
        "statement_timestamp",
        "sysdate",
        "timeofday",
        "today",
        "transaction_timestamp",
        "uuid",
        "uuidv4",
        "uuidv7",
    }
)

_AGGREGATES: Final = frozenset(
    {
        "any_value",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "count_star",
        "entropy",
        "every",
        "favg",
        "fsum",
        "geomean",
        "group_concat",
        "histogram",
        "json_agg",
        "json_arrayagg",
        "json_group_array",
        "json_group_object",
        "json_object_agg",
        "jsonb_agg",
        "jsonb_object_agg",
        "kahan_sum",
        "kurtosis",
        "list",
        "listagg",
        "mad",
        "product",
        "skewness",
        "string_agg",
        "xmlagg",
    }
)
"""Aggregates that sqlglot knows by name only."""

_CLOCK_WORDS: Final = frozenset({"now", "today", "tomorrow", "yesterday"})


def function_name(node: exp.Expr) -> str | None:
    """Return the lower-case name of a function call, or None for anything else."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.name).lower()
    if isinstance(node, exp.Func):
        return str(node.sql_name()).lower()
    return None


def is_refused(name: str) -> bool:
    """Tell whether a function may not be called anywhere.

    >>> is_refused("read_parquet"), is_refused("pg_read_file"), is_refused("date_trunc")
    (True, True, False)
    """
    return _REFUSED.fullmatch(name) is not None


def is_clock(node: exp.Expr) -> bool:
    """Tell whether a call gives another value at another time: the clock, random numbers, new identifiers."""
    if isinstance(node, exp.Column):  # sysdate and friends need no parentheses
        return not node.table and str(node.name).lower() in {"sysdate"}
    if isinstance(node, exp.Cast):  # 'now'::timestamp
        value = node.this
        return isinstance(value, exp.Literal) and value.is_string and str(value.this).lower() in _CLOCK_WORDS
    name = function_name(node)
    if name == "age":  # age(x) counts from today, age(x, y) does not
        return len([*node.iter_expressions()]) == 1
    return name in _CLOCK


def is_aggregate(node: exp.Expr) -> bool:
    """Tell whether a call makes one value of many rows."""
    return isinstance(node, exp.AggFunc) or function_name(node) in _AGGREGATES
