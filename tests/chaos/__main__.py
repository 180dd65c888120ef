"""Chaos for minutes or hours: processes are killed at random, disk, warehouse and channel fail, rows land.

    python -m tests.chaos [--minutes 120] [--seed 1] [--keep] [--clocks]

In the end nothing is disturbed any more, and within three minutes every table must equal the one of a copy to which
nothing happened; each root cause was told once and resolved once; no process has grown. Exit code 1 when something of
this does not hold. With --clocks, which needs a C compiler, the clock of all processes is set as well:
schedules then stand still for as long as the clock shows times that it has shown before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.chaos.clock import make_clock
from tests.chaos.shop import Shop
from tests.chaos.story import (
    PATIENCE_SECONDS,
    Chaos,
    disturb,
    faults,
    growth_faults,
    ledger_faults,
    say,
    sizes,
    wait_for_all,
)
from tests.support.live_server import free_port
from tests.support.receiver import Receiver, receiving

EVERY_MINUTE = "* * * * *"
SETTLE_SECONDS = 30
"""After so long all processes have imported what they need."""


def main(arguments: list[str]) -> int:
    """Run the harness; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    parser.add_argument("--clocks", action="store_true", help="set the clock of all processes as well")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sluice-chaos-"))
    clock = make_clock(folder) if chosen.clocks else None
    with receiving() as receiver:
        shop = Shop(folder / "project", free_port(), receiver.url, extra=clock.environ if clock else {})
        chaos = Chaos(shop, receiver, Random(chosen.seed), clock)
        found = [*_story(chaos, chosen.minutes, folder / "undisturbed")]
    for fault in found:
        say(f"FAULT: {fault}")
    say(f"{len(found)} faults; the project is in {folder}" if chosen.keep or found else "no faults")
    if not (chosen.keep or found):
        shutil.rmtree(folder)
    return 1 if found else 0


def _story(chaos: Chaos, minutes: float, copy: Path) -> Iterator[str]:
    shop: Shop = chaos.shop
    receiver: Receiver = chaos.receiver
    shop.write(EVERY_MINUTE)
    for command in (("control", "apply", "--yes"), ("up",)):
        done = shop.sluice(*command)
        if done.returncode:
            raise RuntimeError(f"sluice {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    time.sleep(SETTLE_SECONDS)
    before = sizes(shop)
    say(f"the shop is open; the machine has a load of {os.getloadavg()[0]:.1f}")
    try:
        disturb(chaos, minutes)
        patience = PATIENCE_SECONDS + (chaos.clock.repeated_seconds() if chaos.clock else 0)
        seconds = wait_for_all(shop, patience)
        after = sizes(shop)
        say(f"everything was loaded {seconds:.0f} s after the last disturbance, at a load of {os.getloadavg()[0]:.1f}")
        say(f"{sum(shop.landed.values())} files landed; what happened: {dict(chaos.done)}")
        say(f"MiB and descriptors before {before}, after {after}")
    finally:
        shop.sluice("down")
    yield from growth_faults(before, after)
    if seconds >= patience:
        yield f"not everything was loaded {patience:.0f} s after the last disturbance"
    yield from faults(shop, receiver, copy)
    yield from ledger_faults(shop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
