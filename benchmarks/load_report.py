"""Command line and report of the benchmarks of loads: what each load cost, and each target beside what was measured."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contest import Contest
from events import Events
from load_process import LoadCost
from measures import Measure, print_measures
from measuring import print_table
from peer_costs import PEERS, Kind, peer_costs
from warehouses import open_warehouse

_PEERS_WAREHOUSE = "its duckdb"
"""A peer runs on the DuckDB that it brings; Sluice's costs on our own are beside it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one way of one load cost."""

    work: str
    way: str
    cost: LoadCost


@dataclass(frozen=True, slots=True)
class Goal:
    """A target: Sluice's CPU seconds as a multiple of another's, taken in the same run.

    Attributes:
        work: What was loaded.
        beside: The other.
        share: CPU seconds of the whole dbt node, or of its statements alone: the floor has no dbt around it.
        cost: Sluice's.
        other: The other's.
        at_most: The target.
    """

    work: str
    beside: str
    share: Literal["node", "statements"]
    cost: LoadCost
    other: LoadCost
    at_most: float

    @property
    def ratio(self) -> float:
        """What was measured."""
        return _cpu(self.cost, self.share) / max(_cpu(self.other, self.share), 1e-6)

    @property
    def is_met(self) -> bool:
        """Whether the target was reached."""
        return self.ratio <= self.at_most


@dataclass(frozen=True, slots=True)
class _Line:
    warehouse: str
    keys: int
    found: Finding | Goal


def main(description: str, kind: Kind, measure: Callable[[Contest, int], Iterator[Finding | Goal]]) -> None:
    """Read the command line, measure every size in every warehouse, and peers on DuckDB when asked for; report."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--warehouses", default="duckdb,postgres", help="duckdb, postgres or both")
    parser.add_argument("--sizes", default="20000,100000,500000", help="numbers of business keys")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each later load; the median counts")
    parser.add_argument("--peers", default="", help=f"also, each in an environment of its own: {', '.join(PEERS)}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    lines: list[_Line] = []
    for name in options.warehouses.split(","):
        for keys in map(int, options.sizes.split(",")):
            with tempfile.TemporaryDirectory() as folder, open_warehouse(name, Path(folder)) as warehouse:
                contest = Contest(warehouse, Path(folder), options.repeats)
                lines += [_Line(name, keys, found) for found in measure(contest, keys)]
    for peer in filter(None, options.peers.split(",")):
        for keys in map(int, options.sizes.split(",")):
            costs = peer_costs(peer, kind, Events(keys))
            lines += [_Line(_PEERS_WAREHOUSE, keys, Finding(work, peer, cost)) for work, cost in costs.items()]
    if options.json:
        print_measures(_measures(kind, lines))
    else:
        _print(lines)


def _print(lines: Sequence[_Line]) -> None:
    costs = [
        (line.warehouse, f"{line.keys:,}", line.found.work, line.found.way, *_cells(line.found.cost))
        for line in lines
        if isinstance(line.found, Finding)
    ]
    print_table(("warehouse", "keys", "load", "way", "node CPU s", "of it statements", "wall s", "peak MiB"), costs)
    print()
    goals = [
        (
            *(line.warehouse, f"{line.keys:,}", line.found.work, line.found.beside, line.found.share),
            *(f"{line.found.at_most:.2f}x", f"{line.found.ratio:.2f}x", "met" if line.found.is_met else "missed"),
        )
        for line in lines
        if isinstance(line.found, Goal)
    ]
    print_table(("warehouse", "keys", "load", "beside", "CPU of", "at most", "measured", ""), goals)


def _cells(cost: LoadCost) -> tuple[str, ...]:
    seconds = (cost.cpu_seconds, cost.statement_cpu_seconds, cost.wall_seconds)
    return (*(f"{value:.2f}" for value in seconds), f"{cost.peak_mib:.0f}")


def _measures(kind: Kind, lines: Sequence[_Line]) -> Sequence[Measure]:
    """Return the targets, then Sluice beside every way that has none."""
    goals = [(line, line.found) for line in lines if isinstance(line.found, Goal)]
    found = [
        Measure(
            f"{_name(kind, line)}, CPU of {goal.share}",
            "CPU s",
            _cpu(goal.cost, goal.share),
            goal.beside,
            _cpu(goal.other, goal.share),
            goal.at_most,
        )
        for line, goal in goals
    ]
    held = {(_name(kind, line), goal.beside) for line, goal in goals}
    findings = {(_name(kind, line), line.found.way): line.found for line in lines if isinstance(line.found, Finding)}
    for (name, way), other in findings.items():
        ours = findings.get((name.replace(_PEERS_WAREHOUSE, "duckdb"), "sluice"))
        if ours is not None and way != "sluice" and (name, way) not in held:
            seconds = (ours.cost.cpu_seconds, other.cost.cpu_seconds)
            found.append(Measure(f"{name}, CPU of node", "CPU s", seconds[0], way, seconds[1]))
    return found


def _name(kind: Kind, line: _Line) -> str:
    return f"{kind} {line.found.work}, {line.keys:,} keys, {line.warehouse}"


def _cpu(cost: LoadCost, share: Literal["node", "statements"]) -> float:
    return cost.cpu_seconds if share == "node" else cost.statement_cpu_seconds
