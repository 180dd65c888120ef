"""The views of sources inside a Spark job, cut by their windows or by the groups that windows touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from metadata_sync.rows.names import TableName
from metadata_sync.sql.spark.kinds import spark_type


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
        has_unread_view: Whether the unread files of the source are a view of their own, which tells the groups.
    """

    key: str | None = None
    kind: str | None = None
    start: str | None = None
    end: str | None = None
    is_open: bool = False
    is_empty: bool = False
    group: tuple[str, ...] = ()
    has_unread_view: bool = False


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
    view = unread_view(name) if cut.has_unread_view else view_name(name)
    return exp.select(*columns).distinct().from_(view).where(_condition(cut))


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


def unread_view(name: TableName) -> str:
    """Return what the unread files of a source are called inside the Spark job."""
    return f"sluice_unread_{view_name(name)}"


def source_item(name: TableName, alias: str, cuts: Mapping[TableName, Cut], touched: exp.Query | None) -> exp.Expr:
    """Return a source as an item of FROM: the job's view of it, cut by its window or by touched groups.

    Args:
        name: The source.
        alias: Its alias.
        cuts: The windows.
        touched: What `touched_groups` returned.
    """
    view = exp.to_table(view_name(name))
    cut = cuts.get(name)
    named = exp.TableAlias(this=exp.to_identifier(alias, quoted=True))
    if cut is not None and cut.group:
        return exp.Subquery(this=_whole_groups(view, cut, touched), alias=named)
    if cut is None or (cut.key is None and not cut.is_empty):
        view.set("alias", named)
        return view
    return exp.Subquery(this=exp.select("*").from_(view).where(_condition(cut)), alias=named)


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
