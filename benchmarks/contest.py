"""Loads side by side: each contestant begins with the same rows, takes turns with the others, and is checked."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from events import FIRST_LANDED, Delivery, Events, deliver_everything, deliver_newest_only, few, wrong_rows
from load_process import LoadCost, run_node, run_statements, typical_load
from warehouses import Warehouse, settle


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way of loading a table.

    Attributes:
        name: For the report.
        node: Node of the benchmarks' dbt project, or None when it is plain statements.
        first: Statements of the first load, when it is plain statements.
        delta: Statements of a later one.
        found: Query that yields what it made, in the columns of `expected`.
        expected: What that must be.
        is_fed_everything: Whether it reads the newest row of every key instead of the newest delivery.
    """

    name: str
    found: str
    expected: str
    node: str | None = None
    first: Sequence[str] = ()
    delta: Sequence[str] = ()
    is_fed_everything: bool = False


@dataclass(frozen=True, slots=True)
class Contest:
    """Loads of one size in one warehouse.

    Attributes:
        warehouse: Where.
        scratch: Folder for dbt's own files.
        repeats: Runs of each delta; the median counts.
    """

    warehouse: Warehouse
    scratch: Path
    repeats: int

    def first_load(self, events: Events, contestants: Sequence[Contestant]) -> dict[str, LoadCost]:
        """Load everything into nothing; keeps what each contestant made, by its name."""
        self.warehouse.clear()
        self._execute(["create schema raw", "create schema dwh"])
        for delivered in (events, few(events)):
            self._execute(delivered.first())
            if self.warehouse.name == "postgres":
                self._execute([f"create index on raw.{delivered.table} (landed_at)"])
        settle(self.warehouse)
        self.warehouse.save("base")
        return {contestant.name: self._first_load(contestant) for contestant in contestants}

    def delta_load(
        self, delivery: Delivery, contestants: Sequence[Contestant], *, base: str = "", keep: str = ""
    ) -> dict[str, LoadCost]:
        """Deliver events, then let each contestant load them, in turns.

        Args:
            delivery: What is delivered.
            contestants: Who loads.
            base: Suffix of the copies to begin with; their first loads by default.
            keep: Suffix under which the last outcome is kept.
        """
        for contestant in contestants:
            self.warehouse.restore(contestant.name + base)
            for events in (delivery.events, few(delivery.events)):
                self._execute(events.delta(late=delivery.is_late, landed=delivery.landed))
            self._feed(contestant, delivery.landed)
            settle(self.warehouse)
            self.warehouse.save(f"{contestant.name}_ready")
        costs: dict[str, list[LoadCost]] = {contestant.name: [] for contestant in contestants}
        for _ in range(self.repeats):
            for contestant in contestants:
                _say(f"{self.warehouse.name}: {contestant.name}")
                self.warehouse.restore(f"{contestant.name}_ready")
                costs[contestant.name].append(self._load(contestant, contestant.delta))
                self._check(contestant)
                if keep and len(costs[contestant.name]) == self.repeats:
                    self.warehouse.save(contestant.name + keep)
        return {name: typical_load(found) for name, found in costs.items()}

    def rows_written(self, relation: str) -> int:
        """Return what the newest load of a Sluice target says it wrote."""
        query = f"""
            select rows_inserted + rows_updated + rows_closed + rows_deleted
            from sluice.load_log where target = '{relation}' order by loaded_at desc limit 1
        """
        with self.warehouse.connected() as execute:
            return int(execute(query)[0][0])

    def _first_load(self, contestant: Contestant) -> LoadCost:
        _say(f"{self.warehouse.name}: {contestant.name}, first load")
        self.warehouse.restore("base")
        self._feed(contestant, FIRST_LANDED)
        cost = self._load(contestant, contestant.first)
        self._check(contestant)
        settle(self.warehouse)
        self.warehouse.save(contestant.name)
        return cost

    def _load(self, contestant: Contestant, statements: Sequence[str]) -> LoadCost:
        if contestant.node is None:
            return run_statements(self.warehouse, statements)
        return run_node(self.warehouse, contestant.node, self.scratch)

    def _feed(self, contestant: Contestant, landed: str) -> None:
        for table in ("events", "events_few"):
            everything = contestant.is_fed_everything
            self._execute(deliver_everything(table) if everything else deliver_newest_only(landed, table))

    def _check(self, contestant: Contestant) -> None:
        with self.warehouse.connected() as execute:
            count = execute(wrong_rows(contestant.found, contestant.expected))[0][0]
        if count:
            raise RuntimeError(f"{contestant.name} on {self.warehouse.name} is wrong in {count} rows")

    def _execute(self, statements: Sequence[str]) -> None:
        with self.warehouse.connected() as execute:
            for statement in statements:
                execute(statement)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
