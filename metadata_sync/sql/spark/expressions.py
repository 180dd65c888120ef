"""Expressions: each kind of node has one rule, by the types of its arguments; a node without a rule is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from sqlglot import exp

from metadata_sync.problems import Problem
from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.kinds import (
    BOOLEAN,
    DATE,
    DOUBLE,
    HUGEINT,
    NULL,
    TIMESTAMP,
    TIMESTAMPTZ,
    UNKNOWN,
    VARCHAR,
    Kind,
    common_number,
    decimal,
    fits,
    holds_all,
    integer_kind,
    kind_of,
)
from metadata_sync.sql.spark.value import Refusal, Value, cast

if TYPE_CHECKING:
    from metadata_sync.sql.spark.scope import Scope

Rule = Callable[["Expressions", exp.Expr], Value]
_RULES: Final[dict[type[exp.Expr], tuple[frozenset[str], Rule]]] = {}
_CALLS: Final[dict[str, Rule]] = {}
"""Rules of functions that the parser has no node for, by their names in lower case."""


class Queries(Protocol):
    """Translates the queries inside expressions."""

    def subquery(self, query: exp.Expr, scope: Scope) -> tuple[exp.Query, list[Kind], bool]:
        """Return a query, the types of its columns, and whether it reads the row outside."""
        ...


@dataclass
class Place:
    """What may stand where an expression stands.

    Attributes:
        name: The clause, for messages.
        has_windows: Whether window functions may stand there.
        is_condition: Whether the expression is a condition of WHERE as a whole or joined by AND.
        has_queries: Whether subqueries may stand there.
    """

    name: str = "SELECT"
    is_condition: bool = False
    has_queries: bool = False


@dataclass
class Expressions:
    """Translates the expressions of one SELECT.

    Attributes:
        dialect: The warehouse's SQL.
        scope: What names mean.
        queries: Translates subqueries.
        place: The clause.
        windows: Named windows.
    """

    dialect: str
    scope: Scope
    queries: Queries
    place: Place = field(default_factory=Place)
    windows: dict[str, exp.Expr] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _known: dict[tuple[int, bool, bool], tuple[exp.Expr, Value]] = field(default_factory=dict)

    def collect(self, node: exp.Expr, place: Place | None = None) -> Value:
        """Translate an expression; what is wrong with it is added to the problems.

        Args:
            node: The expression.
            place: Its clause.
        """
        self.place = place or Place()
        try:
            return self.value(node)
        except Refusal as refusal:
            if refusal.reason is not None:
                self.problems.append(refusal.problem)
            return Value(exp.null(), UNKNOWN)

    def condition(self, node: exp.Expr, place: Place) -> exp.Expr:
        """Translate a condition; see `collect`."""
        value = self.collect(node, place)
        if value.kind not in (BOOLEAN, NULL, UNKNOWN):
            self.problems.append(
                Refusal(node, f"is {value.kind}, not a condition", "Compare it: … <> 0.").problem,
            )
        return value.sql

    def value(self, node: exp.Expr) -> Value:
        """Translate an expression.

        Raises:
            Refusal: When it, or a part of it, is not proved to mean the same on Spark.
        """
        key = (id(node), self.place.is_condition, self.place.has_queries)
        if key not in self._known:
            outer = self.place
            if not _keeps_condition(node):
                self.place = replace(outer, is_condition=False)
            try:
                self._known[key] = (node, self._translated(node))
            finally:
                self.place = outer
        return self._known[key][1]

    def _translated(self, node: exp.Expr) -> Value:
        rule = _RULES.get(type(node))
        if isinstance(node, exp.Anonymous) and node.name.lower() in _CALLS:
            rule = (frozenset(["this", "expressions"]), _CALLS[node.name.lower()])
        if rule is None:
            name = _name(node)
            remedy = _REMEDIES.get(type(node))
            reason = f"uses {name}, which is not known to mean the same on Spark"
            raise Refusal(node, reason) if remedy is None else Refusal(node, reason, remedy)
        known, translate = rule
        odd = sorted(name for name, part in node.args.items() if part not in (None, [], False) and name not in known)
        if odd:
            raise Refusal(node, f"has {' and '.join(odd)}, which is not known to mean the same on Spark")
        return translate(self, node)

    def values(self, nodes: Iterable[exp.Expr]) -> list[Value]:
        """Translate several expressions."""
        return [self.value(node) for node in nodes]

    def as_kind(self, node: exp.Expr, kind: Kind, *families: str) -> exp.Expr:
        """Translate an argument that must be of a type, or of one that becomes it.

        Args:
            node: The argument.
            kind: The type that it is cast to.
            *families: Names of the types that it may have; none: only this one.
        """
        value = self.value(node)
        if value.text is not None or value.kind.name in {*families, kind.name, "null"}:
            return convert(value, kind, node)
        _stop_at_unknown(value, node)
        raise Refusal(node, f"is {value.kind} where {kind} is taken", f"Cast it: cast(… as {kind}).")

    def common(self, nodes: Sequence[exp.Expr], node: exp.Expr) -> tuple[list[exp.Expr], Kind]:
        """Translate expressions to the type that they meet in.

        Args:
            nodes: The expressions.
            node: What they stand in.
        """
        values = self.values(nodes)
        kind = common_kind(values, node)
        return [convert(value, kind, node) for value in values], kind

    def sub(self, scope: Scope) -> Expressions:
        """Return a translator of the same SELECT with other names."""
        return Expressions(self.dialect, scope, self.queries, self.place, self.windows, self.problems)


def rule(*types: type[exp.Expr], args: str = "this expression") -> Callable[[Rule], Rule]:
    """Register the rule of a kind of node.

    Args:
        *types: The nodes.
        args: The arguments of the node that the rule reads; one with others is refused.
    """

    def register(function: Rule) -> Rule:
        for type_ in types:
            _RULES[type_] = (frozenset(args.split()), function)
        return function

    return register


def rule_of_call(name: str) -> Callable[[Rule], Rule]:
    """Register the rule of a function that the parser has no node for.

    Args:
        name: The function, in lower case.
    """

    def register(function: Rule) -> Rule:
        _CALLS[name] = function
        return function

    return register


def allowed_nodes() -> frozenset[type[exp.Expr]]:
    """Return the kinds of nodes that have a rule."""
    return frozenset(_RULES)


def common_kind(values: Sequence[Value], node: exp.Expr) -> Kind:
    """Return the type that values meet in, as the warehouse finds it.

    Raises:
        Refusal: When it is not proved which one that is.
    """
    for value in values:
        _stop_at_unknown(value, node)
    fixed = [value for value in values if value.text is None and value.kind != NULL]
    kinds = [value.kind for value in fixed]
    if not kinds:
        return VARCHAR if any(value.text is not None for value in values) else NULL
    if len(set(kinds)) == 1:
        return kinds[0]
    if all(kind.is_number for kind in kinds):
        return _number_kind(fixed, node)
    if all(kind.is_instant for kind in kinds):
        names = {kind.name for kind in kinds}
        return TIMESTAMPTZ if "timestamptz" in names else TIMESTAMP if "timestamp" in names else DATE
    shown_kinds = " and ".join(sorted({str(kind) for kind in kinds}))
    raise Refusal(node, f"mixes {shown_kinds}, which Spark casts differently", "Cast the values to one type.")


def _number_kind(values: Sequence[Value], node: exp.Expr) -> Kind:
    """Return the type that numbers meet in; a number that is written out takes the others' type when it fits."""
    others = [value.kind for value in values if value.number is None]
    numbers = [value for value in values if value.number is not None]
    if others and all(kind.is_integer for kind in others):
        widest = common_number(others)
        left = [value.kind for value in numbers if not fits(value.number or 0, widest)]
        return common_number([widest, *left])
    kinds = [value.kind for value in values]
    found = common_number(kinds)
    if found.name == "float" and any(kind.name == "decimal" or kind == HUGEINT for kind in kinds):
        raise Refusal(node, "mixes float and decimal, which Spark casts differently", "Cast both to double.")
    if found.name == "decimal" and HUGEINT not in kinds and not holds_all(kinds):
        raise Refusal(node, "mixes decimals of more than 38 digits together", "Cast them to smaller decimals.")
    return found


