"""From what a table holds to the settings of its rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from flows.onboard.increments import TimeColumn, change_order, incremental_keys, times_that_go_back
from flows.onboard.keys import Key, find_keys
from flows.onboard.model import FORMAT_OPTIONS, Choice, Facts, Offer, Proposal
from flows.onboard.names import words
from flows.onboard.renames import with_file_column
from metadata_sync.errors import RequestError
from metadata_sync.rows.names import TableName

_EVENT: Final = re.compile(
    r"fact|event|events|log|logs|transaction|transactions|clicks|click|view|views|measurement|measurements|reading|"
    r"readings|flights|payment|payments|movement|movements|trip|trips|visit|visits|message|messages|audit|history"
)
_FEW_ROWS: Final = 20
_SOME_ROWS: Final = 100
_CLOSE: Final = 0.7
"""Roles within which another key looks as likely."""

_USABLE: Final = 0.5
"""Least confidence of a column that windows are cut by."""
TOLD: Final = 0.97


def propose(offer: Offer, target: TableName, facts: Facts) -> Proposal:
    """Propose the settings of a target.

    Args:
        offer: What is to be loaded.
        target: The table to fill.
        facts: What the offer's rows show.
    """
    keys = find_keys(offer, facts)
    key = keys[0] if keys else None
    load_type = _load_type(offer, facts, key)
    if not facts.row_count:
        message = f"{offer.shown} has no rows, and keys are found in rows."
        raise RequestError(message, "Onboard it when rows have come, or write its row by hand.")
    has_updates = load_type.value != "append"
    choices = [_told(offer, facts, load_type), *_business_key(offer, facts, keys, load_type)]
    found = _declared_key(offer) if offer.is_declared else incremental_keys(offer, facts, has_updates=has_updates)
    going_back = times_that_go_back(offer, facts, key.columns) if key is not None else frozenset()
    if offer.select and not offer.renamed:  # one that only renames reads its folder as a copy does
        choices += _select_windows(offer, facts, key, has_updates=has_updates)
    else:
        by_file = tuple(_by_file(offer, facts, found, key, going_back))
        taken = {choice.setting for choice in by_file}
        windows = _windows(facts, found, key, going_back, has_updates=has_updates)
        choices += [*(choice for choice in windows if choice.setting not in taken), *by_file]
        column = next((str(choice.value) for choice in by_file if choice.setting == "file_column"), None)
        offer = offer if column is None else with_file_column(offer, column)
    choices += [*_dependencies(offer), *_format(offer)]
    return Proposal(offer, target, facts, tuple(_told(offer, facts, choice) for choice in choices))


def _declared_key(offer: Offer) -> tuple[TimeColumn, ...]:
    name = None if offer.source is None else offer.source.incremental_key
    return () if name is None else (TimeColumn(name, TOLD, "is the key of the source's row"),)


def _told(offer: Offer, facts: Facts, choice: Choice) -> Choice:
    """Return what the offer itself says of a setting; an expression in the place of columns says nothing."""
    if choice.setting not in offer.told:
        return choice
    value = offer.told[choice.setting]
    columns = {column.name.lower() for column in facts.columns}
    if isinstance(value, list) and not {str(name).lower() for name in value} <= columns:
        evidence = f"{choice.evidence}; {offer.shown} names {', '.join(map(str, value))}, which is no column"
        return replace(choice, evidence=evidence, confidence=min(choice.confidence, 0.5))
    return Choice(choice.setting, offer.told[choice.setting], TOLD, f"{offer.shown} says so")


def _business_key(offer: Offer, facts: Facts, keys: Sequence[Key], load_type: Choice) -> Iterator[Choice]:
    if not keys:
        is_needed = load_type.value != "append"
        evidence = "no set of up to five columns that are never NULL is unique" if facts.row_count else "it has no rows"
        yield Choice("business_key", None, 0.2 if is_needed else 0.5, evidence)
        return
    best = keys[0]
    rivals = [key for key in keys[1:] if best.score - key.score < _CLOSE and len(key.columns) <= len(best.columns)]
    landings = len(offer.landings)
    evidence = f"unique in {facts.row_count:,} rows" if landings < 2 else f"unique within each of {landings} landings"  # noqa: PLR2004
    if best.is_own_id:
        evidence += ", called like the table's own"
    if best.is_row_number:
        evidence += ", but rows of one key have nothing else in common: it may number the rows of each file"
    if rivals:
        evidence += f"; {len(rivals)} other keys look as likely"
    others = tuple(list(key.columns) for key in keys[1:])
    yield Choice(
        "business_key", list(best.columns), _key_confidence(best, rivals, facts), f"{evidence}, never NULL", others
    )


def _key_confidence(best: Key, rivals: Sequence[Key], facts: Facts) -> float:
    if best.is_row_number:
        return 0.4
    if best.is_own_id:
        confidence = 0.96 if len(facts.landing_counts) > 1 else 0.93
    elif best.score >= 2:  # noqa: PLR2004
        confidence = 0.85
    elif best.score >= 0:
        confidence = 0.7
    else:
        confidence = 0.4
    if rivals and not best.is_own_id:
        confidence = min(confidence, 0.65)
    if facts.row_count < _FEW_ROWS:
        return round(confidence - 0.15, 2)
    return round(confidence - (0.05 if facts.row_count < _SOME_ROWS else 0), 2)


def _load_type(offer: Offer, facts: Facts, key: Key | None) -> Choice:
    names = {column.name.lower() for column in facts.columns}
    if key is None:
        return Choice("load_type", "append", 0.5, "without a key rows can only be added", ("scd1",))
    if len(offer.landings) > 1 and key.repeats > 0:
        evidence = f"{key.repeats:.0%} of the rows are of keys that came before: rows change"
        return Choice("load_type", "scd1", 0.75, f"{evidence} (scd2 keeps their history)", ("scd2", "append"))
    if len(offer.landings) > 1:
        return Choice("load_type", "append", 0.85, f"no key came twice in {len(offer.landings)} landings", ("scd1",))
    called = next((word for word in words(offer.name.table) if _EVENT.fullmatch(word)), None)
    if called:
        return Choice("load_type", "append", 0.7, f"is called {called}: events do not change", ("scd1", "scd2"))
    if any(word in name for name in names for word in ("updated", "modified", "changed")):
        return Choice("load_type", "scd1", 0.8, "a column says when a row changed (scd2 keeps history)", ("scd2",))
    return Choice("load_type", "scd1", 0.6, "rows have a key and may change (scd2 keeps history)", ("scd2", "append"))


def _windows(
    facts: Facts, found: Sequence[TimeColumn], key: Key | None, going_back: Collection[str], *, has_updates: bool
) -> Iterator[Choice]:
    """Yield what a run reads, and what orders the changes of a key."""
    incremental = next((item for item in found if item.confidence >= _USABLE), None)
    others = tuple(item.name for item in found if item is not incremental)
    name = None if incremental is None else incremental.name
    order = None if key is None else change_order(facts, name, going_back)
    is_whole = incremental is None or (key is not None and order is None)
    if incremental is not None:
        yield Choice("incremental_key", incremental.name, incremental.confidence, incremental.evidence, others)
    elif key is None:
        evidence = "no column says when a row came, and no key tells a row that was read before"
        yield Choice("incremental_key", None, 0.2, evidence, others)
    if is_whole and key is not None and not has_updates:
        evidence = (
            "no column says when a row came: the table is read whole, and rows that are new by their key are added"
        )
        yield Choice("increment", "full", 0.75, evidence, ("rows",))
    elif is_whole and key is not None:
        evidence = "no column says when a row came" if incremental is None else "no column orders the changes of a key"
        yield Choice("increment", "full", 0.75, f"{evidence}: the table is read whole when it changed", ("rows",))
    if order is not None:
        evidence = order.evidence if has_updates else f"{order.evidence}; events do not change, it only breaks ties"
        yield Choice("sequence_by", [order.name], order.confidence if has_updates else 0.9, evidence)


def _select_windows(offer: Offer, facts: Facts, key: Key | None, *, has_updates: bool) -> Iterator[Choice]:
    """Yield what a run reads of a SELECT's sources: windows are cut by a column of the driving one."""
    order = None if key is None else change_order(facts, None)
    if offer.aggregates:
        evidence = "a row is made of several rows of its sources: they are read whole (groups reads touched ones only)"
        yield Choice("increment", "full", 0.8, evidence, ("groups",))
    elif not offer.has_windows:
        yield Choice("increment", "full", 0.8, f"{offer.reads[0].table} has no incremental key: it is read whole")
    elif key is not None and order is None:
        yield Choice("increment", "full", 0.7, "no column orders the changes of a key: the sources are read whole")
    elif order is not None:
        yield Choice("sequence_by", [order.name], order.confidence if has_updates else 0.9, order.evidence)


