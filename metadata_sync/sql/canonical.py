"""What a SELECT means, without its layout: output columns and row-deciding parts, over the columns of base tables.

Names of tables inside the SELECT, common table expressions and subqueries are resolved, so that a SELECT that was only
written differently has the same form. Values and rows are kept apart: a changed expression changes one column, a
changed filter, join or grouping may change every row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from metadata_sync.rows.names import TableName
from metadata_sync.sql.lineage import ColumnName, known_schema
from metadata_sync.sql.parse import ParsedSelect

_COMMUTATIVE: Final = (exp.EQ, exp.NEQ, exp.Add, exp.Mul)
_CLAUSES: Final[Mapping[str, str]] = {
    "group": "grouping",
    "having": "filter",
    "qualify": "filter",
    "distinct": "distinct",
    "order": "order",
    "limit": "limit",
    "offset": "limit",
}
"""Clause → what people call it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A text of the canonical form, and the base columns that it reads."""

    text: str
    reads: frozenset[ColumnName] = frozenset()


Shape = tuple[str, Part]


@dataclass(frozen=True, slots=True)
class Canonical:
    """What a SELECT means.

    Attributes:
        columns: Output column → how its value is made, in the order of the SELECT.
        shape: What decides which rows there are: (what it is called, how it is written), in a fixed order.
        is_plain: Whether it only joins, filters and computes row by row, so that its filters may be applied later.
    """

    columns: Mapping[str, Part]
    shape: tuple[tuple[str, Part], ...]
    is_plain: bool = False

    @property
    def deciding(self) -> frozenset[ColumnName]:
        """The columns that decide which rows there are."""
        return frozenset[ColumnName]().union(*(part.reads for _, part in self.shape))


def canonical(select: ParsedSelect, tables: Mapping[TableName, Sequence[str]]) -> Canonical | None:
    """Return the canonical form of a SELECT; None when it cannot be resolved.

    Args:
        select: The parsed SELECT.
        tables: Column names of the tables that it reads.
    """
    try:
        tree = qualify(
            select.tree.copy(),
            schema=known_schema(tables),
            dialect=select.dialect,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
        scope = build_scope(tree)
        return None if scope is None else _Reader(select.dialect).query(scope)
    except (SqlglotError, AssertionError, RecursionError, ValueError, KeyError):
        return None


class _Reader:
    """Resolves scopes from the inside out."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._counts: dict[str, int] = {}

    def query(self, scope: Scope) -> Canonical:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            return self._set_operation(scope, expression)
        if isinstance(expression, exp.Subquery) and scope.subquery_scopes:
            return self.query(scope.subquery_scopes[0])
        assert isinstance(expression, exp.Select), "a scope is a query"
        if any(item.is_star for item in expression.selects):
            raise ValueError("a star whose columns are not known")
        sources = self._sources(scope)
        source = expression.args.get("from_") or expression.args.get("from")
        first = [] if source is None else list(self._table(source.this, sources))
        inner = None if source is None else sources.get(source.this.alias_or_name.lower())
        early, late = _split(
            first, may_move=isinstance(inner, Canonical) and inner.is_plain and _keeps_left(expression)
        )
        early += self._joins(expression, sources)
        where = expression.args.get("where")
        if where is not None:
            late += [("filter", self._part(item, sources)) for item in _conjuncts(where.this)]
        shape = [*early, *sorted(late, key=lambda item: item[1].text)]
        for clause, called in _CLAUSES.items():
            node = expression.args.get(clause)
            if node is not None:
                shape.append((called, self._clause(node, sources, expression)))
        columns = {item.alias_or_name.lower(): self._part(item.unalias(), sources) for item in expression.selects}
        is_plain = not any(expression.args.get(clause) for clause in _CLAUSES) and not any(
            item.find(exp.AggFunc, exp.Window, exp.Unnest, exp.Explode) for item in expression.selects
        )
        return Canonical(columns, tuple(shape), is_plain)

    def _set_operation(self, scope: Scope, expression: exp.SetOperation) -> Canonical:
        left, right = (self.query(part) for part in scope.set_operation_scopes)
        kind = f"{type(expression).__name__} {'distinct' if expression.args.get('distinct') else 'all'}"
        columns = {
            name: Part(f"[{one.text} | {other.text}]", one.reads | other.reads)
            for (name, one), other in zip(left.columns.items(), right.columns.values(), strict=True)
        }
        own: tuple[tuple[str, Part], ...] = (("set operation", Part(kind)),)
        if expression.args.get("distinct") or not isinstance(expression, exp.Union):
            values = frozenset[ColumnName]().union(*(part.reads for part in columns.values()))
            texts = "; ".join(part.text for part in columns.values())
            own = (("set operation", Part(f"{kind} of {texts}", values)),)
        return Canonical(columns, (*left.shape, *own, *right.shape))

    def _sources(self, scope: Scope) -> dict[str, Canonical | str]:
        """Return what each alias of a scope stands for: an inner query, or a base table's own name."""
        found: dict[str, Canonical | str] = {}
        for alias, (_, source) in scope.selected_sources.items():
            if isinstance(source, Scope):
                found[alias.lower()] = self.query(source)
            else:
                name = f"{source.db.lower()}.{source.name.lower()}"
                number = self._counts[name] = self._counts.get(name, 0) + 1
                found[alias.lower()] = name if number == 1 else f"{name}#{number}"
        return found

    def _joins(self, select: exp.Select, sources: Mapping[str, Canonical | str]) -> Iterator[Shape]:
        for lateral in select.args.get("laterals") or ():
            yield "join", self._part(lateral, sources)
        for join in select.args.get("joins") or ():
            words = (word.lower() for word in (join.method, join.side, join.kind) if word)
            kind = " ".join(word for word in words if word not in {"inner", "outer"})
            yield from self._table(join.this, sources)
            on, using = join.args.get("on"), join.args.get("using")
            part = self._part(on, sources) if on is not None else Part("")
            written = "" if not using else ", ".join(item.sql(dialect=self._dialect) for item in using)
            yield "join", Part(f"{kind} {part.text}{written}", part.reads)

    def _table(self, node: exp.Expr, sources: Mapping[str, Canonical | str]) -> Iterator[tuple[str, Part]]:
        source = sources.get(node.alias_or_name.lower())
        if isinstance(source, Canonical):
            yield from source.shape
        elif source is not None:
            yield "source", Part(source)
        else:
            yield "source", self._part(node, sources)

    def _clause(self, node: exp.Expr, sources: Mapping[str, Canonical | str], select: exp.Select) -> Part:
        """Return a clause; names and places of output columns in GROUP BY and ORDER BY stand for their expressions."""
        copied = node.copy()
        for literal in list(copied.find_all(exp.Literal)) if isinstance(node, exp.Group | exp.Order) else ():
            place = int(literal.this) if literal.is_int else 0
            if 0 < place <= len(select.selects) and literal.parent in (copied, *copied.expressions):
                literal.replace(select.selects[place - 1].unalias().copy())
        if isinstance(node, exp.Distinct):
            parts = [self._part(item.unalias(), sources) for item in select.selects]
            return Part("; ".join(part.text for part in parts), frozenset().union(*(part.reads for part in parts)))
        return self._part(copied, sources)

    def _part(self, node: exp.Expr, sources: Mapping[str, Canonical | str]) -> Part:
        """Return an expression with the columns of inner queries replaced by what they are made of."""
        reads: set[ColumnName] = set()

        def resolved(part: exp.Expr) -> exp.Expr:
            if not isinstance(part, exp.Column):
                return part
            source = sources.get(part.table.lower())
            name = part.name.lower()
            if isinstance(source, Canonical):
                inner = source.columns.get(name)
                if inner is None:
                    raise ValueError(f"{name} is not a column of {part.table}")
                reads.update(inner.reads)
                return exp.Var(this=inner.text)
            if source is not None:
                reads.add(ColumnName(TableName.parse(source.partition("#")[0]), name))
                return exp.Var(this=f"{source}.{name}")
            reads.update(_named(part))
            return exp.Var(this=part.sql(dialect=self._dialect).lower())

        return Part(_structure(node.copy().transform(resolved), self._dialect), frozenset(reads))


