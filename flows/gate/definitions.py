"""Finds targets whose rows an older SELECT derived."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.gate.facts import DefinitionChange
from flows.warehouse.definition import derivation_of, is_redefined, next_number, numbered, row_definition
from metadata_sync.rows.vocabulary import Increment, OnDefinitionChange
from metadata_sync.sync.definitions import select_hashes

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.load_log import Head
    from metadata_sync.database.journals.entries import DefinitionEntry, LatestLoads
    from metadata_sync.rows.model import ControlRows, TransformationRow

Entries = Mapping[tuple[str, int, str], "DefinitionEntry"]
"""(target, number, hash) → what is known of that definition."""


def definition_changes(
    context: Context,
    rows: ControlRows,
    targets: Iterable[TransformationRow],
    heads: Mapping[str, Head],
    *,
    is_in_step: bool,
) -> Mapping[str, DefinitionChange]:
    """Compare what derived the rows of targets with their SELECTs of today.

    Args:
        context: Project, control database.
        rows: The environment's rows.
        targets: The rows to look at.
        heads: Their heads in the warehouse.
        is_in_step: Whether sync has just written the generated models.

    Returns:
        Target → its change, for those that hold rows of an older SELECT that nobody accepted.
    """
    loaded = [row for row in targets if (head := heads.get(str(row.name))) is not None and head.definition]
    if not loaded:
        return {}
    stored = {str(row.name): derivation_of(heads[str(row.name)].definition or "") for row in loaded}
    return _compare(context, rows, loaded, stored, is_in_step=is_in_step)


def recorded_changes(
    context: Context, rows: ControlRows, loads: LatestLoads, only: Collection[str] | None = None
) -> Mapping[str, DefinitionChange]:
    """Compare what derived the rows of targets with their SELECTs of today, without asking the warehouse.

    Args:
        context: Project, control database.
        rows: The environment's rows.
        loads: The last loads of each target.
        only: The targets to look at; None: all.
    """
    stored = {
        entry.target: numbered(entry.definition)
        for entry in loads.successful
        if entry.definition and (only is None or entry.target in only)
    }
    targets = [row for row in rows.transformations if str(row.name) in stored]
    return _compare(context, rows, targets, stored, is_in_step=False)


def definition_notes(context: Context, targets: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Return what is known of the definitions of targets: rows of an older SELECT, and what was accepted.

    Args:
        context: Project, control database.
        targets: The targets, as `schema.table`; other names have no notes.

    Returns:
        Target → its notes, a sentence each; only targets that have any.
    """
    rows, loads = context.store.read_part(targets=targets).usable, context.store.latest_loads(targets)
    changes = recorded_changes(context, rows, loads, targets)
    notes: dict[str, list[str]] = {target: [changes[target].sentence] for target in targets if target in changes}
    for entry in context.store.definitions(tuple(targets)):
        if entry.accepted_at is not None:
            notes.setdefault(entry.target, []).append(
                f"rows of an older SELECT were accepted at {entry.accepted_at:%Y-%m-%d %H:%M} UTC by "
                f"{entry.accepted_by}: {entry.reason}"
            )
    return {target: tuple(sentences) for target, sentences in notes.items()}


def _compare(
    context: Context,
    rows: ControlRows,
    targets: Sequence[TransformationRow],
    stored: Mapping[str, tuple[int, str]],
    *,
    is_in_step: bool,
) -> Mapping[str, DefinitionChange]:
    if not targets:
        return {}
    hashes = select_hashes(targets, rows, context.project, context.profile.dialect, is_in_step=is_in_step)
    today_of = {str(row.name): row_definition(hashes[row.name], row) for row in targets if row.name in hashes}
    changed = [
        target
        for target, (number, newest) in stored.items()
        if newest and (is_redefined(number) or today_of.get(target, newest) != newest)
    ]
    entries = known_definitions(context, changed) if changed else {}
    found = {}
    for row in targets:
        today = today_of.get(str(row.name))
        change = find_change(row, stored[str(row.name)], today, entries)
        if change is not None:
            found[change.target] = change
    return found


def known_definitions(context: Context, targets: Iterable[str]) -> Entries:
    """Return what the control database knows of the definitions of targets."""
    entries = context.store.definitions(tuple(targets))
    return {(entry.target, entry.number, entry.definition): entry for entry in entries}


def find_change(
    row: TransformationRow, stored: tuple[int, str], today: str | None, entries: Entries
) -> DefinitionChange | None:
    """Compare what derived the rows of one target with its SELECT of today.

    Args:
        row: Its row.
        stored: Number and hash of what derived its newest rows.
        today: Hash of what its next load derives rows by; None: unknown.
        entries: What is known of its definitions.
    """
    target = str(row.name)
    number, newest = stored
    if not newest:  # a materialized view, or loaded by an earlier version of Sluice
        return None
    is_whole = row.increment is Increment.FULL
    if today is not None and today != newest:
        pending = next_number(number)
        entry = entries.get((target, pending, today))
        is_accepted = entry is not None and entry.accepted_by is not None
        if is_accepted or row.on_definition_change is OnDefinitionChange.ACCEPT:
            return None
        return DefinitionChange(target, pending, today, row.on_definition_change, is_read_whole=is_whole)
    if is_whole or not is_redefined(number):  # a load that reads in full derives all that the sources hold
        return None
    return _standing(row, number, newest, entries.get((target, number, newest)))


def _standing(
    row: TransformationRow, number: int, definition: str, entry: DefinitionEntry | None
) -> DefinitionChange | None:
    """Return the change that a load has brought in; None when no row is older, or they were accepted."""
    change = DefinitionChange(str(row.name), number, definition, row.on_definition_change, is_loaded=True)
    if entry is None:
        return change
    if not entry.has_older:
        return None
    return replace(change, since=entry.noted_at, event_count=entry.event_count, older_count=entry.older_count)
