"""Find the shortest sets of columns that identify a row, and rank them as a person would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Final

from flows.onboard.facts import distinct_counts, sample_of
from flows.onboard.model import Facts, Offer
from flows.onboard.names import Role, is_ordinal, role
from metadata_sync.rows.names import quote_identifier, quote_identifiers

LARGEST: Final = 5
"""Columns of a key at most: longer ones are found by people."""

_TRIED: Final = 240
"""Sets of one size that are counted, the likeliest first."""
_SEARCHED: Final = 20_000
_NUMBERED: Final = 1.5
"""What a parent's identifier and the number of the row within it are worth together."""
_KEPT: Final = 0.5
"""Share of the values that could differ and stay when a key returns, of a column that belongs to the key."""
_COUNTED: Final = 8
"""Keys that are counted over all landings."""
_LONG_ENOUGH: Final = 3
"""Columns from which on no longer key is looked for, once there is one."""
_PENALTY: Final = 0.8
"""What each further column of a key costs, in roles."""


@dataclass(frozen=True, slots=True)
class Key:
    """A set of columns that identifies each row of one landing.

    Attributes:
        columns: Its columns, in the order of the table.
        score: How much it looks like the key; the greater, the better.
        is_own_id: Whether it is one column that is called like the table's own identifier.
        repeats: Share of the rows of later landings whose key an earlier landing had: they are changes.
        is_row_number: Whether rows of one key have nothing else in common, as when each file counts from 1.
    """

    columns: tuple[str, ...]
    score: float
    is_own_id: bool
    repeats: float = 0.0
    is_row_number: bool = False


def find_keys(offer: Offer, facts: Facts) -> tuple[Key, ...]:
    """Return the keys of an offer, likeliest first; none when no set of a few columns is unique.

    A key is unique within each landing and never NULL. It is searched for among the first rows and then counted over
    all of them.
    """
    roles = {column.name: role(column, offer.name.table) for column in facts.columns if not column.nulls}
    eligible = {name: found for name, found in roles.items() if found > Role.NEVER}
    if not eligible or not facts.row_count:
        return ()
    landing = _largest(offer, facts)
    found: list[Key] = []
    for size in range(1, min(LARGEST, len(eligible)) + 1):
        sets = _sets(eligible, facts, size, [key.columns for key in found])
        found += _counted(offer, _unique(offer, landing, sets)[:_COUNTED], eligible)
        best = max((key.score for key in found), default=float(Role.NEVER))
        if found and (size >= _LONG_ENOUGH or best >= _bound(eligible, size + 1)):
            break
    return tuple(sorted(found, key=lambda key: (-key.score, len(key.columns), key.columns))[:_COUNTED])


def _bound(roles: Mapping[str, Role], size: int) -> float:
    """Return the greatest score that a key of a size could have."""
    best = sorted(roles.values(), reverse=True)[:size]
    return sum(best) / size - _PENALTY * (size - 1) + (_NUMBERED if any(map(is_ordinal, roles)) else 0)


def _largest(offer: Offer, facts: Facts) -> str:
    if len(offer.landings) < 2:  # noqa: PLR2004
        return sample_of(offer, _SEARCHED)
    number = max(range(len(facts.landing_counts)), key=facts.landing_counts.__getitem__)
    return f"(SELECT * FROM {offer.landings[number]} AS s LIMIT {_SEARCHED})"


