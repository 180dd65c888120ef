"""FROM and its joins: USING and natural joins are written out, what only the warehouse has is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from metadata_sync.sql.spark.casts import convert
from metadata_sync.sql.spark.expressions import Expressions, Place, common_kind
from metadata_sync.sql.spark.scope import Relation, Scope, reference
from metadata_sync.sql.spark.value import Refusal, Value

if TYPE_CHECKING:
    from metadata_sync.sql.spark.query import Queries

_SIDES: Final = ("", "LEFT", "RIGHT", "FULL")
_KINDS: Final = ("", "INNER", "OUTER", "CROSS")


@dataclass
class Joiner:
    """Translates FROM of one SELECT.

    Attributes:
        queries: Translates items of FROM.
        scope: Gets the relations.
        dialect: The warehouse's SQL.
        made: The joins for Spark.
    """

    queries: Queries
    scope: Scope
    dialect: str
    made: list[exp.Join] = field(default_factory=list)
    _pending: list[tuple[exp.Join, exp.Join, int]] = field(default_factory=list)

    def from_(self, node: exp.Select) -> exp.From | None:
        """Translate the items of FROM; conditions follow in `finish`.

        Raises:
            Refusal: When an item or a join is not proved to mean the same on Spark.
        """
        from_ = node.args.get("from_")
        if from_ is None:
            return None
        item = self._add(from_.this)
        if from_.this.args.get("joins"):
            raise Refusal(from_.this, "joins in parentheses", "Join in a subquery.")
        joins = node.args.get("joins") or []
        for place, join in enumerate(joins):
            self._join(join, joins[place + 1 :])
        return exp.From(this=item)

    def finish(self, translator: Expressions) -> None:
        """Translate the conditions of the joins, each over the tables before it."""
        relations = self.scope.relations
        for join, made, count in self._pending:
            self.scope.relations = relations[:count]
            on, names = join.args.get("on"), self._using(join, relations[: count - 1], relations[count - 1])
            if on is not None:
                made.set("on", translator.condition(on, Place("ON")))
            elif names:
                made.set("on", self._equal(join, names, relations[count - 1]))
        self.scope.relations = relations

    def _add(self, node: exp.Expr) -> exp.Expr:
        item, relation = self.queries.relation(node, self.scope)
        if any(known.alias.lower() == relation.alias.lower() for known in self.scope.relations):
            raise Refusal(node, f"is the second {relation.alias} in FROM", "Give each table an alias of its own.")
        self.scope.relations.append(relation)
        return item

    def _join(self, join: exp.Join, following: Sequence[exp.Join]) -> None:
        method, side = str(join.args.get("method") or "").upper(), str(join.args.get("side") or "").upper()
        kind = str(join.args.get("kind") or "").upper()
        odd = [name for name in join.args if join.args[name] and name not in ("this", "on", "using", *_NAMED)]
        if method not in ("", "NATURAL") or side not in _SIDES or kind not in _KINDS or odd:
            what = " ".join(filter(None, [method, side, kind, *odd]))
            raise Refusal(join, f"is a {what} JOIN, which Spark does not have", "Use JOIN, LEFT JOIN or EXISTS.")
        if join.this.args.get("joins"):
            raise Refusal(join.this, "joins in parentheses", "Join in a subquery.")
        has_condition = bool(join.args.get("on") or join.args.get("using") or method)
        is_outer_later = any(str(later.args.get("side") or "") in ("RIGHT", "FULL") for later in following)
        if not has_condition and kind != "CROSS" and is_outer_later:
            raise Refusal(join, "is a comma before an outer join", "Write CROSS JOIN.")
        item = self._add(join.this)
        made = exp.Join(this=item, side=side or None, kind=None if has_condition else "CROSS")
        self.made.append(made)
        if has_condition:
            self._pending.append((join, made, len(self.scope.relations)))

    def _using(self, join: exp.Join, before: Sequence[Relation], relation: Relation) -> list[str]:
        if str(join.args.get("method") or "").upper() != "NATURAL":
            return [item.name for item in join.args.get("using") or []]
        known = [column.name for one in before for column in one.columns]
        names = [name for name in dict.fromkeys(known) if relation.find(name)]
        if not names:
            raise Refusal(join, "is a natural join without a common column", "Write ON.")
        return names

    def _equal(self, join: exp.Join, names: Sequence[str], relation: Relation) -> exp.Expr:
        """Write USING as equalities, and keep what each common column stands for."""
        side = str(join.args.get("side") or "").upper()
        tests: list[exp.Expr] = []
        for name in names:
            left = self._left(name, join)
            (right,) = self._columns(relation, name, join)
            kind = common_kind([left, right], join)
            one, other = convert(left, kind, join), convert(right, kind, join)
            tests.append(exp.EQ(this=one.copy(), expression=other.copy()))
            if side == "FULL":
                merged = Value(exp.Anonymous(this="coalesce", expressions=[one.copy(), other.copy()]), kind)
            else:
                merged = right if side == "RIGHT" else left
            self.scope.merged[name.lower()] = merged
            self.scope.hidden.add((relation.alias.lower(), name.lower()))
        return exp.and_(*tests)

    def _left(self, name: str, join: exp.Join) -> Value:
        if name.lower() in self.scope.merged:
            return self.scope.merged[name.lower()]
        found = [
            value for one in self.scope.relations[:-1] for value in self._columns(one, name, join, is_needed=False)
        ]
        if len(found) != 1:
            raise Refusal(
                join, f"joins by {name}, which {'no' if not found else 'more than one'} table has", "Write ON."
            )
        return found[0]

    def _columns(self, relation: Relation, name: str, join: exp.Join, *, is_needed: bool = True) -> list[Value]:
        found = relation.find(name)
        if (is_needed or found) and (len(found) != 1 or found[0].kind is None):
            raise Refusal(
                join, f"joins by {name}, which {relation.alias} has not once with a type of Spark", "Write ON."
            )
        return [Value(reference(column.name, relation.alias), column.kind) for column in found if column.kind]


_NAMED: Final = ("method", "side", "kind")
