"""Which functions a SELECT may call: those known to compute a value of their arguments, and no others.

A name that is not known is refused: it may read files, reach other systems or change state, now or after the next
upgrade of the warehouse. A team adds names by `SLUICE_ALLOWED_FUNCTIONS`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlglot import exp

from metadata_sync.sql.known_functions import KNOWN_BY_NAME

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

_REFUSED_TYPES: Final = frozenset(
    {
        exp.AIAgg,
        exp.AIClassify,
        exp.AIEmbed,
        exp.AIForecast,
        exp.AIGenerate,
        exp.AISimilarity,
        exp.AISummarizeAgg,
        exp.CurrentAccount,
        exp.CurrentAccountName,
        exp.CurrentAvailableRoles,
        exp.CurrentCatalog,
        exp.CurrentClient,
        exp.CurrentDatabase,
        exp.CurrentIpAddress,
        exp.CurrentOrganizationName,
        exp.CurrentOrganizationUser,
        exp.CurrentRegion,
        exp.CurrentRole,
        exp.CurrentRoleType,
        exp.CurrentSchema,
        exp.CurrentSchemas,
        exp.CurrentSecondaryRoles,
        exp.CurrentSession,
        exp.CurrentStatement,
        exp.CurrentTransaction,
        exp.CurrentUser,
        exp.CurrentUserId,
        exp.CurrentVersion,
        exp.CurrentWarehouse,
        exp.DynamicIdentifier,
        exp.FeaturesAtTime,
        exp.GapFill,
        exp.GenerateBool,
        exp.GenerateDouble,
        exp.GenerateEmbedding,
        exp.GenerateInt,
        exp.GenerateTable,
        exp.GenerateText,
        exp.Generator,
        exp.JSONTable,
        exp.MLForecast,
        exp.MLTranslate,
        exp.NetFunc,
        exp.NextValueFor,
        exp.ObjectId,
        exp.OpenJSON,
        exp.Predict,
        exp.ReadCSV,
        exp.ReadParquet,
        exp.Search,
        exp.SearchIp,
        exp.Secret,
        exp.SessionUser,
        exp.ToFile,
        exp.VectorSearch,
        exp.XMLTable,
    }
)
"""Functions that sqlglot types and that ask models, sessions, catalogs, sequences or files."""

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
        "arbitrary",
        "arg_max_null",
        "arg_max_nulls_last",
        "arg_min_null",
        "arg_min_nulls_last",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bitstring_agg",
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
        "histogram_exact",
        "hll",
        "hll_combine",
        "hll_create_sketch",
        "json_agg",
        "json_arrayagg",
        "json_group_array",
        "json_group_object",
        "json_object_agg",
        "jsonb_agg",
        "jsonb_object_agg",
        "kahan_sum",
        "kurtosis",
        "kurtosis_pop",
        "list",
        "listagg",
        "lttb",
        "mad",
        "mean",
        "product",
        "range_agg",
        "range_intersect_agg",
        "reservoir_quantile",
        "sem",
        "skewness",
        "string_agg",
        "sumkahan",
        "variant_group_array",
        "variant_group_object",
        "wavg",
        "weighted_avg",
        "xml_agg",
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


def qualified_name(node: exp.Dot) -> str:
    """Return the lower-case name of a call that is written with a schema or behind a value: `cron.schedule(…)`."""
    parts: list[str] = []
    left: exp.Expr = node
    while isinstance(left, exp.Dot):
        parts.insert(0, function_name(left.expression) or name_text(left.expression))
        left = left.this
    return ".".join([name_text(left), *parts])


def name_text(part: exp.Expr | str) -> str:
    """Return a part of a name in lower case; sqlglot keeps an empty one, as in `a..b`, as plain text."""
    return (part if isinstance(part, str) else str(part.name)).lower()


def is_known(node: exp.Expr, dialect: str, allowed: Collection[str] = ()) -> bool:
    """Tell whether a SELECT may hold this part: any part except the call of an unknown function.

    Args:
        node: Any part of a SELECT.
        dialect: The warehouse's SQL, as sqlglot names it.
        allowed: What the team allows beside the known functions, in lower case.

    >>> import sqlglot
    >>> [is_known(sqlglot.parse_one(text), "postgres") for text in ("upper(a)", "pg_read_file('x')")]
    [True, False]
    """
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return qualified_name(node) in allowed
    name = function_name(node)
    if name is None or name in allowed or _is_qualified(node):
        return True
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return name in KNOWN_BY_NAME.get(dialect, ())
    return type(node) not in _REFUSED_TYPES


def _is_qualified(node: exp.Expr) -> bool:
    """Whether a call is the last part of a dotted name, which is looked at as a whole."""
    return isinstance(node.parent, exp.Dot) and node.parent.expression is node


def is_clock(node: exp.Expr) -> bool:
    """Tell whether a call gives another value at another time: the clock, random numbers, new identifiers."""
    if isinstance(node, exp.Column):  # sysdate and others need no parentheses
        return not node.table and str(node.name).lower() in {"sysdate"}
    if isinstance(node, exp.Cast):  # 'now'::timestamp
        value = node.this
        return isinstance(value, exp.Literal) and value.is_string and str(value.this).lower() in _CLOCK_WORDS
    name = function_name(node)
    if name == "age":  # age(x) counts from today, age(x, y) does not
        return len([*node.iter_expressions()]) == 1
    return name in _CLOCK


def is_aggregate(node: exp.Expr) -> bool:
    """Tell whether a call computes one value from many rows."""
    return isinstance(node, exp.AggFunc) or function_name(node) in _AGGREGATES
