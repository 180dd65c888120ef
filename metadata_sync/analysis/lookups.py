"""How a row's SELECT depends on its lookups: which driving rows a change touches, and what cannot be derived again.

A lookup with `on_change: restate` touches the driving rows that its join columns lead to. A load derives these again,
and what they yield takes the place of every event that they had yielded before. So the load must know which columns of
the target say which driving row an event came from: the *identity*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metadata_sync.problems import Problem, listed
from metadata_sync.rows.lookups import OR_IGNORE, split_pair
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import resolve_dependencies, sequence_columns, window_key
from metadata_sync.rows.vocabulary import Increment, LoadType
from metadata_sync.sql.lookups import Hop, LookupJoins, Path, lookup_joins

if TYPE_CHECKING:
    from metadata_sync.rows.model import ControlRows, Dependency, TransformationRow
    from metadata_sync.sql import ParsedSelect


@dataclass(frozen=True, slots=True)
class LookupPlan:
    """What a load needs to derive rows again.

    Attributes:
        paths: Lookup → the joins that lead to it, for all lookups whose joins are known.
        dropping: Lookups without whose row a driving row is not loaded.
        identity: Columns of the target that say which driving row an event came from → expressions of that row.
    """

    paths: Mapping[TableName, tuple[Path, ...]] = field(default_factory=dict)
    dropping: frozenset[TableName] = frozenset()
    identity: Mapping[str, str] = field(default_factory=dict)


def plan_lookups(
    row: TransformationRow, rows: ControlRows, select: ParsedSelect, tables: Mapping[TableName, Sequence[str]]
) -> LookupPlan:
    """Find the joins of a row's lookups, and the identity of its events.

    Args:
        row: The transformation.
        rows: All rows.
        select: Its SELECT.
        tables: Column names of the tables that it reads, as far as they are known.
    """
    driving = [TableName.parse(item.table) for item in row.driving]
    joins = lookup_joins(select, driving, tables) or LookupJoins()
    named = {TableName.parse(item.table): _named_path(row, item) for item in row.dependencies if item.restate_by}
    return LookupPlan({**joins.paths, **named}, joins.dropping, _identity(row, rows, joins.origins))


def _named_path(row: TransformationRow, dependency: Dependency) -> tuple[Path, ...]:
    """Return the paths of `restate_by`: the same columns for each driving source."""
    pairs = [split_pair(text) for text in dependency.restate_by]
    left, right = tuple(f'"{name}"' for name, _ in pairs), tuple(f'"{name}"' for _, name in pairs)
    hop = Hop(left, TableName.parse(dependency.table), right)
    return tuple(Path(TableName.parse(item.table), (hop,)) for item in row.driving)


def _identity(row: TransformationRow, rows: ControlRows, origins: Mapping[str, str]) -> dict[str, str]:
    """Return the columns that identify the driving row of an event, as far as they come from it.

    SCD1 and append keep one event of a key, so all events of the key are derived again; SCD2 keeps every event by its
    time. Rows without a key are identified by the key that cuts windows.
    """
    if row.increment is not Increment.ROWS:
        return {}
    if row.load_type is LoadType.APPEND and not row.business_key:
        names: tuple[str, ...] = tuple(filter(None, [window_key(row, rows)]))
        return {name: origins[name] for name in names if name in origins}
    found = {name: origins[name] for name in row.business_key if name in origins}
    if row.load_type is not LoadType.SCD2 or not found:
        return found
    first = sequence_columns(row, rows, list(origins))[:1]
    return {**found, first[0]: origins[first[0]]} if first and first[0] in origins else {}


def lookup_problems(row: TransformationRow, rows: ControlRows, plan: LookupPlan) -> Iterator[tuple[str, Problem]]:
    """Find what a row's lookups with `on_change: restate` cannot do.

    Args:
        row: The transformation.
        rows: All rows.
        plan: What its SELECT says.

    Yields:
        The lookup, and what is wrong.
    """
    restating = [item for item in resolve_dependencies(row, rows) if item.restates]
    for item in restating:
        name = str(item.name)
        is_token = not item.is_managed and item.incremental_key is None
        if is_token and row.increment is Increment.ROWS:
            continue
        if row.increment is not Increment.FULL and not is_token and item.name not in plan.paths:
            message = (
                f"Which driving rows a change of {name} touches is unknown: the SELECT joins it by no column that can "
                "be followed to the driving source."
            )
            remedy = f"Name the joining columns in restate_by, e.g. [order_id = id], use increment: full, {OR_IGNORE}"
            yield name, Problem("no_join_columns", message, remedy)
        yield from ((name, problem) for problem in _forgotten_columns(rows, item.name, plan))
    if restating and row.increment is Increment.ROWS and not plan.identity:
        yield str(restating[0].name), _no_identity(row)


def _forgotten_columns(rows: ControlRows, name: TableName, plan: LookupPlan) -> Iterator[Problem]:
    """An SCD1 table forgets the values of an overwritten row, so rows that were joined by them are not found again."""
    upstream = rows.transformation(name)
    if upstream is None or upstream.load_type is not LoadType.SCD1:
        return
    joined = {text.strip('"') for path in plan.paths.get(name, ()) for text in path.hops[-1].right}
    missing = sorted(joined - set(upstream.business_key))
    if missing:
        message = f"{name} overwrites rows, and the joined columns {listed(missing)} are not in its business_key."
        yield Problem("restate_by_not_key", message, f"Join an scd2 table instead, join by its key, {OR_IGNORE}")


def _no_identity(row: TransformationRow) -> Problem:
    if row.load_type is LoadType.SCD2:
        wanted = "a column of the business key, and the first column of sequence_by,"
    else:
        wanted = "the incremental key" if not row.business_key else "a column of the business key"
    message = (
        f"Which rows an earlier derivation left is unknown: {wanted} must be yielded as the driving source holds it."
    )
    return Problem("no_identity", message, f"Yield it, use increment: groups or full, {OR_IGNORE}")
