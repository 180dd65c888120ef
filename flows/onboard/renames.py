"""Names for columns that a source calls as no column of a target may be called, such as `Order ID`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from sqlglot.dialects.duckdb import DuckDB

from flows.onboard.model import Offer, Read
from metadata_sync.rows.names import MAX_IDENTIFIER_LENGTH, is_column_name, is_identifier, quote_identifier
from metadata_sync.rows.resolve import RESERVED_PREFIX

_ROOM: Final = 4
"""Characters that are kept for a number, where two columns would have one name."""


def new_names(names: Sequence[str]) -> dict[str, str]:
    """Return the name of each column in the target → its name in the source, in their order.

    >>> new_names(["Order ID", "order_id", "Name", "2b", "%"])
    {'order_id_2': 'Order ID', 'order_id': 'order_id', 'Name': 'Name', 'c_2b': '2b', 'column': '%'}
    """
    taken = {name.lower() for name in names if _is_usable(name)}
    found: dict[str, str] = {}
    for name in names:
        new = name if _is_usable(name) else _free(_made_of(name), taken)
        taken.add(new.lower())
        found[new] = name
    return found


def with_names(offer: Offer, columns: Sequence[tuple[str, str]]) -> tuple[Offer, list[tuple[str, str]]]:
    """Return an offer and its columns by names that a target may have; a SELECT gives them where they are others."""
    names = new_names([name for name, _ in columns])
    renamed = {new: old for new, old in names.items() if new != old}
    if not renamed or offer.source is None:
        return offer, list(columns)
    relation = _renaming(offer.relation, names)
    landings = tuple(_renaming(landing, names) for landing in offer.landings)
    read = Read(str(offer.source.name), is_driving=True, confidence=0.95, evidence="the only table")
    select = _select(str(offer.source.name), names)
    found = replace(offer, relation=relation, landings=landings, select=select, reads=(read,), renamed=renamed)
    return found, [(new, type_) for new, (_, type_) in zip(names, columns, strict=True)]


def with_file_column(offer: Offer, column: str) -> Offer:
    """Return an offer whose SELECT, where it has one, keeps the column that names the file of each row."""
    if not offer.select:
        return offer
    head, _, table = offer.select.rpartition("\nfrom ")
    return replace(offer, select=f"{head},\n    s.{_plain(column)}\nfrom {table}")


def _is_usable(name: str) -> bool:
    return is_column_name(name) and not name.lower().startswith(RESERVED_PREFIX)


def _made_of(name: str) -> str:
    text = re.sub(r"\W+", "_", name).strip("_").lower()[: MAX_IDENTIFIER_LENGTH - _ROOM] or "column"
    return f"c_{text}" if text[0].isdigit() else text


def _free(name: str, taken: set[str]) -> str:
    return next(text for number in count(1) if (text := name if number == 1 else f"{name}_{number}") not in taken)


def _renaming(relation: str, names: Mapping[str, str]) -> str:
    listed = ", ".join(f"o.{quote_identifier(old)} AS {quote_identifier(new)}" for new, old in names.items())
    return f"(SELECT {listed} FROM {relation} AS o)"


def _select(table: str, names: Mapping[str, str]) -> str:
    lines = [
        f"    s.{_plain(old)}" if new == old else f"    s.{_plain(old)} as {_plain(new)}" for new, old in names.items()
    ]
    return "select\n" + ",\n".join(lines) + f"\nfrom {table} as s\n"


def _plain(name: str) -> str:
    """Return a name as a person writes it in a SELECT: quoted where it must be."""
    is_word = name.upper() in DuckDB.Tokenizer.KEYWORDS
    return name if is_identifier(name) and not is_word else quote_identifier(name)
