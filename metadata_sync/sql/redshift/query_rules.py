"""What a query may not hold on Redshift. Read in AWS's guide, not tried on a cluster."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from metadata_sync.sql.redshift.correlation import changing_cte, too_many_arguments, unsupported_correlation
from metadata_sync.sql.redshift.rule import Rule, Severity, function_name, holds

_FUNCTIONS: Final = {
    "array_agg": "Use listagg(), or array() on columns of one row.",
    "array_length": "Use get_array_length() on a SUPER value.",
    "clock_timestamp": "Use getdate().",
    "concat_ws": "Join the texts by ||.",
    "date_bin": "Use date_trunc().",
    "format": "Join the texts by ||.",
    "gen_random_uuid": "Take an id from the source, or a hash of its key.",
    "generate_series": "Join a table of numbers or dates.",
    "json_agg": "Use listagg(), or keep SUPER values.",
    "json_build_object": "Use object().",
    "jsonb_agg": "Use listagg(), or keep SUPER values.",
    "jsonb_build_object": "Use object().",
    "make_date": "Cast the text year-month-day to date.",
    "make_interval": "Use dateadd().",
    "make_timestamp": "Cast the text year-month-day to timestamp and add intervals.",
    "pg_advisory_lock": "Use LOCK, or no lock.",
    "pg_sleep": "Wait in the client.",
    "pg_try_advisory_lock": "Use LOCK, or no lock.",
    "regexp_matches": "Use regexp_substr().",
    "regexp_split_to_array": "Use split_part().",
    "regexp_split_to_table": "Use split_part() and a table of numbers.",
    "row_to_json": "Name the columns.",
    "string_agg": "Use listagg(value, ',') within group (order by …).",
    "string_to_array": "Use split_to_array(), which yields SUPER.",
    "string_to_table": "Use split_part() and a table of numbers.",
    "to_jsonb": "Use json_parse().",
    "unnest": "Read the SUPER column in FROM: from t, t.items as item.",
    "width_bucket": "Compute the bucket by floor().",
    "xmlagg": "Use listagg().",
}
# sqlglot gives some of them a class of their own, under another name
_NODE_NAMES: Final[dict[type[exp.Expr], str]] = {
    exp.GroupConcat: "string_agg",
    exp.GenerateSeries: "generate_series",
    exp.ExplodingGenerateSeries: "generate_series",
    exp.GenerateDateArray: "generate_series",
    exp.Explode: "unnest",
    exp.ArrayAgg: "array_agg",
    exp.DateFromParts: "make_date",
    exp.TimestampFromParts: "make_timestamp",
    exp.ConcatWs: "concat_ws",
    exp.Uuid: "gen_random_uuid",
}
_LEADER_ONLY: Final = {
    "age": "Use datediff().",
    "current_schema": "Name the schema.",
    "current_schemas": "Name the schemas.",
    "current_time": "Use cast(getdate() as time).",
    "current_timestamp": "Use getdate() or sysdate.",
    "format_type": "Ask in a query of its own.",
    "get_bit": "Use a mask and bit operators.",
    "get_byte": "Use substring().",
    "has_database_privilege": "Ask in a query of its own.",
    "has_schema_privilege": "Ask in a query of its own.",
    "has_table_privilege": "Ask in a query of its own.",
    "isfinite": "Leave it out.",
    "localtime": "Use cast(getdate() as time).",
    "localtimestamp": "Use getdate().",
    "now": "Use getdate().",
    "set_bit": "Use a mask and bit operators.",
    "set_byte": "Use substring() and ||.",
    "to_ascii": "Use translate().",
    "version": "Ask in a query of its own.",
}
_LEADER_NODES: Final[dict[type[exp.Expr], str]] = {
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentTime: "current_time",
    exp.CurrentSchema: "current_schema",
    exp.Getbit: "get_bit",
    exp.CurrentVersion: "version",
    exp.Localtime: "localtime",
    exp.Localtimestamp: "localtimestamp",
}
_CATALOGS: Final = ("pg_catalog", "information_schema")
_TYPE: Final = exp.DataType.Type
_TYPES: Final = frozenset(
    [
        *(_TYPE.ARRAY, _TYPE.BIT, _TYPE.BIGSERIAL, _TYPE.ENUM, _TYPE.HSTORE, _TYPE.INET, _TYPE.JSON, _TYPE.JSONB),
        *(_TYPE.MONEY, _TYPE.SERIAL, _TYPE.SMALLSERIAL, _TYPE.UUID, _TYPE.XML, _TYPE.INT4RANGE),
    ]
)
_FRAMED: Final = (
    exp.Avg, exp.Count, exp.FirstValue, exp.LastValue, exp.Max, exp.Min, exp.NthValue, exp.Stddev, exp.StddevPop,
    exp.StddevSamp, exp.Sum, exp.Variance, exp.VariancePop,
)  # fmt: skip
_SYSTEM_COLUMNS: Final = frozenset(["cmax", "cmin", "ctid", "oid", "tableoid", "xmax", "xmin"])
_HIDDEN_COLUMNS: Final = frozenset(["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"])
_MAX_NAME_BYTES: Final = 127
REMEDIES: Final = _FUNCTIONS
"""What to use instead of a function."""


def _missing_function(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Unnest) or isinstance(node.parent, exp.Dot):  # a path in FROM; a function of the user's
        return None
    name = _NODE_NAMES.get(type(node)) or function_name(node)
    return f"{name}()" if name in _FUNCTIONS else None


def _leader_only(node: exp.Expr) -> str | None:
    if isinstance(node, exp.CurrentTimestamp) and node.args.get("sysdate"):
        return None
    name = _LEADER_NODES.get(type(node)) or function_name(node)
    return f"{name}()" if name in _LEADER_ONLY and _reads_user_table(node) else None


def _reads_user_table(node: exp.Expr) -> bool:
    select = node.find_ancestor(exp.Select)
    return select is not None and any(_is_user_table(table) for table in select.find_all(exp.Table))


def _is_user_table(table: exp.Table) -> bool:
    """A table that is neither of a catalog nor a WITH clause that reads only such."""
    if table.db:
        return table.db.lower() not in _CATALOGS
    name = table.name.lower()
    around = table.parent
    while around is not None:
        clause = around.args.get("with_")
        for cte in clause.expressions if clause is not None else ():
            if cte.alias.lower() == name:
                inner = [found for found in cte.this.find_all(exp.Table) if found.name.lower() != name]
                return any(_is_user_table(found) for found in inner)
        around = around.parent
    return not name.startswith(("pg_", "svv_", "stv_", "sys_"))


def _distinct_on(node: exp.Expr) -> str | None:
    return "DISTINCT ON" if isinstance(node, exp.Distinct) and node.args.get("on") else None


def _values_table(node: exp.Expr) -> str | None:
    is_table = isinstance(node.parent, exp.From | exp.Join | exp.Subquery | exp.CTE)
    return "VALUES" if isinstance(node, exp.Values) and is_table else None


def _data_type(node: exp.Expr) -> str | None:
    return str(node.this.value).lower() if isinstance(node, exp.DataType) and node.this in _TYPES else None


def _unsized_decimal(node: exp.Expr) -> str | None:
    is_unsized = isinstance(node, exp.DataType) and node.this is _TYPE.DECIMAL and not node.expressions
    return "A decimal without precision and scale" if is_unsized else None


def _array_brackets(node: exp.Expr) -> str | None:
    return "ARRAY[…]" if isinstance(node, exp.Array) and node.args.get("bracket_notation") else None


def _json_arrow(node: exp.Expr) -> str | None:
    if isinstance(node, exp.JSONBExtract | exp.JSONBExtractScalar):
        return "#>"
    is_arrow = isinstance(node, exp.JSONExtract | exp.JSONExtractScalar) and not node.args.get("json_query")
    return "->" if is_arrow else None


def _set_all(node: exp.Expr) -> str | None:
    is_all = isinstance(node, exp.Except | exp.Intersect) and node.args.get("distinct") is False
    return f"{type(node).__name__.upper()} ALL" if is_all else None


def _missing_frame(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.Window) or not node.args.get("order") or node.args.get("spec"):
        return None
    called = node.this.this if isinstance(node.this, exp.IgnoreNulls | exp.RespectNulls) else node.this
    return f"{called.sql_name().lower()}()" if isinstance(called, _FRAMED) else None


def _range_frame(node: exp.Expr) -> str | None:
    is_other = isinstance(node, exp.WindowSpec) and str(node.args.get("kind") or "").upper() in ("RANGE", "GROUPS")
    return str(node.args["kind"]).upper() if is_other else None


def _named_window(node: exp.Expr) -> str | None:
    return "a WINDOW clause" if isinstance(node, exp.Select) and node.args.get("windows") else None


def _unsized_text(node: exp.Expr) -> str | None:
    if not isinstance(node, exp.Cast) or isinstance(node.this, exp.Null):
        return None
    kind = node.to
    is_text = kind.this in (_TYPE.TEXT, _TYPE.VARCHAR) and not kind.expressions
    return kind.sql(dialect="postgres").lower() if is_text else None


def _system_column(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Column) and node.name.lower() in _HIDDEN_COLUMNS and _reads_user_table(node):
        return node.name.lower()
    return node.alias.lower() if isinstance(node, exp.Alias) and node.alias.lower() in _SYSTEM_COLUMNS else None


def _long_name(node: exp.Expr) -> str | None:
    is_long = isinstance(node, exp.Identifier) and len(str(node.this).encode()) > _MAX_NAME_BYTES
    return f"{str(node.this)[:20]}…" if is_long else None


def _folded_alias(node: exp.Expr) -> str | None:
    alias = node.args.get("alias") if isinstance(node, exp.Alias) else None
    is_folded = isinstance(alias, exp.Identifier) and alias.args.get("quoted") and alias.this != alias.this.lower()
    return f'"{alias.this}"' if is_folded and alias is not None else None


RULES: Final = (
    Rule(
        "distinct_on",
        "r_SELECT_list.html",
        "{found} is PostgreSQL's; Redshift's SELECT list has no such clause.",
        "Number the rows by row_number() over (partition by …) in a common table expression, and keep the first.",
        _distinct_on,
    ),
    Rule(
        "filter",
        "c_Aggregate_Functions.html",
        "{found} is not part of Redshift's aggregates.",
        "Write sum(case when … then … end), or count(case when … then 1 end).",
        holds(exp.Filter, word="FILTER (WHERE …)"),
    ),
    Rule(
        "is_distinct_from",
        "c_unsupported-postgresql-functions.html",
        "Redshift has no {found}.",
        "Write (a = b or (a is null and b is null)).",
        holds(exp.NullSafeEQ, exp.NullSafeNEQ, word="IS DISTINCT FROM"),
    ),
    Rule(
        "correlation",
        "r_correlated_subqueries.html",
        "Redshift cannot decorrelate {found}.",
        "Join a common table expression.",
        unsupported_correlation,
    ),
    Rule(
        "arguments",
        "c_SQL_functions.html",
        "Redshift has no {found}.",
        "Nest the calls, join texts by ||, or use coalesce().",
        too_many_arguments,
    ),
    Rule(
        "changing_cte",
        "r_WITH_clause.html",
        "Redshift has no {found}.",
        "Write a statement of its own.",
        changing_cte,
    ),
    Rule(
        "lateral",
        "r_FROM_clause30.html",
        "Redshift's FROM has no {found}.",
        "Join a common table expression.",
        holds(exp.Lateral, word="LATERAL"),
    ),
    Rule(
        "values_table",
        "c_unsupported-postgresql-features.html",
        "{found} cannot stand in FROM on Redshift.",
        "Write select … union all select …, or load a seed.",
        _values_table,
    ),
    Rule(
        "collate",
        "r_SELECT_synopsis.html",
        "Redshift has no {found} operator.",
        "Set the collation of the column or the database, or call collate().",
        holds(exp.Collate, word="COLLATE"),
    ),
    Rule(
        "functions",
        "c_unsupported-postgresql-functions.html",
        "Redshift has no {found}.",
        "Use one of Redshift's functions.",
        _missing_function,
        remedies={f"{name}()": remedy for name, remedy in _FUNCTIONS.items()},
    ),
    Rule(
        "leader_only",
        "c_SQL_functions_leader_node_only.html",
        "{found} runs on Redshift's leader node only: it fails in a query that reads a table.",
        "Use a function that compute nodes have.",
        _leader_only,
        remedies={f"{name}()": remedy for name, remedy in _LEADER_ONLY.items()},
    ),
    Rule(
        "data_types",
        "c_unsupported-postgresql-datatypes.html",
        "Redshift has no type {found}.",
        "Use varchar for identifiers, SUPER for JSON and arrays, decimal for money.",
        _data_type,
    ),
    Rule(
        "unsized_decimal",
        "r_Numeric_types201.html",
        "{found} is numeric(18,0), which rounds to whole numbers.",
        "Write them: numeric(38,2).",
        _unsized_decimal,
    ),
    Rule(
        "array_brackets",
        "c_unsupported-postgresql-features.html",
        "Redshift does not build arrays by {found}.",
        "Call array(…), which yields SUPER.",
        _array_brackets,
    ),
    Rule(
        "json_operator",
        "c_unsupported-postgresql-datatypes.html",
        "Redshift has no JSON operator {found}.",
        "Call json_extract_path_text(), or read a SUPER value by its path: a.b.",
        _json_arrow,
    ),
    Rule(
        "set_all",
        "r_UNION.html",
        "Redshift has no {found}.",
        "Write it without ALL, or number the rows.",
        _set_all,
    ),
    Rule(
        "window_frame",
        "r_Window_function_synopsis.html",
        "{found} over (… order by …) has no frame, which Redshift demands.",
        "Add rows between unbounded preceding and current row.",
        _missing_frame,
    ),
    Rule(
        "range_frame",
        "r_Window_function_synopsis.html",
        "Redshift's frames count rows; it has no {found} frame.",
        "Write rows between …, and make the order unique.",
        _range_frame,
    ),
    Rule(
        "named_window",
        "r_SELECT_synopsis.html",
        "Redshift's SELECT does not know {found}.",
        "Write the window at each function.",
        _named_window,
    ),
    Rule(
        "tablesample",
        "r_FROM_clause30.html",
        "Redshift has no {found}.",
        "Choose rows by a column.",
        holds(exp.TableSample, word="TABLESAMPLE"),
    ),
    Rule(
        "fetch",
        "r_ORDER_BY_clause.html",
        "Redshift has no {found}.",
        "Write LIMIT.",
        holds(exp.Fetch, word="FETCH FIRST"),
    ),
    Rule(
        "lock",
        "r_SELECT_synopsis.html",
        "Redshift's SELECT takes no {found}.",
        "Leave it out; LOCK locks tables.",
        holds(exp.Lock, word="FOR UPDATE"),
    ),
    Rule(
        "percent",
        "c_unsupported-postgresql-functions.html",
        "{found} outside of quotes: the driver redshift_connector takes it for a parameter and refuses the statement.",
        "Write mod(a, b).",
        holds(exp.Mod, word="The operator %"),
    ),
    Rule(
        "system_column",
        "c_unsupported-postgresql-features.html",
        "Redshift has no system column {found}, and no column may have its name.",
        "Give it another name.",
        _system_column,
    ),
    Rule(
        "long_name",
        "r_names.html",
        "The name {found} is longer than Redshift's 127 bytes.",
        "Shorten it.",
        _long_name,
    ),
    Rule(
        "unsized_text",
        "r_Character_types.html",
        "A cast to {found} is one to varchar(256) on Redshift: longer text is cut off.",
        "State the length in bytes: varchar(1000).",
        _unsized_text,
        severity=Severity.WARNING,
    ),
    Rule(
        "folded_name",
        "r_names.html",
        "Redshift folds {found} to lower case although it is quoted.",
        "Use lower case, unless the cluster sets enable_case_sensitive_identifier.",
        _folded_alias,
        severity=Severity.WARNING,
    ),
)
"""Rules for what is read."""
