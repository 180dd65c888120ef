"""Which definition derived a target's rows: noted at the first load by a new one, told as an incident, accepted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flows.context import reading
from flows.gate.definitions import definition_changes, find_change, known_definitions
from flows.incidents.incident import Finding
from flows.incidents.settle import settle_incidents
from flows.warehouse.definition import derivation_of, is_redefined, numbered
from metadata_sync.database.approval.model import Role
from metadata_sync.database.journals.entries import DefinitionEntry
from metadata_sync.errors import ConfigurationError, RunError
from metadata_sync.incident import Incident, IncidentKind
from metadata_sync.rows.vocabulary import Increment, OnDefinitionChange

if TYPE_CHECKING:
    from flows.context import Context
    from flows.gate.facts import DefinitionChange
    from flows.run.model import TargetOutcome
    from flows.warehouse.connection import Warehouse
    from flows.warehouse.load_log import Head
    from metadata_sync.rows.model import ControlRows, TransformationRow

logger = logging.getLogger(__name__)

_ACCEPTED_BY_ROW: Final = "the row says on_definition_change: accept"


def note_definitions(
    context: Context, rows: ControlRows, heads: Mapping[str, Head], warehouse: Warehouse
) -> tuple[DefinitionEntry, ...]:
    """Count what older SELECTs derived, once for each definition that a load has just brought in, and open incidents.

    Args:
        context: Control database.
        rows: The environment's rows.
        heads: Target → its head. The tables of a target with a new definition are read whole, once.
        warehouse: Read-only connection.

    Returns:
        The definitions that were noted now.
    """
    from flows.warehouse.derivations import count_derivations

    found = {
        target: (head.definition, *derivation_of(head.definition))
        for target, head in heads.items()
        if head.definition and head.is_redefined
    }
    if not found:
        return ()
    known = known_definitions(context, found)
    noted = []
    for row in rows.transformations:
        stored, number, newest = found.get(str(row.name), ("", 0, ""))
        entry = known.get((str(row.name), number, newest))
        if not stored or row.increment is Increment.FULL or (entry is not None and entry.counted_at is not None):
            continue
        counted = count_derivations(warehouse, context.profile, row.name, stored, number=number)
        entry = entry or _entry(context, row, number, newest)
        entry = replace(
            entry, event_count=counted.event_count, older_count=counted.older_count, counted_at=context.now()
        )
        context.store.write_definition(entry)
        noted.append(entry)
    _tell(context, rows, noted)
    return tuple(noted)


def note_loads(context: Context, rows: ControlRows, definitions: Mapping[str, str | None]) -> None:
    """Note the definitions of loads that have just ended; reads the warehouse only when one of them is new.

    Args:
        context: Control database.
        rows: The environment's rows.
        definitions: Target → what its load derived rows by, `<number>:<hash>`; None: unknown.
    """
    from flows.warehouse.load_log import read_state

    changed = _redefined(definitions)
    if not changed:
        return
    known = known_definitions(context, changed)
    unknown = {
        target
        for target, found in changed.items()
        if (entry := known.get((target, *found))) is None or entry.counted_at is None
    }
    names = [row.name for row in rows.transformations if str(row.name) in unknown]
    if not names:
        return
    try:
        with reading(context, context.profile) as warehouse:
            heads = read_state(warehouse, context.profile, names, names).heads
            note_definitions(context, rows, heads, warehouse)
    except RunError as error:  # the loads are committed; the next run counts
        logger.warning("definitions.not_counted targets=%s error=%s", sorted(unknown), error)


def changes_after(context: Context, rows: ControlRows, outcomes: Sequence[TargetOutcome]) -> tuple[TargetOutcome, ...]:
    """Return the outcomes of a run with the rows that older SELECTs derived, as they are known after it."""
    by_name = {str(row.name): row for row in rows.transformations}
    changed = _redefined({item.target: item.definition for item in outcomes})
    known = known_definitions(context, changed) if changed else {}

    def change_of(item: TargetOutcome) -> DefinitionChange | None:
        if item.definition is None:
            return item.decision.definition_change
        return find_change(by_name[item.target], numbered(item.definition), None, known)

    return tuple(replace(item, definition_change=change_of(item)) for item in outcomes)


def _redefined(definitions: Mapping[str, str | None]) -> dict[str, tuple[int, str]]:
    """Return number and hash of the definitions that are not the first of their target."""
    found = {target: numbered(text) for target, text in definitions.items() if text}
    return {target: (number, newest) for target, (number, newest) in found.items() if is_redefined(number)}


def _entry(context: Context, row: TransformationRow, number: int, definition: str) -> DefinitionEntry:
    now = context.now()
    entry = DefinitionEntry(str(row.name), number, definition, noted_at=now)
    if row.on_definition_change is not OnDefinitionChange.ACCEPT:
        return entry
    return replace(entry, accepted_by="sluice", reason=_ACCEPTED_BY_ROW, accepted_at=now)


def _entry_of(context: Context, row: TransformationRow, number: int, definition: str) -> DefinitionEntry:
    """Return what is noted of a definition of a target, or a new entry."""
    known = known_definitions(context, [str(row.name)]).get((str(row.name), number, definition))
    return known or _entry(context, row, number, definition)


def _tell(context: Context, rows: ControlRows, entries: Iterable[DefinitionEntry]) -> None:
    pipelines = {str(row.name): row.pipeline_id for row in rows.transformations}
    findings = [
        Finding(
            kind=IncidentKind.DEFINITION,
            subject=entry.target,
            failure_class=None,
            message=(
                f"{entry.older_count:,} of {entry.event_count:,} events were derived by an older SELECT. "
                f"`sluice restate {entry.target}` derives them again; `sluice accept {entry.target} --reason TEXT` "
                "keeps them."
            ),
            targets=(entry.target,),
            held_up=(),
            pipeline_ids=(pipelines[entry.target],),
            is_hard=False,
        )
        for entry in entries
        if entry.has_older
    ]
    if findings:
        settle_incidents(context, rows, findings)


def recount(
    context: Context,
    rows: ControlRows,
    row: TransformationRow,
    definition: str,
    *,
    event_count: int,
    older_count: int,
) -> None:
    """Store how many events an older SELECT derived, as they were just counted; none ends the incident.

    Args:
        context: Control database.
        rows: The environment's rows.
        row: The row of a loaded target.
        definition: What its head holds.
        event_count: Events of its ledger.
        older_count: Those that an older definition than its newest derived.
    """
    number, newest = derivation_of(definition)
    if not is_redefined(number):
        return
    entry = _entry_of(context, row, number, newest)
    context.store.write_definition(
        replace(entry, event_count=event_count, older_count=older_count, counted_at=context.now())
    )
    if not older_count:
        _end_incident(context, rows, str(row.name))


def settle(
    context: Context, rows: ControlRows, row: TransformationRow, definition: str, *, who: str, reason: str
) -> None:
    """Record that the older rows of a target stay as they are after a restatement, and end the incident.

    Args:
        context: Control database.
        rows: The environment's rows.
        row: The row of the target.
        definition: What its head holds.
        who: Who restated it.
        reason: Why its older rows stay.
    """
    number, newest = derivation_of(definition)
    if not is_redefined(number):
        return
    entry = _entry_of(context, row, number, newest)
    context.store.write_definition(replace(entry, accepted_by=who, reason=reason, accepted_at=context.now()))
    _end_incident(context, rows, str(row.name))


def accept(context: Context, target: str, reason: str) -> DefinitionEntry:
    """Accept that the rows of a target that an older SELECT derived stay as they are.

    Args:
        context: Control database.
        target: Its name, `schema.table`.
        reason: Why.

    Returns:
        What was accepted.

    Raises:
        ConfigurationError: When there is no such target, it was never loaded, or no older SELECT derived rows of it.
        StoreError: When the role `restate` was granted to others only.
    """
    context.store.approvals.require(Role.RESTATE)
    rows = context.store.read_rows()
    row = find_target(rows, target)
    head = read_head(context, row)
    change = definition_changes(context, rows, [row], {target: head}, is_in_step=False).get(target)
    if change is None:
        raise ConfigurationError(
            f"There is nothing to accept: today's SELECT derived all rows of {target}, or the others were accepted.",
            f"`sluice why {target}` shows it.",
        )
    entry = known_definitions(context, [target]).get((target, change.number, change.definition))
    entry = entry or DefinitionEntry(target, change.number, change.definition, noted_at=context.now())
    entry = replace(entry, accepted_by=context.who, reason=reason, accepted_at=context.now())
    context.store.write_definition(entry)
    _end_incident(context, rows, target)
    return entry


def find_target(rows: ControlRows, target: str) -> TransformationRow:
    """Return the row of a target.

    Raises:
        ConfigurationError: When there is none.
    """
    row = next((row for row in rows.transformations if str(row.name) == target), None)
    if row is None:
        known = ", ".join(sorted(str(row.name) for row in rows.transformations))
        raise ConfigurationError(f"There is no target {target!r} in this environment.", f"It has: {known or 'none'}.")
    return row


def read_head(context: Context, row: TransformationRow) -> Head:
    """Return the head of a target.

    Raises:
        ConfigurationError: When it was never loaded.
    """
    from flows.warehouse.load_log import read_state

    with reading(context, context.profile) as warehouse:
        head = read_state(warehouse, context.profile, [row.name], [row.name]).heads.get(str(row.name))
    if head is None or not head.definition or head.loaded_at is None:
        raise ConfigurationError(
            f"{row.name} was never loaded, so no SELECT has derived rows of it.",
            f"Load it first: sluice run {row.pipeline_id}.",
        )
    return head


def _end_incident(context: Context, rows: ControlRows, target: str) -> None:
    def is_over(incident: Incident) -> bool:
        return incident.kind is IncidentKind.DEFINITION and incident.subject == target

    settle_incidents(context, rows, [], is_over=is_over)
