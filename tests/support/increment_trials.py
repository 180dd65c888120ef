"""Try a SELECT: does loading increments give the same target as one load of everything?

A trial runs in a world: two small sources, `lake.a` and `lake.b`, that grow by random rows. After each step it runs the
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
from typing import Any, Final, Protocol, TypeAlias

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


MOST_ROWS: Final = 100_000
"""Rows of one SELECT over a dozen rows of its sources; some random joins multiply without end."""


class TooManyRowsError(Exception):
    """A SELECT yields more rows than a trial looks at."""


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
class World:
    """Sources that grow: their rows after each step, in a schema of its own, and the groups that each step touches.

    Args:
        connection: DuckDB or PostgreSQL.
        seed: Decides the rows.
        driving: The sources that grow; the others have all their rows from the start.
        changes: Whether rows change in place, inside their group.
        steps: How many increments.
    """

    connection: Connection
    seed: int
    driving: frozenset[TableName]
    changes: bool
    steps: int = 3
    _highs: list[int] = field(default_factory=list)
    _touched: dict[tuple[object, ...], frozenset[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write all rows."""
        random = Random(f"{self.seed} {sorted(self.driving)}")
        draw = _Draw(random)
        rows: dict[TableName, list[list[str]]] = {A: [], B: []}
        for step in range(self.steps):
            # the first row of a window may be as old as the last one's end
            low = self._highs[-1] if self._highs else draw.start
            grown = self._grown(random) if step else set(rows)
            draw.begin_step(step)
            for name in sorted(grown):
                rows[name] += [draw.row(low) for _ in range(draw.size(step))]
            if self.changes and step and random.random() < draw.change_share:
                changed = random.choice(rows[random.choice(sorted(self.driving))])
                changed[3:4], changed[5:6] = [draw.number()], [str(low + 3)]
            self._highs.append(max(int(row[5]) for name in self.driving for row in rows[name]))
            self._write(step, rows)

    def _grown(self, random: Random) -> set[TableName]:
        """Return the sources that a later step adds rows to: all that are driving, or one of them."""
        return set(self.driving) if random.random() < 0.5 else {random.choice(sorted(self.driving))}

    def _write(self, step: int, rows: Mapping[TableName, Sequence[Sequence[str]]]) -> None:
        schema = self.schema(step)
        self.connection.execute(f"drop schema if exists {schema} cascade")
        self.connection.execute(f"create schema {schema}")
        for name, known in rows.items():
            values = ", ".join(f"({', '.join(row)})" for row in known)
            self.connection.execute(f"create table {schema}.{name.table} ({TYPES})")
            self.connection.execute(f"insert into {schema}.{name.table} values {values}")

    def schema(self, step: int) -> str:
        """Return the schema of the sources after a step."""
        driving = "".join(name.table for name in sorted(self.driving))
        return f"w{self.seed}_{driving}{'_changed' if self.changes else ''}_{step}"

    def window(self, step: int) -> tuple[int, int]:
        """Return the first and the last key of a step's window."""
        return (self._highs[step - 1] if step else 0), self._highs[step]

    def touched(self, mode: Mode, step: int) -> frozenset[Row]:
        """Return the groups of a step, and keep them in a table of the step's schema."""
        key = (step, tuple(sorted(mode.driving.items())))
        if key not in self._touched:
            low, high = self.window(step)
            parts = []
            for name, group in mode.driving.items():
                listed = ", ".join(f"{part} as sluice_group_{place}" for place, part in enumerate(group, start=1))
                parts.append(
                    f"select distinct {listed} from {self.schema(step)}.{name.table} where seq >= {low} and seq <= {high}"  # noqa: E501
                )
            table = self.touched_table(mode, step)
            self.connection.execute(f"create table {table} as {' union '.join(parts)}")
            found = self.connection.execute(f"select * from {table}").fetchall()
            self._touched[key] = frozenset(tuple(map(_plain, row)) for row in found)
        return self._touched[key]

    def touched_table(self, mode: Mode, step: int) -> str:
        """Return the name of the table of a step's groups."""
        number = sorted({len(group) for group in mode.driving.values()})
        return f"{self.schema(step)}.touched_{'_'.join(mode.group_key)}_{number[0]}"


