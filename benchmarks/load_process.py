"""Loads in processes of their own, dbt imported beforehand: what one node cost, and what its statements cost of it."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from warehouses import Warehouse, peak_mib

_PROJECT = Path(__file__).with_name("load_project")
_PRELOADED = ["dbt.cli.main", "dbt.adapters.duckdb", "dbt.adapters.postgres", "duckdb", "psycopg", "warehouses"]


@dataclass(frozen=True, slots=True)
class LoadCost:
    """What a load cost.

    Attributes:
        wall_seconds: By the clock, from the node's start to its end.
        cpu_seconds: Of the processor, by this process and the server.
        statement_cpu_seconds: The part of them while a statement ran; the rest is dbt's and its macros'.
        peak_mib: Largest resident memory of the process, dbt's own share of about 150 MiB included; not the server's.
    """

    wall_seconds: float
    cpu_seconds: float
    statement_cpu_seconds: float
    peak_mib: float


def typical_load(costs: Sequence[LoadCost]) -> LoadCost:
    """Return the median of each number."""
    return LoadCost(
        wall_seconds=median(cost.wall_seconds for cost in costs),
        cpu_seconds=median(cost.cpu_seconds for cost in costs),
        statement_cpu_seconds=median(cost.statement_cpu_seconds for cost in costs),
        peak_mib=median(cost.peak_mib for cost in costs),
    )


def run_node(warehouse: Warehouse, node: str, scratch: Path) -> LoadCost:
    """Run one node of the benchmarks' dbt project, after the same node with few rows.

    Args:
        warehouse: Where.
        node: Model or snapshot.
        scratch: A folder for dbt's target and logs, kept between runs: so dbt parses once.

    Raises:
        RuntimeError: With dbt's message when the node failed.
    """
    return _in_process(_run_node, warehouse, node, scratch)


def run_statements(warehouse: Warehouse, statements: Sequence[str]) -> LoadCost:
    """Run statements by the warehouse's own client, in one transaction."""
    return _in_process(_run_statements, warehouse, statements)


@dataclass(slots=True)
class _Watch:
    """Takes the time of a node and of its statements from dbt's events."""

    node: str
    cpu_seconds: Callable[[], float]
    node_began: tuple[float, float] | None = None
    node_took: tuple[float, float] | None = None
    statements: float = 0.0
    messages: list[str] = field(default_factory=list)
    _statement_began: float | None = None

    def __call__(self, event: Any) -> None:
        name = event.info.name
        if name in {"NodeStart", "NodeFinished"} and event.data.node_info.node_name != self.node:
            return
        if name == "NodeStart":
            self.node_began = (time.perf_counter(), self.cpu_seconds())
            self.statements = 0.0
        elif name == "SQLQuery":
            self._statement_began = self.cpu_seconds()
        elif name == "SQLQueryStatus" and self._statement_began is not None:
            self.statements += self.cpu_seconds() - self._statement_began
            self._statement_began = None
        elif name == "NodeFinished" and self.node_began is not None:
            began_at, began_cpu = self.node_began
            self.node_took = (time.perf_counter() - began_at, self.cpu_seconds() - began_cpu)
        elif event.info.level == "error":
            self.messages.append(event.info.msg)


def _run_node(warehouse: Warehouse, node: str, scratch: Path) -> LoadCost:
    from dbt.cli.main import dbtRunner

    where: Mapping[str, Path] = {
        "DBT_PROJECT_DIR": _PROJECT,
        "DBT_PROFILES_DIR": _PROJECT,
        "DBT_TARGET_PATH": scratch / "target",
        "DBT_LOG_PATH": scratch / "logs",
    }
    os.environ.update({name: str(path) for name, path in where.items()} | dict(warehouse.environ))
    watch = _Watch(node, warehouse.cpu_seconds)
    outcome = dbtRunner(callbacks=[watch]).invoke(["--quiet", "build", "--select", f"{node}_few", node])
    if not outcome.success or watch.node_took is None:
        raise RuntimeError(f"dbt failed at {node}: {outcome.exception or ' '.join(watch.messages)}")
    wall, cpu = watch.node_took
    return LoadCost(wall, cpu, watch.statements, peak_mib())


def _run_statements(warehouse: Warehouse, statements: Sequence[str]) -> LoadCost:
    with warehouse.connected() as execute:
        began_at, began_cpu = time.perf_counter(), warehouse.cpu_seconds()
        for statement in ("begin", *statements, "commit"):
            execute(statement)
        wall, cpu = time.perf_counter() - began_at, warehouse.cpu_seconds() - began_cpu
    return LoadCost(wall, cpu, cpu, peak_mib())


def _in_process(work: Callable[..., LoadCost], *arguments: object) -> LoadCost:
    """Call a function in a process of its own, so that its peak memory is its own, too."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(sender, work, *arguments))
    process.start()
    sender.close()
    try:
        outcome = receiver.recv()
    except EOFError:
        outcome = RuntimeError("the process of the load died")
    process.join()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _report(sender: Connection, work: Callable[..., LoadCost], *arguments: object) -> None:
    try:
        outcome: LoadCost | Exception = work(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        outcome = RuntimeError(f"{type(error).__name__}: {error}")
    sender.send(outcome)
