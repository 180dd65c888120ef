"""How many events of a target were derived by an older SELECT than today's: counted in target and side table."""

from __future__ import annotations

from dataclasses import dataclass

from flows.warehouse.bounds import parse_bound
from flows.warehouse.connection import Warehouse, quoted
from flows.warehouse.load_log import Definition, companion_table
from flows.warehouse.profile import SLUICE_SCHEMA, Profile
from metadata_sync.rows.names import TableName


@dataclass(frozen=True, slots=True)
class Derivations:
    """The events of a target's ledger, by what derived them.

    Attributes:
        event_count: All of them: the rows of the target, and the side table's.
        older_count: Those of an older SELECT.
        unreachable_count: Those of the older ones that lie before anything that the sources still hold.
    """

    event_count: int
    older_count: int
    unreachable_count: int


def count_derivations(
    warehouse: Warehouse, profile: Profile, target: TableName, definition: str, *, number: int, reach: str | None = None
) -> Derivations:
    """Count the events of a target that an older SELECT derived; reads the whole target.

    Args:
        warehouse: Read-only connection.
        profile: Says how schemas are called in the warehouse.
        target: The target; it was loaded before.
        definition: What its head holds.
        number: Number of today's definition.
        reach: The least event time that the sources still hold; None, when nothing tells it: the first event of today's
            definition.
    """
    at = quoted(Definition.parse(definition).order[0])
    relations = (
        (profile.physical_schema(target.schema), target.table),
        (profile.physical_schema(SLUICE_SCHEMA), companion_table(target, "side")),
    )
    events = " union all ".join(
        f"select {at} as happened_at, coalesce(_sluice_definition, 0) as definition "
        f"from {quoted(schema)}.{quoted(name)}"
        for schema, name in relations
    )
    is_before = (
        "(first_at is null or happened_at < first_at)" if reach is None else f"happened_at < '{parse_bound(reach)}'"
    )
    ((event_count, older_count, unreachable_count),) = warehouse.query(
        f"with events as ({events}), "
        f"today as (select min(happened_at) as first_at from events where definition >= {number}) "
        f"select count(*), count(case when definition < {number} then 1 end), "
        f"count(case when definition < {number} and {is_before} then 1 end) from events cross join today"
    )
    return Derivations(int(event_count), int(older_count), int(unreachable_count))
