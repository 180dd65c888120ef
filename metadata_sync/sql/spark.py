"""Translate a row's SELECT to Spark's SQL, or name what cannot be translated.

A translation that is almost right would load wrong rows without an error. So only expressions that mean the same on
both sides are accepted: those listed here, each compared on DuckDB and Spark by the tests. Where the two differ and the
types show how, the translation writes the difference out: division of whole numbers, rounding in casts, days between
dates. Everything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlglot import ErrorLevel, exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from metadata_sync.problems import Problem
from metadata_sync.rows.names import TableName
from metadata_sync.sql.parse import ParsedSelect, folded

_SAME: Final = (
    *(exp.And, exp.Or, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Exists),
    *(
        exp.Cast,
        exp.Lower,
        exp.Upper,
        exp.Trim,
        exp.Substring,
        exp.Length,
        exp.Concat,
        exp.Replace,
        exp.Left,
        exp.Right,
    ),
    *(exp.Abs, exp.Ceil, exp.Floor, exp.Round, exp.Sign),
    *(exp.DateFromParts, exp.TimestampFromParts, exp.TimestampTrunc, exp.DateTrunc, exp.Extract),
    *(exp.Year, exp.Month, exp.Day, exp.Hour, exp.Minute, exp.Quarter),
    *(exp.Count, exp.Sum, exp.Min, exp.Max, exp.Avg),
    *(exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue),
)
"""Functions that mean the same; `Cast`, `Avg` and `Extract` are looked at again below."""

_UNITS: Final = frozenset({"YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE"})
"""Parts of an instant that both count alike: weekdays, weeks and seconds they do not."""

_FRACTIONS: Final = (exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT)
_DECIMALS: Final = (exp.DataType.Type.DECIMAL, exp.DataType.Type.BIGDECIMAL)
_UNKNOWN: Final = (exp.DataType.Type.UNKNOWN, exp.DataType.Type.NULL)
_REMEDY: Final = "Write it another way, or use engine: warehouse."


@dataclass(frozen=True, slots=True)
class Cut:
    """The window of a driving source, as the load log writes it.

    Attributes:
        key: The incremental key; None: everything is read, or nothing.
        kind: integer, date, timestamp or timestamptz.
        start: Lower bound; None: from the beginning.
        end: Upper bound; None with a key: nothing is read.
        is_open: Whether the lower bound itself is left out.
        is_empty: Nothing is read.
        group: Columns that tell a row's group: then the window says which groups are touched, and all of their rows
            with a key are read, in every source that has some.
    """

    key: str | None = None
    kind: str | None = None
    start: str | None = None
    end: str | None = None
    is_open: bool = False
    is_empty: bool = False
    group: tuple[str, ...] = ()


def spark_select(
    select: ParsedSelect,
    columns: Mapping[TableName, Mapping[str, str]],
    cuts: Mapping[TableName, Cut],
) -> tuple[str | None, tuple[Problem, ...]]:
    """Write a SELECT for Spark.

    Args:
        select: The parsed SELECT.
        columns: Columns of every table that it reads, each with its type in the warehouse's words.
        cuts: Windows of driving sources; a source that is left out is read whole.

    Returns:
        Spark SQL over views named as `view_name` names them, and no problem; or None and all problems.
    """
    try:
        tree = _annotate_types(select, columns)
    except (SqlglotError, ValueError) as error:
        message = f"Its columns are ambiguous: {str(error).splitlines()[0].rstrip('.')}."
        return None, (Problem("spark_select", message, _REMEDY),)
    problems = tuple(dict.fromkeys(_problems(tree, select.dialect)))
    if problems:
        return None, problems
    tree = _translate(tree, select.dialect)
    touched = touched_groups(cuts, columns, select.dialect)
    for node in list(tree.find_all(exp.Table)):
        _read_view(node, cuts, touched)
    try:
        return tree.sql("spark", unsupported_level=ErrorLevel.RAISE, comments=False), ()
    except SqlglotError as error:
        return None, (Problem("spark_select", f"It cannot be written in Spark's SQL: {error}.", _REMEDY),)


def touched_groups(
    cuts: Mapping[TableName, Cut], columns: Mapping[TableName, Mapping[str, str]], dialect: str
) -> exp.Query | None:
    """Return the groups that windows touch, as sluice_group_1, …, as the macro `touched_groups_sql` does.

    None: all of them are, or nothing is read by groups.
    """
    by_group = {name: cut for name, cut in cuts.items() if cut.group}
    if not by_group or any(_touches_everything(cut) for cut in by_group.values()):
        return None
    kinds = group_types(next(iter(by_group)), next(iter(by_group.values())).group, columns, dialect)
    parts = [_groups_of_window(name, cut, kinds) for name, cut in by_group.items()]
    found: exp.Query = parts[0]
    for part in parts[1:]:
        found = exp.union(found, part)
    return found


def _groups_of_window(name: TableName, cut: Cut, kinds: Sequence[str]) -> exp.Select:
    columns = [
        exp.alias_(exp.cast(_column(column), exp.DataType.build(kind, dialect="spark")), f"sluice_group_{place}")
        for place, (column, kind) in enumerate(zip(cut.group, kinds, strict=True), start=1)
    ]
    return exp.select(*columns).distinct().from_(view_name(name)).where(_condition(cut))


def group_types(
    name: TableName, group: Sequence[str], columns: Mapping[TableName, Mapping[str, str]], dialect: str
) -> list[str]:
    """Return the Spark types of a source's group columns.

    Raises:
        ValueError: When a column does not exist, or Spark does not have its type.
    """
    kinds = {column.lower(): spark_type(kind, dialect) for column, kind in columns[name].items()}
    found = [kinds.get(column.lower()) for column in group]
    for column, kind in zip(group, found, strict=True):
        if kind is None:
            raise ValueError(f"recompute_by {column} of {name} does not exist, or has a type that Spark does not have")
    return [kind for kind in found if kind is not None]


def view_name(name: TableName) -> str:
    """Return what a source is called inside the Spark job."""
    return name.model_name


def spark_type(warehouse_type: str, dialect: str) -> str | None:
    """Return the Spark type that holds a column of the warehouse; None when there is none.

    >>> spark_type("varchar(10)", "duckdb"), spark_type("timestamp", "redshift"), spark_type("interval", "duckdb")
    ('STRING', 'TIMESTAMP_NTZ', None)
    """
    try:
        kind = exp.DataType.build(warehouse_type, dialect=dialect)
    except SqlglotError:
        return None
    if kind.is_type(*exp.DataType.TEXT_TYPES):
        return "STRING"
    if kind.is_type("timestamp", "timestampntz", "datetime"):
        return "TIMESTAMP_NTZ"
    if kind.is_type("timestamptz", "timestampltz"):
        return "TIMESTAMP_LTZ"
    if kind.is_type(*_DECIMALS):
        sizes = ", ".join(parameter.name for parameter in kind.expressions) or "18, 3"
        return f"DECIMAL({sizes})"
    return _PLAIN.get(kind.this)


_PLAIN: Final = {
    exp.DataType.Type.BOOLEAN: "BOOLEAN",
    exp.DataType.Type.TINYINT: "TINYINT",
    exp.DataType.Type.SMALLINT: "SMALLINT",
    exp.DataType.Type.INT: "INT",
    exp.DataType.Type.BIGINT: "BIGINT",
    exp.DataType.Type.FLOAT: "FLOAT",
    exp.DataType.Type.DOUBLE: "DOUBLE",
    exp.DataType.Type.DATE: "DATE",
}


def _annotate_types(select: ParsedSelect, columns: Mapping[TableName, Mapping[str, str]]) -> exp.Expr:
    """Qualify every column with its table, and give every expression its type."""
    schema: dict[str, Any] = {}
    for name, listed in columns.items():
        schema.setdefault(name.schema, {})[name.table] = dict(listed)
    tree = select.tree.copy()
    qualified = qualify(tree, dialect=select.dialect, schema=schema, quote_identifiers=False)
    return annotate_types(qualified, schema=schema, dialect=select.dialect)


def _problems(tree: exp.Expr, dialect: str) -> Iterator[Problem]:
    for call in tree.find_all(exp.Func):
        if not isinstance(call, _SAME):
            name = call.name if isinstance(call, exp.Anonymous) else call.sql_name()
            yield _problem(f"It calls {name.lower()}, which is not known to mean the same on Spark.")
    for node in tree.find_all(exp.TryCast, exp.Lateral, exp.Pivot, exp.TableSample, exp.Distinct, exp.Limit):
        if not (isinstance(node, exp.Distinct) and node.args.get("on") is None):
            yield _problem(f"It uses {type(node).__name__.upper()}, which is not known to mean the same on Spark.")
    yield from _unit_problems(tree)
    yield from _arithmetic_problems(tree, dialect)
    yield from _cast_problems(tree)


def _unit_problems(tree: exp.Expr) -> Iterator[Problem]:
    for node in tree.find_all(exp.Extract, exp.TimestampTrunc, exp.DateTrunc):
        unit = node.this if isinstance(node, exp.Extract) else node.args.get("unit")
        if str(getattr(unit, "name", unit)).upper() not in _UNITS:
            yield _problem(f"It takes {getattr(unit, 'name', unit)} of an instant, which Spark counts differently.")


def _arithmetic_problems(tree: exp.Expr, dialect: str) -> Iterator[Problem]:
    for node in tree.find_all(exp.Div, exp.IntDiv):
        if dialect != "duckdb" and any(side.is_type(*_UNKNOWN) for side in (node.left, node.right)):
            yield _problem(f"No type shows whether {_shown(node)} divides whole numbers.", "Cast both sides.")
    for node in tree.find_all(exp.Sub):
        sides = (node.left, node.right)
        if all(side.is_type(*exp.DataType.TEMPORAL_TYPES) for side in sides) and not _are_dates(sides):
            yield _problem(f"It subtracts instants ({_shown(node)}), which is not a number on Spark.")
    for mean in tree.find_all(exp.Avg):
        if dialect == "redshift" and not mean.this.is_type(*_FRACTIONS, *_DECIMALS):
            yield _problem(
                f"{_shown(mean)} cuts the fraction off on Redshift and keeps it on Spark.", "Cast what it averages."
            )


def _cast_problems(tree: exp.Expr) -> Iterator[Problem]:
    for node in tree.find_all(exp.Cast):
        if spark_type(node.to.sql("duckdb"), "duckdb") is None and not node.to.is_type("interval"):
            yield _problem(f"It casts to {node.to.sql('duckdb')}, a type that Spark does not have.")
        elif node.to.is_type(*exp.DataType.TEXT_TYPES) and node.this.is_type(*_FRACTIONS, *_UNKNOWN):
            yield _problem(
                f"It writes a number with a fraction as text ({_shown(node)}), which Spark formats differently."
            )
        elif node.to.is_type(*exp.DataType.INTEGER_TYPES) and node.this.is_type(*_UNKNOWN):
            yield _problem(f"No type shows how {_shown(node)} is rounded.", "Name the columns with their tables.")


def _translate(tree: exp.Expr, dialect: str) -> exp.Expr:
    """Rewrite the expressions that both sides compute differently."""

    def translate_node(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Div):
            return _division(node, dialect)
        if isinstance(node, exp.Sub) and _are_dates((node.left, node.right)):
            return exp.DateDiff(this=node.left.copy(), expression=node.right.copy())
        mean = node.this if isinstance(node, exp.Window) else node
        if isinstance(mean, exp.Avg) and mean.this.is_type(*_DECIMALS) and dialect == "duckdb":
            return _decimal_mean(node, mean)
        if isinstance(node, exp.Cast):
            return _cast(node)
        return node

    return tree.transform(translate_node)


def _division(node: exp.Div, dialect: str) -> exp.Expr:
    """DuckDB divides to a double, the others whole numbers to whole numbers."""
    left, right = node.left.copy(), node.right.copy()
    if dialect == "duckdb":
        return exp.Div(this=exp.cast(left, "double"), expression=exp.cast(right, "double"), typed=False, safe=False)
    if node.left.is_type(*exp.DataType.INTEGER_TYPES) and node.right.is_type(*exp.DataType.INTEGER_TYPES):
        return exp.IntDiv(this=exp.paren(left), expression=exp.paren(right))
    return exp.Div(this=left, expression=right, typed=False, safe=False)


def _decimal_mean(node: exp.Expr, mean: exp.Avg) -> exp.Expr:
    """DuckDB sums decimals exactly and divides once, to a double."""

    def over(aggregate: exp.Expr) -> exp.Expr:
        if node is mean:
            return aggregate
        window = node.copy()
        window.set("this", aggregate)
        return window

    total = exp.cast(over(exp.Sum(this=mean.this.copy())), "double")
    count = exp.Nullif(this=over(exp.Count(this=mean.this.copy())), expression=exp.Literal.number(0))
    return exp.Div(this=total, expression=exp.cast(count, "double"), typed=False, safe=False)


def _cast(node: exp.Cast) -> exp.Expr:
    """A cast to a whole number rounds in the warehouse, a double to even; Spark's cuts the fraction off."""
    value, to = node.this.copy(), node.to
    if to.is_type(*exp.DataType.INTEGER_TYPES) and node.this.is_type(*_FRACTIONS):
        value = exp.Anonymous(this="bround", expressions=[value])
    elif to.is_type(*exp.DataType.INTEGER_TYPES) and node.this.is_type(*_DECIMALS):
        value = exp.Anonymous(this="round", expressions=[value])
    wanted = spark_type(to.sql("duckdb"), "duckdb")
    return node if wanted is None else exp.Cast(this=value, to=exp.DataType.build(wanted, dialect="spark"))


