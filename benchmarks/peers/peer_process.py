"""What a peer does in its own environment: make the rows, load them twice, be checked, say what it cost.

Reads a task as JSON and prints what it found as JSON; `peer_costs.py` starts it.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb

DATABASE = "peer.duckdb"


@dataclass(frozen=True)
class Task:
    """What is to be loaded.

    Attributes:
        kind: scd1 or scd2.
        columns: Of the events.
        first: Statements that deliver the first events.
        delta: Statements that deliver the next ones.
        wrong: Query that counts rows that are not as they should be.
    """

    kind: str
    columns: Sequence[str]
    first: Sequence[str]
    delta: Sequence[str]
    wrong: str


class Loads(Protocol):
    """A peer's two loads of raw.feed into dwh.peer."""

    def first(self) -> None:
        """Load everything into nothing."""

    def delta(self) -> None:
        """Load the newest delivery."""


def report(make: Callable[[Task], Loads]) -> None:
    """Do the task and print the costs: {"first": {…}, "delta": {…}}.

    Raises:
        SystemExit: When a row is wrong.
    """
    task = Task(**json.load(sys.stdin))
    with contextlib.redirect_stdout(sys.stderr):
        loads = make(task)
        execute(["create schema raw", *task.first])
        costs = {"first": cost_of(loads.first)}
        execute(task.delta)
        costs["delta"] = cost_of(loads.delta)
        with duckdb.connect(DATABASE) as connection:
            (wrong,) = connection.execute(task.wrong).fetchone() or (None,)
    if wrong:
        sys.exit(f"{wrong} rows are wrong")
    print(json.dumps(costs))


def execute(statements: Sequence[str]) -> None:
    """Change the warehouse."""
    with duckdb.connect(DATABASE) as connection:
        for statement in statements:
            connection.execute(statement)


def cost_of(load: Callable[[], None]) -> dict[str, float]:
    """Measure a load: seconds by the clock and of the processor, and this process's largest memory so far."""
    began_at, began_cpu = time.perf_counter(), time.process_time()
    load()
    return {
        "wall_seconds": time.perf_counter() - began_at,
        "cpu_seconds": time.process_time() - began_cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
