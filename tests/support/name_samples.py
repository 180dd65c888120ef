"""Names of columns that break careless SQL, each in every place of a load over three targets."""

from __future__ import annotations

import random
from typing import Any

from metadata_sync.rows.names import name_limit
from tests.support.type_project import Rows, target, window_source

ROLES = (1, 2, 1, 3, 3)
"""How many columns are incremental key, business key, event time, tracked and untracked."""


def names(dialect: str) -> list[str]:
    """Return names: reserved words, mixed case, other letters, and as long as the warehouse takes."""
    folds = dialect == "redshift"
    size = 50 if folds else name_limit(dialect).size  # PostgreSQL behind the stand-in cuts longer ones off
    return [
        *("order", "user", "select", "table", "end", "_x", "größe", "имя"),
        *(("ordername", "value_1") if folds else ("orderName", "Value_1")),
        *("l" * size, "l" * (size - 1) + "m", "ü" * (size // 2)),
    ]


def roles(dialect: str) -> list[list[list[str]]]:
    """Return the columns of each role, for each of three targets."""
    shuffled = names(dialect)
    found = []
    for seed in range(3):
        random.Random(seed).shuffle(shuffled)
        left = list(shuffled)
        found.append([[left.pop() for _ in range(count)] for count in ROLES])
    return found


def sources(dialect: str) -> list[str]:
    """Return the statements that make the sources, with one row each."""
    columns = ", ".join(f"{quoted(name)} bigint" for name in names(dialect))
    made = []
    for number in range(3):
        made.append(f"create table shop.names_{number} ({columns})")
        made.append(f"insert into shop.names_{number} values ({', '.join('1' for _ in names(dialect))})")
    return made


def changes(dialect: str) -> list[str]:
    """Return the statements that write the same keys again, with a greater value in every other column."""
    made = []
    for number, (_, key, *_) in enumerate(roles(dialect)):
        values = ", ".join("1" if name in key else "2" for name in names(dialect))
        made.append(f"insert into shop.names_{number} values ({values})")
    return made


def rows(dialect: str) -> Rows:
    """Return the rows of the three targets; the last one's SELECT is `select *`."""
    targets: list[dict[str, Any]] = []
    for number, (_, key, times, tracked, _) in enumerate(roles(dialect)):
        settings = {"business_key": key, "sequence_by": times, "scd_columns": tracked}
        targets.append(target(f"names_{number}", f"shop.names_{number}", load_type="scd2", **settings))
    keys = [window[0] for window, *_ in roles(dialect)]
    return {
        "sources": [window_source(f"names_{number}", key) for number, key in enumerate(keys)],
        "transformations": targets,
    }


def selects(dialect: str) -> dict[str, str]:
    """Return the SELECTs of `rows`."""
    listed = {
        number: ", ".join(f"n.{quoted(name)}" for role in columns for name in role)
        for number, columns in enumerate(roles(dialect))
    }
    return {f"names_{n}": f"select {'n.*' if n == 2 else listed[n]} from shop.names_{n} as n" for n in listed}


def quoted(name: str) -> str:
    """Quote a name."""
    return f'"{name}"'