class _Draw:
    """Draws the rows of one world; worlds differ in what increments bring, so that a SELECT is not right by luck.

    A world has a range of numbers (few or many, above and below the numbers that SELECTs compare with), and its
    increments are of one row or of several, in all groups or in one only: the other groups are not read then.

    Args:
        random: Decides everything.

    Attributes:
        start: The incremental key of the oldest rows.
        change_share: How often a step changes a row in place.
    """

    _RANGES = ((1, 4), (1, 4), (1, 2), (-2, 1), (0, 5))

    def __init__(self, random: Random) -> None:
        self._random = random
        self._low, self._high = random.choice(self._RANGES)
        self._dates = random.choice((_DATES, _DATES, _DATES[1:], _DATES[-2:]))
        self._texts = random.choice((_TEXTS, _TEXTS, _TEXTS[2:3], _TEXTS[2:]))
        self._first, self._later = random.choice(((6, 6), (5, 1), (3, 2), (1, 1), (9, 3)))
        self.start = random.randint(0, 1)
        self.change_share = random.choice((0.3, 0.3, 1.0))
        self._in_one_group = random.random() < 0.5
        self._nulls = random.choice((0.0, 0.25, 0.6))
        self._span = random.choice((0, 1, 3, 3))
        self._group: tuple[str, str] | None = None

    def begin_step(self, step: int) -> None:
        """Choose the group of a step's rows, if it has one."""
        self._group = (self._key(), self._random.choice(self._dates)) if step and self._in_one_group else None

    def size(self, step: int) -> int:
        """Return how many rows a step adds to a source."""
        most = self._later if step else self._first
        return self._random.randint((most + 1) // 2, most)

    def number(self) -> str:
        """Return a number."""
        return str(self._random.randint(self._low, self._high))

    def row(self, low: int) -> list[str]:
        """Return a row whose incremental key is `low` or more."""
        key, date = self._group or (self._key(), self._random.choice(self._dates))
        value = "null" if self._random.random() < 0.25 else self.number()
        return [
            self.number(),
            key,
            date,
            value,
            self._random.choice(self._texts),
            str(low + self._random.randint(0, 3)),
        ]

    def _key(self) -> str:
        return "null" if self._random.random() < 0.2 else self.number()


_DATES: Final = ("null", "date '2026-01-01'", "date '2026-01-02'", "date '2026-02-01'")
_TEXTS: Final = ("null", "''", "'x'", "'X'", "'y'")


class Trials:
    """Tries SELECTs in one database.

    Args:
        connection: DuckDB or PostgreSQL.
        dialect: Its SQL.
    """

    def __init__(self, connection: Connection, dialect: str = "duckdb") -> None:
        self._connection = connection
        self._dialect = dialect
        self._worlds: dict[tuple[object, ...], World] = {}
        self.yields_rows = False

    def differs(self, text: str, mode: Mode, seeds: Iterable[int]) -> str | None:
        """Return how the target differs from the SELECT over everything; None: in no world, at no step.

        `yields_rows` then says whether the SELECT yielded a row at all.

        Raises:
            Whatever the database raises for the SELECT.
        """
        select = parsed(text, self._dialect)
        self.yields_rows = False
        for seed in seeds:
            found = self._differs(select, mode, self._world(seed, mode))
            if found is not None:
                return f"seed {seed}, {found}"
        return None

    def _world(self, seed: int, mode: Mode) -> World:
        key = (seed, frozenset(mode.driving), mode.by_groups)
        if key not in self._worlds:
            self._worlds[key] = World(self._connection, seed, frozenset(mode.driving), changes=mode.by_groups)
        return self._worlds[key]

    def _differs(self, select: ParsedSelect, mode: Mode, world: World) -> str | None:
        target: Counter[Row] = Counter()
        for step in range(world.steps):
            plain = {name: f"{world.schema(step)}.{name.table}" for name in select.tables}
            whole, names = self._run(rewrite(select, plain))
            window = {name: self._window(name, mode, world, step) for name in mode.driving}
            read, _ = self._run(rewrite(select, {**plain, **window}))
            target = self._merge(target, read, names, mode, world, step)
            wanted = Counter(whole) if mode.range_key else Counter(set(whole))
            self.yields_rows = self.yields_rows or bool(whole)
            if target != wanted:
                gone, more = list((wanted - target).elements())[:2], list((target - wanted).elements())[:2]
                return f"step {step}: missing {gone}, too many {more}"
        return None

    @staticmethod
    def _window(name: TableName, mode: Mode, world: World, step: int) -> str:
        """Return what `sluice.increment()` writes for a driving source; the groups are staged, as a load stages them."""  # noqa: E501
        low, high = world.window(step)
        source = f"select sluice_source.* from {world.schema(step)}.{name.table} as sluice_source"
        if not mode.by_groups:
            return f"({source} where sluice_source.seq >= {low} and sluice_source.seq <= {high})"
        if not step:
            return f"({source} where sluice_source.seq is not null)"
        world.touched(mode, step)
        pairs = [
            f"({part} = sluice_touched.sluice_group_{place} or ({part} is null and "
            f"sluice_touched.sluice_group_{place} is null))"
            for place, part in enumerate(mode.driving[name], start=1)
        ]
        join = f"join {world.touched_table(mode, step)} as sluice_touched on {' and '.join(pairs)}"
        return f"({source} {join} where sluice_source.seq is not null)"

    def _run(self, text: str) -> tuple[list[Row], list[str]]:
        found = self._connection.execute(text)
        names = [column[0].lower() for column in found.description]
        rows = found.fetchmany(MOST_ROWS)
        if len(rows) == MOST_ROWS:
            raise TooManyRowsError
        return [tuple(map(_plain, row)) for row in rows], names

    @staticmethod
    def _merge(  # noqa: PLR0917 - a plain function of its arguments
        target: Counter[Row], read: Iterable[Row], names: list[str], mode: Mode, world: World, step: int
    ) -> Counter[Row]:
        low, high = world.window(step)
        if mode.range_key is not None:
            at = names.index(mode.range_key)
            kept_rows = {row: count for row, count in target.items() if row[at] is None or not low <= row[at] <= high}
            return Counter(kept_rows) + Counter(read)
        kept = set(target)
        if mode.by_groups and step:
            places = [names.index(name) for name in mode.group_key]
            touched = world.touched(mode, step)
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
