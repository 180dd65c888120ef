"""The SQL of `sluice diff` equals a comparison of rows one by one, over random pairs of tables."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import duckdb
import pytest

from flows.diff import statements
from flows.diff.statements import Compared

Row = tuple[Any, ...]
PAIRS = 250
TABLE = "create table {name} (id integer, part varchar, a integer, b varchar, c double, valid_from date, valid_to date)"


def some_rows(chance: random.Random) -> list[Row]:
    """Rows with NULLs, doubles, NaN and several versions of a key."""
    ids = [None, *range(6)]
    values = [None, 0, 1, float("nan")]
    return [
        (
            chance.choice(ids),
            chance.choice(["x", "y"]),
            chance.choice([None, 1, 2]),
            chance.choice([None, "", "b"]),
            chance.choice(values),
            f"2024-01-{chance.randint(1, 6):02}",
            chance.choice([None, "2024-01-09", "2024-02-09"]),
        )
        for _ in range(chance.randint(0, 14))
    ]


def changed_rows(rows: Sequence[Row], chance: random.Random) -> list[Row]:
    """The other table: most rows as they are, some changed, moved, gone or new."""
    found = []
    for row in rows:
        kind = chance.random()
        if kind < 0.12:
            continue
        place = chance.randint(2, 6) if kind < 0.4 else None
        other = some_rows(random.Random(chance.random())) or [row]
        found.append(row if place is None else (*row[:place], other[0][place], *row[place + 1 :]))
    return [*found, *(some_rows(chance)[:2] if chance.random() < 0.5 else [])]


def literals(rows: Sequence[Row]) -> str:
    """Rows as the text of VALUES: one statement is faster than one per row."""
    return ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    return f"'{value}'" if isinstance(value, str) or value != value else str(value)  # noqa: PLR0124 - NaN


def same(one: Any, other: Any) -> bool:
    return one == other or (one != one and other != other)  # noqa: PLR0124 - NaN


def by_hand(here: Sequence[Row], there: Sequence[Row], key: Sequence[int], content: Sequence[int], *, is_history: bool):  # type: ignore[no-untyped-def]
    """Compare row by row; places are those of columns, 5 and 6 the beginning and end of a version."""
    match = [*key, 5] if is_history else list(key)

    def usable(rows: Sequence[Row]) -> dict[Row, Row]:
        groups: dict[Row, list[Row]] = defaultdict(list)
        for row in rows:
            values = tuple(row[place] for place in match)
            if None not in values:
                groups[values].append(row)
        return {values: found[0] for values, found in groups.items() if len(found) == 1}

    ours, theirs = usable(here), usable(there)
    counts: Counter[str] = Counter()
    columns: Counter[int] = Counter()
    lone: dict[str, list[Row]] = {"only_here": [], "only_there": []}
    for values in ours.keys() | theirs.keys():
        one, other = ours.get(values), theirs.get(values)
        if one is None or other is None:
            lone["only_there" if one is None else "only_here"].append(other if one is None else one)  # type: ignore[arg-type]
            continue
        differing = [place for place in content if not same(one[place], other[place])]
        columns.update(differing)
        if differing:
            counts["changed"] += 1
        else:
            counts["equal" if not is_history or same(one[6], other[6]) else "moved"] += 1
    if is_history:
        sides = {}
        for kind, rows in lone.items():
            sides[kind] = Counter(repr([row[place] for place in [*key, *content]]) for row in rows)
        pairs = sum((sides["only_here"] & sides["only_there"]).values())
        counts["moved"] += pairs
        counts.update({kind: len(rows) - pairs for kind, rows in lone.items()})
    else:
        counts.update({kind: len(rows) for kind, rows in lone.items()})
    return counts, columns


@pytest.mark.parametrize("is_history", [False, True])
def test_totals_are_those_of_a_comparison_by_hand(is_history: bool) -> None:
    names = ("id", "part", "a", "b", "c", "valid_from", "valid_to")
    content = ("a", "b", "c") if is_history else ("a", "b", "c", "valid_from", "valid_to")
    compared = Compared("one", "other", ("id", "part"), content, frozenset(), is_history)
    seen: Counter[str] = Counter()
    with duckdb.connect() as connection:
        for seed in range(PAIRS):
            chance = random.Random(seed)
            here = some_rows(chance)
            there = changed_rows(here, chance)
            for name, rows in (("one", here), ("other", there)):
                connection.execute(f"drop table if exists {name}")
                connection.execute(TABLE.format(name=name))
                if rows:
                    connection.execute(f"insert into {name} values {literals(rows)}")
            counts, columns = by_hand(
                here, there, (0, 1), [names.index(name) for name in content], is_history=is_history
            )
            only_here, only_there, changed, moved, equal, *by_column = (
                connection.execute(statements.totals(compared)).fetchone() or ()
            )
            found = {
                "only_here": only_here,
                "only_there": only_there,
                "changed": changed,
                "moved": moved,
                "equal": equal,
            }
            assert found == {kind: counts[kind] for kind in found}, (seed, here, there)
            assert by_column == [columns[names.index(name)] for name in content], (seed, here, there)
            for kind in ("changed", "moved", "only_here", "only_there") if seed % 10 == 0 else ():
                shown = connection.execute(statements.examples(compared, kind, 100)).fetchall()
                assert len(shown) == found[kind]
            seen.update(counts)
    assert min(seen[kind] for kind in ("changed", "equal", "only_here", "only_there")) > PAIRS / 3
    assert seen["moved"] > PAIRS / 10 or not is_history


def test_rows_without_a_key_are_a_bag() -> None:
    compared = Compared("one", "other", (), ("a", "c"), frozenset(), is_history=False)
    with duckdb.connect() as connection:
        for seed in range(PAIRS):
            chance = random.Random(seed)
            here = [
                (chance.choice([None, 1]), chance.choice([None, float("nan"), 2.0]))
                for _ in range(chance.randint(0, 9))
            ]
            there = [row for row in here if chance.random() < 0.7] + here[: chance.randint(0, 2)]
            for name, rows in (("one", here), ("other", there)):
                connection.execute(f"create or replace table {name} (a integer, c double)")
                if rows:
                    connection.execute(f"insert into {name} values {literals(rows)}")
            both = sum((Counter(map(repr, here)) & Counter(map(repr, there))).values())
            assert connection.execute(statements.unkeyed(compared)).fetchone() == (len(here), len(there), both)


def test_a_sample_takes_the_same_keys_on_both_sides() -> None:
    compared = Compared("one", "one", ("id",), ("a",), frozenset(), is_history=False, share=0.1)
    with duckdb.connect() as connection:
        connection.execute("create table one as select i as id, i % 7 as a from range(20000) as t(i)")
        only_here, only_there, changed, _, equal, _ = connection.execute(statements.totals(compared)).fetchone() or ()
        assert (only_here, only_there, changed) == (0, 0, 0)
        assert 1700 < equal < 2300
        assert connection.execute(statements.key_faults(compared, "one")).fetchone() == (equal, 0, 0)