def _by_file(
    offer: Offer, facts: Facts, found: Sequence[TimeColumn], key: Key | None, going_back: Collection[str]
) -> Iterator[Choice]:
    """Yield what knows rows by their files, where no column says which row of a key is newer, or there is no key."""
    is_lake = offer.source is not None and offer.source.location is not None and not offer.is_declared
    is_read_in_windows = any(item.confidence >= _USABLE for item in found)
    has_order = key is not None and change_order(facts, None, going_back) is not None
    if not is_lake or is_read_in_windows or has_order or (key is not None and not key.repeats):
        return
    names = {column.name.lower() for column in facts.columns}
    name = next(text for text in ("source_file", "_file", "name_of_file") if text not in names)
    if key is None:
        yield Choice(
            "file_column", name, 0.5, "neither key nor time: rows of a file that is written again are replaced"
        )
        yield Choice("on_removed_files", "remove", 0.5, "rows that are known by their file go with it")
        yield Choice("incremental_key", None, 0.5, "no column says when a row came")
        return
    yield Choice("file_column", name, 0.6, "no column says which row of a key is newer, the names of the files may")
    yield Choice("sequence_by", [name], 0.6, "the file whose name is the greatest holds what is valid")


def _format(offer: Offer) -> Iterator[Choice]:
    if offer.written is not None:
        options = offer.written.options.model_dump(exclude_defaults=True)
        yield Choice(FORMAT_OPTIONS, options, offer.written.confidence, offer.written.evidence)


def _dependencies(offer: Offer) -> Iterator[Choice]:
    if not offer.select:
        return
    value: list[Any] = [{"table": read.table, "driving": read.is_driving} for read in offer.reads]
    evidence = "; ".join(f"{read.table}: {read.evidence}" for read in offer.reads)
    yield Choice("dependencies", value, min(read.confidence for read in offer.reads), evidence)
