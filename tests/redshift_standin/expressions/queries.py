"""Clauses of SELECT that PostgreSQL lacks: PIVOT, EXCLUDE, GROUP BY ALL, CONNECT BY, (+), names of the select list.

Some depend on the columns of a source, which only the database knows: `Columns` asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlglot import exp
from sqlglot.transforms import eliminate_join_marks

from tests.redshift_standin.errors import not_known
from tests.redshift_standin.protocol.wire import Column

Columns = Callable[[exp.Expr], Sequence[Column]]
"""The columns that a query has."""
TREE = "rs_tree"
AGGREGATES = frozenset({"listagg", "hll", "hll_create_sketch", "hll_combine"})


def rewrite_queries(tree: exp.Expr, columns: Columns) -> exp.Expr:
    """Rewrite each SELECT of a statement, what lies within first; returns the statement."""
    for select in reversed(list(tree.find_all(exp.Select))):
        _put_join_marks(select)
        for source in [node for node in sources(select) if node.args.get("pivots")]:
            _put_pivot(source, select, columns)
        _connect(select)
        _exclude(select, columns)
        _expand_names(select, columns)
        _group_by_all(select)
    return tree


def sources(select: exp.Select | exp.Update) -> Iterator[exp.Expr]:
    """What stands in FROM and in joins, and the table that UPDATE changes."""
    if isinstance(select, exp.Update):
        yield select.this
    for holder in [select.args.get("from_"), *(select.args.get("joins") or [])]:
        if holder is not None:
            yield holder.this


def of_source(source: exp.Expr, select: exp.Select | exp.Update) -> exp.Select:
    """`select * from source` with the WITH clauses that stand around it."""
    query = exp.select("*").from_(source.copy())
    expressions: list[exp.Expr] = []
    own = select.find_ancestor(exp.CTE)
    node: exp.Expr | None = select
    while node is not None:
        clause = node.args.get("with_")
        known = list(clause.expressions) if clause is not None else []
        if any(cte is own for cte in known):
            known = known[: [cte is own for cte in known].index(True)]
        expressions = [cte.copy() for cte in known] + expressions
        node = node.parent
    if expressions:
        query.set("with_", exp.With(expressions=expressions))
    return query


def _put_join_marks(select: exp.Select) -> None:
    """`a.x = b.x(+)` is an outer join (r_WHERE_oracle_outer.html)."""
    where = select.args.get("where")
    if where is not None and any(column.args.get("join_mark") for column in where.find_all(exp.Column)):
        eliminate_join_marks(select)


def _put_pivot(source: exp.Expr, select: exp.Select, columns: Columns) -> None:
    (pivot,) = source.args["pivots"]
    plain = source.copy()
    plain.set("pivots", None)
    if isinstance(plain, exp.Subquery) and not plain.alias:
        plain.set("alias", exp.TableAlias(this=exp.to_identifier("rs_pivoted")))
    names = [column.name.lower() for column in columns(of_source(plain, select))]
    query = _unpivoted(plain, pivot, names) if pivot.args.get("unpivot") else _pivoted(plain, pivot, names)
    alias = pivot.alias or source.alias or (source.name if isinstance(source, exp.Table) else "rs_pivot")
    source.replace(exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias))))


def _pivoted(source: exp.Expr, pivot: exp.Pivot, names: Sequence[str]) -> exp.Select:
    """An aggregate for each value; grouped by every column that the clause does not name."""
    (field,) = pivot.args["fields"]
    used = {column.name.lower() for aggregate in pivot.expressions for column in aggregate.find_all(exp.Column)}
    kept = [exp.column(name, quoted=True) for name in names if name not in used | {field.this.name.lower()}]
    found = []
    for value in field.expressions:
        plain = value.this if isinstance(value, exp.PivotAlias | exp.Alias) else value
        label = value.args["alias"].name if plain is not value else _label(plain)
        condition = (
            exp.Is(this=field.this.copy(), expression=exp.null())
            if isinstance(plain, exp.Null)
            else (exp.EQ(this=field.this.copy(), expression=plain.copy()))
        )
        for aggregate in pivot.expressions:
            call = aggregate.unalias().copy()
            name = f"{label}_{aggregate.alias}" if aggregate.alias else label
            filtered = exp.Filter(this=call, expression=exp.Where(this=condition.copy()))
            found.append(exp.alias_(filtered, name.lower(), quoted=True))
    return exp.select(*kept, *found).from_(source).group_by(*[column.copy() for column in kept])


def _label(value: exp.Expr) -> str:
    return value.name if isinstance(value, exp.Literal) else value.sql("redshift")


def _unpivoted(source: exp.Expr, pivot: exp.Pivot, names: Sequence[str]) -> exp.Select:
    """A row for each of the columns that the clause names."""
    (field,) = pivot.args["fields"]
    value, key = pivot.expressions[0].name.lower(), field.this.name.lower()
    rows, listed = [], set()
    for item in field.expressions:
        column = item.this if isinstance(item, exp.PivotAlias | exp.Alias) else item
        listed.add(column.name.lower())
        label = item.args["alias"].name if column is not item else column.name.lower()
        text = exp.cast(exp.Literal.string(label), "varchar")
        rows.append(exp.Tuple(expressions=[text, exp.column(column.name.lower(), quoted=True)]))
    kept = [exp.column(name, quoted=True) for name in names if name not in listed]
    columns = [exp.to_identifier(key, quoted=True), exp.to_identifier(value, quoted=True)]
    alias = exp.TableAlias(this=exp.to_identifier("rs_unpivoted"), columns=columns)
    lateral = exp.Lateral(this=exp.Subquery(this=exp.Values(expressions=rows)), alias=alias)
    query = exp.select(*kept, exp.column(key, quoted=True), exp.column(value, quoted=True)).from_(source)
    query = query.join(lateral, join_type="cross")
    if not pivot.args.get("include_nulls"):
        query = query.where(exp.column(value, quoted=True).is_(exp.null()).not_())
    return query


def _connect(select: exp.Select) -> None:
    """CONNECT BY is a recursive query over the rows of FROM (r_CONNECT_BY_clause.html)."""
    connect = select.args.get("connect")
    if connect is None:
        return
    source = select.args["from_"].this
    if select.args.get("joins") or not isinstance(source, exp.Table | exp.Subquery):
        raise not_known("CONNECT BY over a join")
    alias = source.alias_or_name
    level = exp.column("level")
    first = exp.select(f"{alias}.*", exp.alias_(exp.Literal.number(1), "level")).from_(source.copy())
    if connect.args.get("start") is not None:
        first = first.where(connect.args["start"].copy())
    condition = connect.args["connect"].copy()
    own = [column for column in condition.find_all(exp.Column) if not column.find_ancestor(exp.Prior)]
    for column in own:
        column.set("table", exp.to_identifier(alias) if column.name.lower() != "level" else exp.to_identifier(TREE))
    for prior in list(condition.find_all(exp.Prior)):
        for column in prior.find_all(exp.Column):
            column.set("table", exp.to_identifier(TREE))
        prior.replace(prior.this.copy())
    deeper = exp.alias_(exp.Add(this=exp.column("level", table=TREE), expression=exp.Literal.number(1)), "level")
    again = exp.select(f"{alias}.*", deeper).from_(source.copy()).join(exp.to_table(TREE), on=condition)
    cte = exp.CTE(
        this=exp.Union(this=first, expression=again, distinct=False), alias=exp.TableAlias(this=exp.to_identifier(TREE))
    )
    clause = select.args.get("with_") or exp.With(expressions=[])
    clause.append("expressions", cte)
    clause.set("recursive", True)
    select.set("with_", clause)
    select.set("connect", None)
    select.args["from_"].set("this", exp.alias_(exp.to_table(TREE), alias, table=True))
    for column in select.find_all(exp.Column):
        if column.name.lower() == "level":
            column.replace(level.copy())


def _exclude(select: exp.Select, columns: Columns) -> None:
    """The star without some columns (r_EXCLUDE_list.html)."""
    excluded = [column.name.lower() for column in select.args.get("exclude") or []]
    select.set("exclude", None)
    kept: list[exp.Expr] = []
    for item in select.expressions:
        star = item.this if isinstance(item, exp.Column) else item
        left_out = [name.name.lower() for name in star.args.get("except_") or []] if isinstance(star, exp.Star) else []
        if isinstance(star, exp.Star) and (left_out or excluded):
            table = item.table if isinstance(item, exp.Column) else None
            kept += _without(select, table, {*left_out, *excluded}, columns)
        elif not excluded or item.alias_or_name.lower() not in excluded:
            kept.append(item)
    select.set("expressions", kept)


def _without(select: exp.Select, table: str | None, left_out: set[str], columns: Columns) -> list[exp.Expr]:
    if any(join.args.get("using") or join.args.get("method") for join in select.args.get("joins") or []):
        raise not_known("EXCLUDE over a join with USING")
    found: list[exp.Expr] = []
    for source in sources(select):
        alias = source.alias_or_name
        if table is None or table.lower() == alias.lower():
            names = [column.name for column in columns(of_source(source, select))]
            found += [exp.column(name, table=alias or None) for name in names if name.lower() not in left_out]
    return found


def _expand_names(select: exp.Select, columns: Columns) -> None:
    """Put what a name of the select list stands for where it is used later on (r_SELECT_list.html).

    A column of that name comes first.
    """
    given: dict[str, exp.Expr] = {}
    known: set[str] | None = None
    for item in select.expressions:
        for column in [node for node in item.find_all(exp.Column) if not node.table]:
            name = column.name.lower()
            if name not in given or column.find_ancestor(exp.Select) is not select:
                continue
            if known is None:
                known = _names_in_from(select, columns)
            if name not in known:
                column.replace(exp.Paren(this=given[name].copy()))
        if isinstance(item, exp.Alias):
            given.setdefault(item.alias.lower(), item.this)


def _names_in_from(select: exp.Select, columns: Columns) -> set[str]:
    return {column.name.lower() for source in sources(select) for column in columns(of_source(source, select))}


def _group_by_all(select: exp.Select) -> None:
    """All items of the select list that aggregate nothing (r_GROUP_BY_clause.html)."""
    group = select.args.get("group")
    if group is None or not group.args.get("all"):
        return
    if any(item.is_star for item in select.expressions):
        raise not_known("GROUP BY ALL beside a star")
    plain = [n for n, item in enumerate(select.expressions, 1) if not _aggregates(item)]
    terms = [exp.Literal.number(n) for n in plain]
    select.set("group", exp.Group(expressions=terms) if terms else None)


def _aggregates(item: exp.Expr) -> bool:
    for node in item.find_all(exp.AggFunc, exp.Anonymous):
        is_call = isinstance(node, exp.AggFunc) or node.name.lower() in AGGREGATES
        over = node.parent.parent if isinstance(node.parent, exp.WithinGroup | exp.IgnoreNulls) else node.parent
        if is_call and not isinstance(over, exp.Window):
            return True
    return False