def _read_view(node: exp.Table, cuts: Mapping[TableName, Cut], touched: exp.Query | None) -> None:
    """Replace a table by the job's view of it, cut by its window, or by the groups that windows touch."""
    if not node.args.get("db"):
        return
    name = TableName(folded(node.args["db"]), folded(node.this))
    view = exp.to_table(view_name(name))
    alias = node.alias or name.table
    cut = cuts.get(name)
    joins = node.args.get("joins")
    replacement: exp.Expr
    if cut is not None and cut.group:
        replacement = _whole_groups(view, cut, touched).subquery(alias)
    elif cut is None or (cut.key is None and not cut.is_empty):
        replacement = exp.alias_(view, alias, table=True)
    else:
        replacement = exp.select("*").from_(view).where(_condition(cut)).subquery(alias)
    if joins:
        replacement.set("joins", joins)
    node.replace(replacement)


def _whole_groups(view: exp.Table, cut: Cut, touched: exp.Query | None) -> exp.Select:
    """Return all rows of the touched groups. A row without a key is never read: nobody knows when it arrived."""
    rows = exp.select("sluice_source.*").from_(exp.alias_(view, "sluice_source", table=True))
    if touched is not None:
        same = [
            exp.NullSafeEQ(
                this=_column(column, "sluice_source"), expression=_column(f"sluice_group_{place}", "sluice_touched")
            )
            for place, column in enumerate(cut.group, start=1)
        ]
        rows = rows.join(touched.copy().subquery("sluice_touched"), on=exp.and_(*same))
    return rows if cut.key is None else rows.where(_column(cut.key, "sluice_source").is_(exp.null()).not_())


