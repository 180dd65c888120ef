"""Random SELECTs against the increment rules: what is accepted must load right, what is refused is counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from threading import Event, Thread
from typing import Final

import duckdb
import psycopg

from metadata_sync.sql import parse_select
from metadata_sync.sql.increments import increment_problems
from tests.support.increment_trials import Connection, Mode, TooManyRowsError, Trials, rule_of
from tests.support.random_selects import RandomSelect, random_mode

_PARTICULARS: Final = re.compile(r"Line \d+: the SELECT |, but .*|\(.*\)|calls .*?,| by GROUP BY.*")
_TOO_LARGE: Final = (
    TooManyRowsError,
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    psycopg.errors.QueryCanceled,
)


@dataclass
class Survey:
    """Counts over many cases.

    Attributes:
        connection: DuckDB or PostgreSQL.
        dialect: Its SQL.
        accepted_tries: Worlds in which an accepted SELECT is loaded.
        refused_tries: Worlds in which a refused SELECT is loaded, to find those that load right all the same.
        worlds: Random sources that the cases share.
        patience: Seconds after which a case is broken off; see also `TooManyRowsError`.
        wrong: Accepted SELECTs that loaded wrong.
        counts: Cases by outcome.
        reasons: First reason of each refused SELECT.
        missed: Reasons of refused SELECTs that loaded right in every world.
        constructs: How many SELECTs hold each construct.
    """

    connection: Connection
    dialect: str = "duckdb"
    accepted_tries: int = 3
    refused_tries: int = 0
    worlds: int = 40
    patience: float = 60
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    constructs: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Prepare the worlds."""
        self._trials = Trials(self.connection, self.dialect)

    def run(self, numbers: Iterable[int]) -> Survey:
        """Look at the cases with these numbers."""
        for number in numbers:
            self._case(number)
        return self

    @property
    def missed_share(self) -> float:
        """The part of the SELECTs that load right, by trying, that the rules refuse."""
        right = self.counts["accepted"] + self.counts["refused, loads right"]
        return self.counts["refused, loads right"] / right if right else 0.0

    def report(self) -> str:
        """Return the figures for a person."""
        lines = [f"{count:>7,} {name}" for name, count in sorted(self.counts.items())]
        lines += [f"{len(self.constructs):>7,} constructs", f"{self.missed_share:>7.1%} of what loads right is refused"]
        lines += ["", "refused, of which load right by trying:"]
        lines += [f"{count:>7,} {self.missed[name]:>6,} {name}" for name, count in self.reasons.most_common()]
        return "\n".join([*lines, *self.wrong])

    def _case(self, number: int) -> None:
        random = Random(number)
        mode = random_mode(random)
        writer = RandomSelect(random, mode, self.dialect)
        text = writer.text()
        select, problems = parse_select(text, self.dialect)
        assert select is not None, (text, problems)
        assert not problems, (text, problems)
        driving = {name: group for name, group in mode.driving.items() if name in select.tables}
        mode = Mode(mode.by_groups, driving, mode.group_key)
        if not driving:
            self.counts["reads no driving source"] += 1
            return
        self.constructs.update(writer.used)
        found = increment_problems(select, rule_of(mode, self.dialect))
        tries = self.refused_tries if found else self.accepted_tries
        try:
            with self._breaking_off():
                difference = self._trials.differs(
                    text, mode, [(number + place) % self.worlds for place in range(tries)]
                )
        except _TOO_LARGE:
            self.counts[f"{'refused' if found else 'accepted'}, broken off"] += 1
            return
        except (duckdb.Error, psycopg.Error):  # e.g. PostgreSQL has no full join by inequality
            self.counts["not in the warehouse's SQL"] += 1
            return
        if not found:
            self.counts["accepted"] += 1
            if difference is not None:
                self.counts["accepted, loads wrong"] += 1
                self.wrong.append(f"case {number}: {difference}\n{mode}\n{text}")
            return
        self.counts["refused"] += 1
        reason = _PARTICULARS.sub("", found[0].message).strip()
        self.reasons[reason] += 1
        if tries and difference is None and self._trials.yields_rows:
            self.counts["refused, loads right"] += 1
            self.missed[reason] += 1

    @contextmanager
    def _breaking_off(self) -> Iterator[None]:
        """Interrupt each statement that still runs when the block has taken too long."""
        is_done = Event()

        def watch() -> None:
            while not is_done.wait(self.patience if not is_late else 1):
                is_late.append(True)
                self._interrupt()

        is_late: list[bool] = []
        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_done.set()
            watcher.join()

    def _interrupt(self) -> None:
        if isinstance(self.connection, psycopg.Connection):
            self.connection.cancel()
        elif isinstance(self.connection, duckdb.DuckDBPyConnection):
            self.connection.interrupt()
