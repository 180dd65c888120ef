"""Disturbances of a running shop, and what must hold after the last one."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from flows.gate.facts import Reason
from flows.server.companions import companion_programs
from flows.server.local import local_server
from tests.chaos.clock import Clock
from tests.chaos.shop import Shop
from tests.support.receiver import Receiver

LANDING_SECONDS = 6
PAUSES = (10, 40)
PATIENCE_SECONDS = 180
LEAST_FILE_BYTES, MOST_FILE_BYTES = 50_000, 3_000_000
"""A file of a run may grow to a length between these while its disk is full."""
HOLD = "import duckdb, sys, time; connection = duckdb.connect(sys.argv[1]); time.sleep(float(sys.argv[2]))"
WEIGHTS = {
    "kill_program": 4,
    "kill_run": 3,
    "kill_worker_only": 2,
    "kill_everything": 1,
    "restart_server": 1,
    "fill_disk": 2,
    "lock_warehouse": 1,
    "refuse_alerts": 1,
}
"""Disturbances, and how often each comes."""
CLOCK_STEPS = {-20: 1, -3: 2, -1: 2, 1: 2, 3: 2, 20: 1}
"""Minutes by which the clock is set, and how often each comes."""


@dataclass
class Chaos:
    """What happens to a shop, drawn at random.

    Attributes:
        shop: The project.
        receiver: What listens on its channel.
        draw: Random numbers.
        clock: The clock of all processes; None: it is left alone.
    """

    shop: Shop
    receiver: Receiver
    draw: Random
    clock: Clock | None = None
    done: Counter[str] = field(default_factory=Counter)
    holders: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def strike(self, name: str | None = None) -> None:
        """Disturb something: what is named, or drawn."""
        weights = dict(WEIGHTS) | ({"set_clock": 1} if self.clock else {})
        (drawn,) = self.draw.choices([*weights], [*weights.values()])
        getattr(self, name or drawn)()
        self.done[name or drawn] += 1

    def kill_program(self) -> None:
        """Kill the server, a worker or the reconciler."""
        if alive := self.programs():
            name = self.draw.choice(sorted(alive))
            _kill(alive[name])
            say(f"killed the {name}")

    def kill_worker_only(self) -> None:
        """Kill the worker of pipelines while its runs live on."""
        if worker := self.programs().get("worker"):
            _kill(worker)
            say("killed the worker and none of its runs")

    def kill_run(self) -> None:
        """Kill what a worker has started: Prefect's process of a run, or its children."""
        if runs := self._runs():
            _kill(self.draw.choice(runs))
            say("killed a run")

    def kill_everything(self) -> None:
        """As when the power fails."""
        alive = [*self.programs().values()]
        for doomed in [*alive, *(child for pid in alive for child in descendants(pid))]:
            _kill(doomed)
        say("killed everything")

    def restart_server(self) -> None:
        """End the server as its service manager does; `repair` starts it again."""
        if server := self.programs().get("server"):
            os.kill(server, signal.SIGTERM)
            say("stopped the server")

    def fill_disk(self) -> None:
        """Let no file of a run grow beyond a length for a while: writing fails as on a full disk.

        A real full disk needs a file system of its own, and the right to mount one. The server and the reconciler keep
        theirs: Prefect's SQLite is not what is tested.
        """
        length = self.draw.randint(LEAST_FILE_BYTES, MOST_FILE_BYTES)
        seconds = self.draw.randint(10, 30)
        workers = [pid for name, pid in self.programs().items() if "worker" in name]
        limited = [*workers, *self._runs()]
        for pid in limited:
            _limit_files(pid, length)
        threading.Timer(seconds, self._free_disk).start()
        say(f"runs may write files of at most {length:,} bytes for {seconds} s")

    def _free_disk(self) -> None:
        for pid in [*self.programs().values(), *self._runs()]:
            _limit_files(pid, resource.RLIM_INFINITY)

    def lock_warehouse(self) -> None:
        """Let another process hold the warehouse: an outage of it."""
        seconds = self.draw.randint(5, 40)
        file = self.shop.root / ".sluice" / "dev.duckdb"
        command = [sys.executable, "-c", HOLD, str(file), str(seconds)]
        self.holders.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        say(f"another process holds the warehouse for {seconds} s, when it gets it")

    def refuse_alerts(self) -> None:
        """Let the channel refuse some requests."""
        self.receiver.refusals = self.draw.randint(1, 5)
        say(f"the channel refuses {self.receiver.refusals} requests")

    def set_clock(self) -> None:
        """Set the clock of all processes, back or forth."""
        assert self.clock is not None, "only with --clocks"
        (minutes,) = self.draw.choices([*CLOCK_STEPS], [*CLOCK_STEPS.values()])
        self.clock.step(60 * minutes)
        say(f"set the clock by {minutes:+d} minutes; it shows old times for {self.clock.repeated_seconds():.0f} s")

    def programs(self) -> dict[str, int]:
        """Return the server, the workers and the reconciler that run now."""
        return dict(programs(self.shop))

    def _runs(self) -> list[int]:
        workers = [pid for name, pid in self.programs().items() if "worker" in name]
        return [child for worker in workers for child in descendants(worker)]

    def repair(self) -> None:
        """Do what an operator does, or the machine that starts again."""
        done = self.shop.sluice("up")
        if done.returncode:
            raise RuntimeError(f"sluice up failed:\n{done.stderr}")

    def calm(self) -> None:
        """End all that disturbs, and repair."""
        self.receiver.refusals = 0
        for holder in self.holders:
            holder.wait()
        self._free_disk()
        self.repair()
        self._free_disk()