def _stop_at_unknown(value: Value, node: exp.Expr) -> None:
    if value.kind == UNKNOWN:
        raise Refusal(node, None)


def _keeps_condition(node: exp.Expr) -> bool:
    """Whether a part of a condition is one, too: what is joined by AND, and NOT IN as a whole."""
    if isinstance(node, exp.Not):
        return isinstance(node.this.unnest(), exp.In)
    return isinstance(node, exp.And | exp.Paren | exp.In)


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    if isinstance(node, exp.Func):
        return str(node.sql_name()).lower()
    return type(node).__name__.upper()


_REMEDIES: Final[dict[type[exp.Expr], str]] = {
    exp.Bracket: "Yield the element in a source or a view of the lake, or use engine: warehouse.",
    exp.TryCast: "Use cast(), after a condition that leaves out what cannot be cast.",
    exp.SimilarTo: "Use LIKE, or use engine: warehouse.",
    exp.Glob: "Use LIKE, or use engine: warehouse.",
    exp.JSONExtract: "Write ->> or json_extract_string(…), which yields text, and cast that.",
    exp.Any: "Write … IN (SELECT …).",
}


@rule(exp.Column, args="this table db catalog")
def _column(self: Expressions, node: exp.Expr) -> Value:
    assert isinstance(node, exp.Column)
    return self.scope.column(node, self)


