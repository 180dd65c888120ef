"""More pipelines than a worker can run at once: how long do monitor and heal wait for their start?

    python -m tests.chaos.saturation [--minutes 30] [--pipelines 12]

Every pipeline is due every minute, rows land all the time, and another process holds the warehouse in every second
minute, so that all slots of the worker are taken by runs that wait. Exit code 1 when a run of upkeep started more than
a minute late, or when none was seen.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import median

from flows.prefect.deployments.upkeep import UPKEEP_FLOWS
from flows.server.local import local_server, read_auth
from tests.chaos.shop import Shop
from tests.chaos.story import HOLD, say
from tests.support.guarded_server import Guarded
from tests.support.live_server import free_port

EVERY_MINUTE = "* * * * *"
HELD_SECONDS = 60
MOST_SECONDS = 60.0
"""Maximum start delay of a run of upkeep."""


def main(arguments: list[str]) -> int:
    """Run the soak; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.saturation", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pipelines", type=int, default=12)
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sluice-saturation-"))
    shop = Shop(folder / "project", free_port(), "http://127.0.0.1:9/", pipelines=chosen.pipelines)
    shop.write(EVERY_MINUTE)
    for command in (("control", "apply", "--yes"), ("up",)):
        done = shop.sluice(*command)
        if done.returncode:
            raise RuntimeError(f"sluice {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    try:
        saturate(shop, chosen.minutes)
        local = local_server(shop.context)
        delays = start_delays(Guarded(local, auth=read_auth(local.folder) or ""), shop)
    finally:
        shop.sluice("down")
    for name, seconds in delays.items():
        say(f"{name}: {len(seconds)} runs, start delay median {median(seconds):.0f} s, maximum {max(seconds):.0f} s")
    upkeep = [seconds for name in UPKEEP_FLOWS for seconds in delays.get(name, [])]
    shutil.rmtree(folder, ignore_errors=True)  # runs that `down` has left may still write
    return 0 if upkeep and max(upkeep) <= MOST_SECONDS else 1


def saturate(shop: Shop, minutes: float) -> None:
    """Let rows land for every pipeline, and let another process hold the warehouse half of the time."""
    draw, end = Random(1), time.monotonic() + 60 * minutes
    file = shop.root / ".sluice" / "dev.duckdb"
    while time.monotonic() < end:
        for number in range(shop.pipelines):
            shop.land(number, draw)
        holder = subprocess.Popen([sys.executable, "-c", HOLD, str(file), str(HELD_SECONDS)], stderr=subprocess.DEVNULL)
        holder.wait()
        time.sleep(HELD_SECONDS)


def start_delays(server: Guarded, shop: Shop) -> dict[str, list[float]]:
    """Return for upkeep and for all pipelines by how many seconds each run started late."""
    deployments = {name: [f"{name}@dev"] for name in UPKEEP_FLOWS}
    deployments["pipelines"] = [f"p{number}@dev" for number in range(shop.pipelines)]
    found = {
        name: [seconds for item in items for seconds in _delays(server, item)] for name, items in deployments.items()
    }
    return {name: seconds for name, seconds in found.items() if seconds}


def _delays(server: Guarded, deployment: str) -> Iterator[float]:
    for run in server.runs_of(server.deployment(deployment)["id"]):
        if run["start_time"]:
            begun = datetime.fromisoformat(run["start_time"])
            yield (begun - datetime.fromisoformat(run["expected_start_time"])).total_seconds()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
