"""How many events of a target were derived by an older SELECT than today's: counted in target and side table."""

from __future__ import annotations

from dataclasses import dataclass

from flows.warehouse.bounds import parse_bound
from flows.warehouse.connection import Warehouse
from flows.warehouse.definition import Definition
from flows.warehouse.load_log import companion_table
from flows.warehouse.profile import SLUICE_SCHEMA, Profile
from metadata_sync.rows.names import TableName, quote_identifier


@dataclass(frozen=True, slots=True)
class Derivations:
    """The events of a target's ledger, by what derived them.

    Attributes:
        event_count: All of them: the rows of the target, and the side table's.
        older_count: Those of an older SELECT.
        prunable_count: Those of the older ones that may leave, because the sources hold the rows that they came from.
        held_count: All events whose rows the sources hold, where that is known; else 0.
    """

    event_count: int
    older_count: int
    prunable_count: int
    held_count: int = 0


def count_derivations(
    warehouse: Warehouse,
    profile: Profile,
    target: TableName,
    definition: str,
    *,
    number: int,
    held: str | None = None,
    reach: str | None = None,
) -> Derivations:
    """Count the events of a target that an older SELECT derived; reads the whole target.

    Args:
        warehouse: Read-only connection.
        profile: Says how schemas are called in the warehouse.
        target: The target; it was loaded before.
        definition: What its head holds.
        number: Number of today's definition.
        held: A query of the keys and times of the events whose rows the source holds. None: when none of the older
            events lies before the reach of the sources, all of them may leave.
        reach: The least event time that the sources still hold; None, when nothing tells it: the first event of today's
            definition.
    """
    built_as = Definition.parse(definition)
    at = quote_identifier(built_as.order[0])
    identity = [quote_identifier(name) for name in (*built_as.key, built_as.order[0])]
    relations = (
        (profile.physical_schema(target.schema), target.table),
        (profile.physical_schema(SLUICE_SCHEMA), companion_table(target, "side")),
    )
    events = " union all ".join(
        f"select {', '.join(identity)}, coalesce(_sluice_definition, 0) as _sluice_number "
        f"from {quote_identifier(schema)}.{quote_identifier(name)}"
        for schema, name in relations
    )
    is_older = f"_sluice_number < {number}"
    if held is not None:
        matches = " and ".join(f"held.{name} = events.{name}" for name in identity)
        ((event_count, older_count, prunable_count, held_count),) = warehouse.query(
            f"with events as ({events}), held as (select distinct * from ({held}) as held_rows) "
            f"select count(*), count(case when {is_older} then 1 end), "
            f"count(case when {is_older} and held.{at} is not null then 1 end), count(held.{at}) "
            f"from events left join held on {matches}"
        )
        return Derivations(int(event_count), int(older_count), int(prunable_count), int(held_count))
    is_before = f"(first_at is null or {at} < first_at)" if reach is None else f"{at} < '{parse_bound(reach)}'"
    ((event_count, older_count, before_count),) = warehouse.query(
        f"with events as ({events}), "
        f"today as (select min({at}) as first_at from events where not {is_older}) "
        f"select count(*), count(case when {is_older} then 1 end), "
        f"count(case when {is_older} and {is_before} then 1 end) from events cross join today"
    )
    return Derivations(int(event_count), int(older_count), 0 if before_count else int(older_count))