def _keeps_left(select: exp.Select) -> bool:
    """Tell whether no join adds rows without a row of the first source."""
    return all((join.side or "").upper() not in {"RIGHT", "FULL"} for join in select.args.get("joins") or ())


def _split(shape: Sequence[Shape], *, may_move: bool) -> tuple[list[Shape], list[Shape]]:
    """Return what stays in its place, and the filters that may as well be applied after the joins."""
    if not may_move:
        return list(shape), []
    return [item for item in shape if item[0] != "filter"], [item for item in shape if item[0] == "filter"]


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    node = node.unnest()
    if isinstance(node, exp.And):
        yield from _conjuncts(node.this)
        yield from _conjuncts(node.expression)
    else:
        yield node


def _named(column: exp.Column) -> Iterator[ColumnName]:
    """Yield a column of a subquery's own table, as far as its full name says so."""
    if column.args.get("db") is not None:
        yield ColumnName(TableName(column.text("db").lower(), column.table.lower()), column.name.lower())


def _structure(node: exp.Expr, dialect: str) -> str:
    """Return an expression as its structure: without parentheses, comments, case, and the order of what commutes."""
    if isinstance(node, exp.Paren):
        return _structure(node.this, dialect)
    if isinstance(node, exp.Var):
        return str(node.this)
    if isinstance(node, exp.Identifier):
        return node.name.lower()
    if isinstance(node, exp.Literal | exp.DataType):
        return node.sql(dialect=dialect)
    if isinstance(node, exp.And | exp.Or):
        sides = sorted(_structure(side, dialect) for side in node.flatten())
    elif isinstance(node, _COMMUTATIVE):
        sides = sorted((_structure(node.this, dialect), _structure(node.expression, dialect)))
    else:
        sides = [f"{name}={_argument(value, dialect)}" for name, value in sorted(node.args.items()) if value]
    return f"{node.key}({', '.join(sides)})"


def _argument(value: object, dialect: str) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_argument(item, dialect) for item in value)}]"
    return _structure(value, dialect) if isinstance(value, exp.Expr) else str(value).lower()