def _touches_everything(cut: Cut) -> bool:
    """Whether a window reads its source from the beginning, or the source has no key."""
    return not cut.is_empty and cut.start is None and (cut.key is None or cut.end is not None)


def _condition(cut: Cut) -> exp.Expr:
    if cut.is_empty or cut.end is None or cut.key is None:
        return exp.false()
    terms: list[exp.Expr] = [exp.LTE(this=_column(cut.key), expression=_literal(cut.end, cut.kind))]
    if cut.start is not None:
        above = exp.GT if cut.is_open else exp.GTE
        terms.insert(0, above(this=_column(cut.key), expression=_literal(cut.start, cut.kind)))
    return exp.and_(*terms)


def _column(name: str, table: str | None = None) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), table=table)


def _literal(bound: str, kind: str | None) -> exp.Expr:
    if kind == "integer":
        return exp.Literal.number(int(bound))
    types = {"date": "DATE", "timestamp": "TIMESTAMP_NTZ", "timestamptz": "TIMESTAMP_LTZ"}
    return exp.cast(exp.Literal.string(bound), exp.DataType.build(types[kind or ""], dialect="spark"))


def _are_dates(sides: Sequence[exp.Expr]) -> bool:
    return all(side.is_type("date") for side in sides)


def _shown(node: exp.Expr) -> str:
    text = node.sql("duckdb", comments=False)
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - what fits into a sentence


def _problem(message: str, remedy: str = _REMEDY) -> Problem:
    return Problem("spark_select", message, remedy)
