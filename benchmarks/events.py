"""The events that loads are measured with: a first delivery, then a small one of changes, new keys and late events.

Every delivery has its own day of `landed_at`, its rows a millisecond apart; `changed_at` orders a key's history. A
key's content differs from one event to the next, so that every way of loading must come to the same versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

COLUMNS = ("id", "name", "city", "segment", "amount", "score", "is_open", "changed_at")
CONTENT = COLUMNS[1:-1]
FIRST_LANDED = "2026-02-01"
DELTA_LANDED = "2026-02-02"
REPLAY_LANDED = "2026-02-03"

_CHANGED_EVERY = 100  # one key in so many changes
_NEW_EVERY = 1000  # one new key per so many
_FEW = 1000
_LATE_EVERY = 10  # one change in so many is late
_TABLE = """
    create table raw.{table} (
        id bigint, name varchar(50), city varchar(50), segment varchar(20), amount decimal(12, 2), score integer,
        is_open boolean, changed_at timestamp, landed_at timestamp
    )
"""


@dataclass(frozen=True, slots=True)
class Events:
    """SQL that DuckDB and PostgreSQL both run.

    Attributes:
        keys: Number of business keys in the first delivery.
        events_per_key: Events of each of them.
        table: In schema raw.
    """

    keys: int
    events_per_key: int = 1
    table: str = "events"

    def first(self) -> Sequence[str]:
        """Create the source with the first delivery, and its index where a warehouse needs one."""
        deliveries = [self._insert(f"generate_series(1, {self.keys})", turn) for turn in range(self.events_per_key)]
        return [_TABLE.format(table=self.table), *deliveries]

    def delta(self, *, late: bool = False, landed: str = DELTA_LANDED) -> Sequence[str]:
        """Add a delivery: 1 % of the keys changed and 0.1 % are new; with `late` a tenth of the changes came late."""
        changed = f"generate_series({_CHANGED_EVERY}, {self.keys}, {_CHANGED_EVERY})"
        new = f"generate_series({self.keys + 1}, {self.keys + self.keys // _NEW_EVERY})"
        is_late = f"(id / {_CHANGED_EVERY}) % {_LATE_EVERY} = 0"
        if not late:
            return [self._insert(changed, 10, landed), self._insert(new, 10, landed)]
        return [
            self._insert(changed, 10, landed, where=f"not ({is_late})"),
            self._insert(changed, -10, landed, where=is_late),
            self._insert(new, 10, landed),
        ]

    @property
    def delta_rows(self) -> int:
        """Rows of a delta."""
        return self.keys // _CHANGED_EVERY + self.keys // _NEW_EVERY

    def _insert(self, ids: str, turn: int, landed: str = FIRST_LANDED, where: str = "1 = 1") -> str:
        return f"""
            insert into raw.{self.table}
            select
                id, 'Customer ' || id, 'City ' || ((id + {turn}) % 500), 'Segment ' || (id % 7), id % 1000 + {turn},
                id % 100, id % 2 = 0, timestamp '2026-01-01' + (id % 86400) * interval '1 second'
                + {turn} * interval '1 day', timestamp '{landed}' + id * interval '1 millisecond'
            from {ids} as ids(id)
            where {where}
        """


@dataclass(frozen=True, slots=True)
class Delivery:
    """One more delivery: of which events, when, and whether a tenth of its changes came late."""

    events: Events
    landed: str = DELTA_LANDED
    is_late: bool = False


def few(events: Events) -> Events:
    """Return the same with a thousand keys, beside it."""
    return replace(events, keys=_FEW, table=f"{events.table}_few")


def deliver_newest_only(landed: str, table: str = "events") -> Sequence[str]:
    """Let dbt's own ways read the delivery that landed last."""
    feed = _feed(table)
    return [
        f"drop view if exists {feed}",
        f"create view {feed} as select * from raw.{table} where landed_at >= timestamp '{landed}'",
    ]


def deliver_everything(table: str = "events") -> Sequence[str]:
    """Let dbt's own ways read the newest row of every key."""
    feed = _feed(table)
    newest = f"select id, max(changed_at) as changed_at from raw.{table} group by id"
    return [
        f"drop view if exists {feed}",
        f"drop table if exists {feed}_rows",
        f"""
            create table {feed}_rows as
            select events.* from raw.{table} as events
            join ({newest}) as newest on events.id = newest.id and events.changed_at = newest.changed_at
        """,
        f"create view {feed} as select * from {feed}_rows",
    ]


def wrong_rows(found: str, expected: str) -> str:
    """Count the rows in which two queries differ, either way; both hold no row twice."""
    return f"""
        select (select count(*) from ({found} except {expected}) as gone)
            + (select count(*) from ({expected} except {found}) as missing)
            + abs((select count(*) from ({found}) as found) - (select count(*) from ({expected}) as expected))
    """


def expected_versions() -> str:
    """What an SCD2 of all events must hold, by a plain window over all of them."""
    distinct = f"select distinct {', '.join(COLUMNS)} from raw.events"
    following = "lead(changed_at) over (partition by id order by changed_at)"
    return f"select {', '.join(COLUMNS)}, changed_at as valid_from, {following} as valid_to from ({distinct}) as events"


def expected_newest() -> str:
    """What an SCD1 of all events must hold."""
    return f"select {', '.join(COLUMNS)} from ({expected_versions()}) as versions where valid_to is null"


def _feed(table: str) -> str:
    return f"raw.{table.replace('events', 'feed')}"