def _sets(
    roles: Mapping[str, Role], facts: Facts, size: int, found: Sequence[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return the sets of a size that can be keys and hold no smaller one, likeliest first."""
    distinct = {column.name: column.distinct for column in facts.columns}
    least = min(facts.sampled_count, _SEARCHED, max(facts.landing_counts))
    names = [name for name, part in roles.items() if size == 1 or part > Role.MEASURE]
    sets = [
        names
        for names in combinations(names, size)
        if prod(distinct[name] for name in names) >= least and not any(set(key) <= set(names) for key in found)
    ]
    return sorted(sets, key=lambda names: -_score(names, roles))[:_TRIED]


def _unique(offer: Offer, relation: str, sets: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    if not sets:
        return []
    rows = int(str(offer.ask(f"SELECT count(*) FROM {relation} AS t")[0][0]))
    counts = distinct_counts(offer.ask, relation, sets)
    return [names for names, count in zip(sets, counts, strict=True) if count == rows]


def _score(names: Sequence[str], roles: Mapping[str, Role]) -> float:
    parts = [int(roles[name]) for name in names]
    numbers_rows = max(parts) >= Role.ID and any(map(is_ordinal, names)) and len(names) > 1
    return sum(parts) / len(parts) - _PENALTY * (len(parts) - 1) + (_NUMBERED if numbers_rows else 0)


def _counted(offer: Offer, sets: Sequence[tuple[str, ...]], roles: Mapping[str, Role]) -> Iterator[Key]:
    """Yield the sets that are unique within every landing, not only among the first rows."""
    for names in sets:
        repeats = _repeats(offer, names)
        if repeats is not None:
            is_own = len(names) == 1 and roles[names[0]] is Role.OWN_ID
            numbers = repeats > 0 and not _is_anything_kept(offer, names, roles)
            yield Key(names, _score(names, roles) - (_NUMBERED if numbers else 0), is_own, repeats, numbers)


def _repeats(offer: Offer, names: Sequence[str]) -> float | None:
    """Return the share of rows whose key came before in another landing; None when a landing holds a key twice."""
    listed = quote_identifiers(names)
    parts = [f"SELECT {number} AS landing, {listed} FROM {part} AS p" for number, part in enumerate(offer.landings)]
    everything = " UNION ALL ".join(parts) or f"SELECT 0 AS landing, {listed} FROM {offer.relation} AS p"
    question = (
        f"SELECT coalesce(sum(n), 0), coalesce(sum(CASE WHEN n > landings THEN 1 ELSE 0 END), 0), count(*) FROM "
        f"(SELECT {listed}, count(*) AS n, count(DISTINCT landing) AS landings FROM ({everything}) AS a "
        f"GROUP BY {listed}) AS k"
    )
    ((rows, doubled, keys),) = offer.ask(question)
    if int(doubled):
        return None
    return (int(rows) - int(keys)) / int(rows) if int(rows) else 0.0


def _is_anything_kept(offer: Offer, names: Sequence[str], roles: Mapping[str, Role]) -> bool:
    """Tell whether some other column mostly stays as it was when a key returns, and is no constant."""
    others = [name for name in roles if name not in names]
    if not others:
        return True
    listed = quote_identifiers(names)
    everything = " UNION ALL ".join(f"SELECT * FROM {part} AS p" for part in offer.landings)
    texts = [f"CAST({quote_identifier(name)} AS VARCHAR)" for name in others]
    kept = ", ".join(f"CASE WHEN min({text}) = max({text}) THEN 1 ELSE 0 END AS k{n}" for n, text in enumerate(texts))
    shares = ", ".join(f"avg(k{n} * 1.0)" for n in range(len(others)))
    ((*found,),) = offer.ask(
        f"SELECT {shares} FROM (SELECT {kept} FROM ({everything}) AS a GROUP BY {listed} HAVING count(*) > 1) AS k"
    )
    chances = offer.ask(" UNION ALL ".join(_chance(n, text, everything) for n, text in enumerate(texts)))
    by_number = {int(number): float(chance or 1) for number, chance in chances}
    return any(_is_kept(float(share or 0), by_number[number]) for number, share in enumerate(found))


def _chance(number: int, text: str, everything: str) -> str:
    """Return the query of how likely two rows have the same value by chance: the sum of squared shares."""
    return (
        f"SELECT {number} AS n, sum(c * 1.0 * c) / (sum(c * 1.0) * sum(c * 1.0)) AS chance FROM "
        f"(SELECT count({text}) AS c FROM ({everything}) AS a{number} GROUP BY {text}) AS v{number}"
    )


def _is_kept(share: float, chance: float) -> bool:
    """Tell whether values stay more often than they would by chance: most of what could differ does not.

    >>> _is_kept(1.0, 0.5), _is_kept(0.97, 0.9), _is_kept(0.82, 0.8), _is_kept(1.0, 1.0)
    (True, True, False, False)
    """
    return chance < 1 and (share - chance) / (1 - chance) >= _KEPT
