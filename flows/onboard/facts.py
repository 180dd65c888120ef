"""Ask a relation what it holds. All counting is done by the warehouse, over a sample when the table is large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from flows.onboard.model import Ask, ColumnFacts, Facts, Offer
from metadata_sync.rows.names import quote_identifier, quote_identifiers

SAMPLE: Final = 200_000
"""Rows that columns are counted over. They are the first ones, whole: a random sample would hide what is double."""

_BATCH: Final = 40


def facts_of(offer: Offer, columns: Sequence[tuple[str, str]]) -> Facts:
    """Count the rows of an offer, and the values of its columns.

    Args:
        offer: What is asked.
        columns: Name and type of each column.
    """
    row_count = _number(offer.ask(f"SELECT count(*) FROM {offer.relation} AS t"))
    sample = sample_of(offer)
    landings = tuple(_number(offer.ask(f"SELECT count(*) FROM {landing} AS t")) for landing in offer.landings)
    counted: list[ColumnFacts] = []
    for start in range(0, len(columns), _BATCH):
        counted += _columns(offer.ask, sample, columns[start : start + _BATCH])
    return Facts(tuple(counted), row_count, min(row_count, SAMPLE), landings or (row_count,))


def sample_of(offer: Offer, rows: int = SAMPLE) -> str:
    """Return the first rows of an offer as a table expression."""
    return f"(SELECT * FROM {offer.relation} AS s LIMIT {rows})"


def distinct_counts(ask: Ask, relation: str, sets: Sequence[Sequence[str]]) -> list[int]:
    """Return how many different combinations each set of columns has.

    Args:
        ask: Runs queries.
        relation: A table expression.
        sets: Names of columns.
    """
    found: list[int] = []
    for start in range(0, len(sets), _BATCH):
        part = sets[start : start + _BATCH]
        counts = [
            f"SELECT {number} AS n, count(*) AS c FROM "
            f"(SELECT DISTINCT {quote_identifiers(names)} FROM {relation} AS r) AS d{number}"
            for number, names in enumerate(part)
        ]
        by_number = {int(number): int(count) for number, count in ask(" UNION ALL ".join(counts))}
        found += [by_number[number] for number in range(len(part))]
    return found


def _columns(ask: Ask, sample: str, columns: Sequence[tuple[str, str]]) -> Iterable[ColumnFacts]:
    parts = []
    for name, type_ in columns:
        quoted = quote_identifier(name)
        text = as_text(quoted, type_)
        distinct = quoted if _is_comparable(type_) else text
        parts += [f"count({quoted})", f"count(DISTINCT {distinct})", f"avg(length({text}))"]
    (counts,) = ask(f"SELECT count(*), {', '.join(parts)} FROM {sample} AS t")
    total = int(counts[0])
    for number, (name, type_) in enumerate(columns):
        present, distinct, length = counts[1 + 3 * number : 4 + 3 * number]
        yield ColumnFacts(name, type_, total - int(present), int(distinct), float(length or 0))


def as_text(quoted: str, type_: str) -> str:
    """Return a column as text; Redshift casts no boolean to text."""
    if type_.lower() in {"bool", "boolean"}:
        return f"CASE {quoted} WHEN true THEN 'true' WHEN false THEN 'false' END"
    return f"CAST({quoted} AS VARCHAR)"


def _is_comparable(type_: str) -> bool:
    return not any(word in type_.lower() for word in ("json", "struct", "map", "[]", "super"))


def _number(rows: Sequence[Sequence[object]]) -> int:
    return int(str(rows[0][0]))