@rule(exp.Literal, args="this is_string")
def _literal(_: Expressions, node: exp.Expr) -> Value:
    text = str(node.this)
    if node.is_string:
        return Value(exp.Literal.string(text), VARCHAR, text=text)
    if text.isdigit():
        kind = integer_kind(int(text)) if int(text) < 10**38 else DOUBLE
        number = exp.Literal.number(text) if kind.name in ("integer",) else cast(exp.Literal.string(text), kind)
        return Value(number, kind, number=int(text))
    if "e" in text.lower():
        return Value(cast(exp.Literal.string(text), DOUBLE), DOUBLE)
    return _decimal_literal(text, node)


def _decimal_literal(text: str, node: exp.Expr) -> Value:
    whole, _, fraction = text.replace("_", "").partition(".")
    digits = len(whole) + len(fraction)
    if not (whole + fraction).isdigit() or digits > 38:  # noqa: PLR2004 - digits of a decimal
        raise Refusal(node, "is a number that the engines read differently", "Write it with at most 38 digits.")
    kind = decimal(max(digits, 1), len(fraction))
    return Value(cast(exp.Literal.string(text), kind), kind)


@rule(exp.Boolean, args="this")
def _boolean(_: Expressions, node: exp.Expr) -> Value:
    return Value(node.copy(), BOOLEAN)


@rule(exp.Null, args="")
def _null(_: Expressions, __: exp.Expr) -> Value:
    return Value(exp.null(), NULL)


@rule(exp.Paren, args="this")
def _paren(self: Expressions, node: exp.Expr) -> Value:
    value = self.value(node.this)
    return Value(exp.paren(value.sql, copy=False), value.kind, value.number, value.text)


@rule(exp.Cast, args="this to")
def _cast(self: Expressions, node: exp.Expr) -> Value:
    to = kind_of(node.args["to"], self.dialect)
    if to is None:
        written = node.args["to"].sql(self.dialect)
        raise Refusal(node, f"casts to {written}, a type that Spark does not have")
    value = self.value(node.this)
    _stop_at_unknown(value, node)
    if value.text is not None and to.is_instant:
        return Value(_instant_literal(value, to, node), to)
    return Value(cast(convert(value, to, node), to), to)


def _instant_literal(value: Value, to: Kind, node: exp.Expr) -> exp.Expr:
    text = value.text or ""
    if text.strip().lower() in ("infinity", "-infinity", "epoch", "now", "today"):
        raise Refusal(node, f"is {text}, which Spark does not have", "Write a day, e.g. date '9999-12-31'.")
    return convert(value, to, node)


@rule(exp.Case, args="this ifs default")
def _case(self: Expressions, node: exp.Expr) -> Value:
    branches = node.args["ifs"]
    results = [branch.args["true"] for branch in branches]
    default = node.args.get("default") or exp.null()
    made, kind = self.common([*results, default], node)
    subject = node.args.get("this")
    if subject is None:
        conditions = [self.as_kind(branch.this, BOOLEAN) for branch in branches]
    else:
        conditions = [self.value(exp.EQ(this=subject.copy(), expression=branch.this.copy())).sql for branch in branches]
    ifs = [exp.If(this=test, true=result) for test, result in zip(conditions, made, strict=False)]
    return Value(exp.Case(ifs=ifs, default=made[-1]), kind)


@rule(exp.If, args="this true false")
def _if(self: Expressions, node: exp.Expr) -> Value:
    made, kind = self.common([node.args["true"], node.args.get("false") or exp.null()], node)
    return Value(exp.If(this=self.as_kind(node.this, BOOLEAN), true=made[0], false=made[1]), kind)


@rule(exp.Coalesce, args="this expressions")
def _coalesce(self: Expressions, node: exp.Expr) -> Value:
    made, kind = self.common([node.this, *node.expressions], node)
    return Value(exp.Anonymous(this="coalesce", expressions=made), kind)


@rule(exp.Nullif)
def _nullif(self: Expressions, node: exp.Expr) -> Value:
    first = self.value(node.this)
    equal = self.value(exp.EQ(this=node.this.copy(), expression=node.expression.copy()))
    made = convert(Value(first.sql, first.kind, text=first.text), first.kind, node)
    return Value(exp.If(this=equal.sql, true=cast(exp.null(), first.kind), false=made), first.kind)


@rule(exp.Greatest, exp.Least, args="this expressions ignore_nulls")
def _extreme(self: Expressions, node: exp.Expr) -> Value:
    made, kind = self.common([node.this, *node.expressions], node)
    if self.dialect != "duckdb" and not node.args.get("ignore_nulls"):
        raise Refusal(node, "is not known to take NULL as Spark does")
    if len(made) == 1:
        return Value(made[0], kind)
    name = "greatest" if isinstance(node, exp.Greatest) else "least"
    return Value(exp.Anonymous(this=name, expressions=made), kind)
