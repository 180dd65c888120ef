"""Try a SELECT: does loading increments give the same target as one load of everything?

A trial makes two small sources, `lake.a` and `lake.b`, and lets them grow by random rows. After each step it runs the
SELECT with its driving sources replaced by what a load reads of them, as `sluice.increment()` writes it, merges the
rows into a target, and compares the target with the SELECT over the whole sources.

* `rows`: the target is the set of all rows that any window yielded. A business key of all columns is the strictest
  one: with any other key the target is a function of this set.
* `groups`: rows of a touched group that the SELECT yields no more leave the target, and its rows join it.
* an append without a business key: the target's rows between the first and the last key of the window are replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeAlias

from metadata_sync.rows.names import TableName
from metadata_sync.rows.vocabulary import Increment
from metadata_sync.sql import parse_select
from metadata_sync.sql.increments import IncrementRule
from metadata_sync.sql.parse import ParsedSelect
from metadata_sync.sql.rewrite import rewrite

A, B = TableName("lake", "a"), TableName("lake", "b")
COLUMNS = ("id", "k", "d", "v", "s", "seq")
TYPES = "id integer, k integer, d date, v integer, s varchar(9), seq integer"
Row: TypeAlias = tuple[Any, ...]


class Connection(Protocol):
    """What a trial asks of DuckDB and PostgreSQL alike."""

    def execute(self, query: str) -> Any: ...


@dataclass(frozen=True)
class Mode:
    """How the target reads its sources.

    Attributes:
        by_groups: `groups` or `rows`.
        driving: Driving source → its `recompute_by`.
        group_key: Output columns that carry the group.
        range_key: The incremental key of an append without a business key.
    """

    by_groups: bool
    driving: Mapping[TableName, Sequence[str]]
    group_key: Sequence[str] = ()
    range_key: str | None = None


@dataclass
class Trial:
    """Sources that grow, and the targets of SELECTs over them.

    Args:
        connection: DuckDB or PostgreSQL; `lake` is made anew in it.
        random: Decides everything.
        steps: How many increments.
    """

    connection: Connection
    random: Random
    steps: int = 3
    _next_id: int = field(default=1, init=False)

    def differs(self, text: str, mode: Mode, dialect: str = "duckdb") -> str | None:
        """Return how the target differs from the SELECT over everything; None: it does not, at any step.

        Raises:
            Whatever the database raises for the SELECT.
        """
        select, problems = parse_select(text, dialect)
        assert select is not None, problems
        self._start()
        target: Counter[Row] = Counter()
        low = 0
        for step in range(self.steps):
            self._grow(step, mode)
            high = self._greatest(mode)
            whole, names = self._run(text)
            reading = {
                name: self._window(name, mode, low, high, step) if name in mode.driving else str(name)
                for name in select.tables
            }
            windowed = rewrite(select, reading)
            read, _ = self._run(windowed)
            target = self._merge(target, read, names, mode, low, high, step)
            wanted = Counter(whole) if mode.range_key else Counter(set(whole))
            if target != wanted:
                gone, more = list((wanted - target).elements())[:2], list((target - wanted).elements())[:2]
                return f"step {step}: missing {gone}, too many {more}"
            low = high
        return None

    def _start(self) -> None:
        self._next_id = 1
        self.connection.execute("drop schema if exists lake cascade")
        self.connection.execute("create schema lake")
        for name in (A, B):
            self.connection.execute(f"create table {name} ({TYPES})")

    def _grow(self, step: int, mode: Mode) -> None:
        """Add rows to the driving sources; lookups have all their rows from the start."""
        for name in (A, B):
            if name in mode.driving:
                self._insert(name, step, self.random.randint(1, 4))
            elif step == 0:
                self._insert(name, step, self.random.randint(2, 6))
        if mode.by_groups and step and self.random.random() < 0.4:
            self._change(step, mode)

    def _insert(self, name: TableName, step: int, count: int) -> None:
        rows = []
        for _ in range(count):
            values = [
                str(self._next_id),
                self.random.choice(("null", "1", "1", "2", "2", "3")),
                self.random.choice(("null", "date '2026-01-01'", "date '2026-01-02'", "date '2026-02-01'")),
                self.random.choice(("null", "-4", "1", "2", "5")),
                self.random.choice(("null", "''", "'x'", "'X'", "'y'")),
                str(step * 10 + self.random.randint(0, 3)),
            ]
            self._next_id += 1
            rows.append(f"({', '.join(values)})")
        self.connection.execute(f"insert into {name} values {', '.join(rows)}")

    def _change(self, step: int, mode: Mode) -> None:
        """Change a row inside its group, as a source that is updated in place does."""
        name = self.random.choice(list(mode.driving))
        change = f"v = {self.random.randint(1, 9)}, seq = {step * 10 + 3}"
        self.connection.execute(f"update {name} set {change} where id = (select min(id) from {name})")

    def _greatest(self, mode: Mode) -> int:
        asked = " union all ".join(f"select max(seq) as seq from {name}" for name in mode.driving)
        return int(self.connection.execute(f"select max(seq) from ({asked}) as newest").fetchall()[0][0])

    def _window(self, name: TableName, mode: Mode, low: int, high: int, step: int) -> str:
        """Return what `sluice.increment()` writes for a driving source."""
        if not mode.by_groups:
            where = f"where sluice_source.seq >= {low} and sluice_source.seq <= {high}"
            return f"(select sluice_source.* from {name} as sluice_source {where})"
        join = ""
        if step:
            pairs = [
                f"(({part}) = sluice_touched.sluice_group_{place} or (({part}) is null and "
                f"sluice_touched.sluice_group_{place} is null))"
                for place, part in enumerate(mode.driving[name], start=1)
            ]
            join = f"join ({self._touched(mode, low, high)}) as sluice_touched on {' and '.join(pairs)}"
        return f"(select sluice_source.* from {name} as sluice_source {join} where sluice_source.seq is not null)"

    @staticmethod
    def _touched(mode: Mode, low: int, high: int) -> str:
        parts = []
        for name, group in mode.driving.items():
            listed = ", ".join(f"{part} as sluice_group_{place}" for place, part in enumerate(group, start=1))
            parts.append(f"select distinct {listed} from {name} where seq >= {low} and seq <= {high}")
        return " union ".join(parts)

    def _run(self, text: str) -> tuple[list[Row], list[str]]:
        found = self.connection.execute(text)
        names = [column[0].lower() for column in found.description]
        return [tuple(map(_plain, row)) for row in found.fetchall()], names

    def _merge(
        self,
        target: Counter[Row],
        read: Iterable[Row],
        names: list[str],
        mode: Mode,
        low: int,
        high: int,
        step: int,
    ) -> Counter[Row]:
        if mode.range_key is not None:
            at = names.index(mode.range_key)
            kept_rows = {row: count for row, count in target.items() if row[at] is None or not low <= row[at] <= high}
            return Counter(kept_rows) + Counter(read)
        kept = set(target)
        if mode.by_groups and step:
            places = [names.index(name) for name in mode.group_key]
            found = self.connection.execute(self._touched(mode, low, high)).fetchall()
            touched = {tuple(map(_plain, row)) for row in found}
            kept = {row for row in kept if tuple(row[place] for place in places) not in touched}
        elif mode.by_groups:
            kept = set()
        return Counter(kept | set(read))


def _plain(value: Any) -> Any:
    """Return a value that can be compared and hashed."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, dict):
        return tuple(sorted((str(key), _plain(item)) for key, item in value.items()))
    return value


def tries(connection: Connection, text: str, mode: Mode, seeds: Iterable[int], dialect: str = "duckdb") -> str | None:
    """Try a SELECT with several random sources; return the first difference."""
    for seed in seeds:
        found = Trial(connection, Random(seed)).differs(text, mode, dialect)
        if found is not None:
            return f"seed {seed}: {found}"
    return None


def rule_of(mode: Mode, dialect: str = "duckdb") -> IncrementRule:
    """Return what validate would ask of a SELECT that is read in a mode."""
    return IncrementRule(
        increment=Increment.GROUPS if mode.by_groups else Increment.ROWS,
        driving=mode.driving,
        output_group=mode.group_key,
        is_keyed=mode.range_key is None,
        range_key=mode.range_key,
        columns={A: COLUMNS, B: COLUMNS},
        dialect=dialect,
    )


def parsed(text: str, dialect: str = "duckdb") -> ParsedSelect:
    """Parse a SELECT that is known to be one."""
    select, problems = parse_select(text, dialect)
    assert select is not None, problems
    return select
