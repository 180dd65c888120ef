"""Chaos for minutes or hours: processes are killed at random, the warehouse and the receiver of alerts fail, rows land.

    python -m tests.chaos [--minutes 120] [--seed 1] [--keep]

In the end nothing is disturbed any more, and within three minutes every table must equal the one of a copy to which
nothing happened; each root cause was told once and resolved once. Exit code 1 when something of this does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from flows.server.companions import _programs
from flows.server.local import local_server
from tests.chaos.shop import PIPELINES, Shop
from tests.support.live_server import free_port
from tests.support.receiver import Receiver, receiving

LANDING_SECONDS = 6
PAUSES = (10, 40)
PATIENCE_SECONDS = 180
EVERY_MINUTE = "* * * * *"
HOLD = "import duckdb, sys, time; connection = duckdb.connect(sys.argv[1]); time.sleep(float(sys.argv[2]))"


@dataclass
class Chaos:
    """What happens to a shop, drawn at random."""

    shop: Shop
    receiver: Receiver
    draw: Random
    done: Counter[str] = field(default_factory=Counter)
    killed: set[str] = field(default_factory=set)

    def strike(self) -> None:
        """Disturb something."""
        happening = self.draw.choice(
            [
                *[self._kill_program] * 4,
                *[self._kill_run] * 3,
                self._kill_everything,
                self._lock_warehouse,
                self._refuse_alerts,
            ]
        )
        happening()
        self.done[happening.__name__.strip("_")] += 1

    def _kill_program(self) -> None:
        alive = self._programs()
        if alive:
            name = self.draw.choice(sorted(alive))
            _kill(alive[name])
            say(f"killed the {name}")

    def _kill_run(self) -> None:
        """Kill what a worker has started: Prefect's process of a run, or its children."""
        workers = [pid for name, pid in self._programs().items() if "worker" in name]
        runs = [child for worker in workers for child in _descendants(worker)]
        if runs:
            _kill(self.draw.choice(runs))
            say("killed a run")

    def _kill_everything(self) -> None:
        """As when the power fails."""
        alive = [*self._programs().values()]
        for doomed in [*alive, *(child for pid in alive for child in _descendants(pid))]:
            _kill(doomed)
        say("killed everything")

    def _lock_warehouse(self) -> None:
        seconds = self.draw.randint(5, 40)
        file = self.shop.root / ".sluice" / "dev.duckdb"
        subprocess.Popen([sys.executable, "-c", HOLD, str(file), str(seconds)], stderr=subprocess.DEVNULL)
        say(f"another process holds the warehouse for {seconds} s, when it gets it")

    def _refuse_alerts(self) -> None:
        self.receiver.refusals = self.draw.randint(1, 5)
        say(f"the channel refuses {self.receiver.refusals} requests")

    def _programs(self) -> dict[str, int]:
        return dict(programs(self.shop))

    def repair(self) -> None:
        """Do what an operator does, or the machine that starts again."""
        done = self.shop.sluice("up")
        if done.returncode:
            raise RuntimeError(f"sluice up failed:\n{done.stderr}")


def programs(shop: Shop) -> Iterator[tuple[str, int]]:
    """Give the server, the workers and the reconciler that run now."""
    local = local_server(shop.context)
    server = local.running()
    if server is not None:
        yield "server", server.process.pid
    for program in _programs(local):
        process = program.running()
        if process is not None:
            yield program.name, process.pid


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [found for child in children for found in (child, *_descendants(child))]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def sizes(shop: Shop) -> dict[str, tuple[int, int]]:
    """Return resident MiB and open descriptors of each program."""
    found = {}
    for name, pid in programs(shop):
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
        shop.land(draw.randrange(PIPELINES), draw)
        now = time.monotonic()
        if now > next_strike:
            chaos.strike()
            next_repair = min(next_repair, now + draw.randint(0, 30))
            next_strike = now + draw.randint(*PAUSES)
        if now > next_repair:
            chaos.repair()
            next_repair = float("inf")
        time.sleep(LANDING_SECONDS)
    chaos.receiver.refusals = 0
    chaos.repair()


def wait_for_all(shop: Shop) -> float:
    """Wait until each target has read what landed; return how many seconds that took."""
    start = time.monotonic()
    while time.monotonic() - start < PATIENCE_SECONDS:
        done = shop.sluice("plan", "--json")
        targets = json.loads(done.stdout)["run"]["targets"] if done.returncode == 0 else []
        if len(targets) == PIPELINES and all(target["decision"] == "skip" for target in targets):
            break
        time.sleep(2)
    return time.monotonic() - start


def faults(shop: Shop, receiver: Receiver, seconds: float, copy: Path) -> Iterator[str]:
    """Compare the shop with one to which nothing happened, and the alerts with each other."""
    if seconds >= PATIENCE_SECONDS:
        yield f"not everything was loaded {PATIENCE_SECONDS} s after the last disturbance"
    other = shop.undisturbed(copy)
    for number in range(PIPELINES):
        if shop.rows(number) != other.rows(number):
            yield f"dwh.t{number} differs from the one that nothing happened to"
        verified = shop.sluice("verify", f"dwh.t{number}")
        if verified.returncode:
            yield f"sluice verify dwh.t{number}: {verified.stdout}{verified.stderr}"
    for problem in json.loads(shop.sluice("status", "--json").stdout)["problems"]:
        yield f"a problem is left: {problem}"
    events = Counter((body["incident_id"], body["event"]) for body in receiver.bodies)
    for (incident, event), count in events.items():
        if count > 1:
            yield f"incident {incident} was told {count} times as {event}"
        if event == "opened" and (incident, "resolved") not in events:
            yield f"incident {incident} was opened and never resolved"


def main(arguments: list[str]) -> int:
    """Run the harness; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    with receiving() as receiver:
        shop = Shop(folder / "project", free_port(), receiver.url)
        found = [*_story(shop, receiver, chosen.minutes, chosen.seed, folder / "undisturbed")]
    for fault in found:
        say(f"FAULT: {fault}")
    say(f"{len(found)} faults; the project is in {folder}" if chosen.keep or found else "no faults")
    if not (chosen.keep or found):
        shutil.rmtree(folder)
    return 1 if found else 0


def _story(shop: Shop, receiver: Receiver, minutes: float, seed: int, copy: Path) -> Iterator[str]:
    shop.write(EVERY_MINUTE)
    for command in (("control", "apply", "--yes"), ("up",)):
        done = shop.sluice(*command)
        if done.returncode:
            raise RuntimeError(f"sluice {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    chaos = Chaos(shop, receiver, Random(seed))
    before = sizes(shop)
    try:
        disturb(chaos, minutes)
        seconds = wait_for_all(shop)
        say(f"everything was loaded {seconds:.0f} s after the last disturbance")
        say(f"{sum(shop.landed.values())} files landed")
        say(f"what happened: {dict(chaos.done)}; MiB and descriptors before {before}, after {sizes(shop)}")
    finally:
        shop.sluice("down")
    yield from faults(shop, receiver, seconds, copy)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