def programs(shop: Shop) -> Iterator[tuple[str, int]]:
    """Give the server, the workers and the reconciler that run now."""
    local = local_server(shop.context)
    server = local.running()
    if server is not None:
        yield "server", server.process.pid
    for program in companion_programs(local):
        process = program.running()
        if process is not None:
            yield program.name, process.pid


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    except OSError:
        return []
    return [found for child in children for found in (child, *descendants(child))]


def _children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _limit_files(pid: int, length: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))


def sizes(shop: Shop) -> dict[str, tuple[int, int]]:
    """Return resident MiB and open descriptors of each program."""
    found = {}
    for name, pid in programs(shop):
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            (resident,) = [int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS")]
            found[name] = (resident, len([*Path(f"/proc/{pid}/fd").iterdir()]))
    return found


def say(text: str) -> None:
    """Print what happens, with the time."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def disturb(chaos: Chaos, minutes: float) -> None:
    """Let rows land and things happen for minutes."""
    shop, draw = chaos.shop, chaos.draw
    end = time.monotonic() + 60 * minutes
    next_strike = time.monotonic() + draw.randint(*PAUSES)
    next_repair = float("inf")
    while time.monotonic() < end:
        shop.land(draw.randrange(shop.pipelines), draw)
        now = time.monotonic()
        if now > next_strike:
            chaos.strike()
            next_repair = min(next_repair, now + draw.randint(0, 30))
            next_strike = now + draw.randint(*PAUSES)
        if now > next_repair:
            chaos.repair()
            next_repair = float("inf")
        time.sleep(LANDING_SECONDS)
    chaos.calm()


def wait_for_all(shop: Shop, patience_seconds: float) -> float:
    """Wait until each target has read what landed; return how many seconds that took."""
    start = time.monotonic()
    while time.monotonic() - start < patience_seconds:
        done = shop.sluice("plan", "--json")
        targets = json.loads(done.stdout)["run"]["targets"] if done.returncode == 0 else []
        # A target that another run is loading, or whose row is off, is skipped as well.
        if [target["reason"] for target in targets] == [Reason.NOTHING_NEW] * shop.pipelines:
            break
        time.sleep(10)
    return time.monotonic() - start


def faults(shop: Shop, receiver: Receiver, copy: Path) -> Iterator[str]:
    """Compare the shop with one to which nothing happened, and the alerts with each other."""
    other = shop.undisturbed(copy)
    for number in range(shop.pipelines):
        if shop.rows(number) != other.rows(number):
            yield f"dwh.t{number} differs from the one that nothing happened to"
    for problem in json.loads(shop.sluice("status", "--json").stdout)["problems"]:
        yield f"a problem is left: {problem}"
    yield from alert_faults([(body["incident_id"], body["event"]) for body in receiver.bodies])


def ledger_faults(shop: Shop) -> Iterator[str]:
    """Verify each table against its ledger and its sources."""
    for number in range(shop.pipelines):
        verified = shop.sluice("verify", f"dwh.t{number}")
        if verified.returncode:
            yield f"sluice verify dwh.t{number}: {verified.stdout}{verified.stderr}"


def alert_faults(told: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Find incidents that were told twice, never ended, or ended before they began."""
    events = Counter(told)
    for (incident, event), count in events.items():
        if count > 1:
            yield f"incident {incident} was told {count} times as {event}"
        if event == "opened" and (incident, "resolved") not in events:
            yield f"incident {incident} was opened and never resolved"
        if event == "resolved" and (incident, "opened") not in told[: told.index((incident, event))]:
            yield f"the end of incident {incident} was told before its beginning"


def growth_faults(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> Iterator[str]:
    """Find programs whose memory or descriptors have grown: more than noise, whatever was killed meanwhile."""
    for name in before.keys() & after.keys():
        (memory, descriptors), (memory_after, descriptors_after) = before[name], after[name]
        if memory_after > 1.5 * memory + 150:
            yield f"the {name} has grown from {memory} to {memory_after} MiB"
        if descriptors_after > descriptors + 60:
            yield f"the {name} holds {descriptors_after} descriptors, {descriptors} when it began"
