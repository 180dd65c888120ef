"""Fresh starts under load: does the first run of a new project reach Prefect's UI?

    python -m tests.chaos.first_runs [--count 20] [--burners 2]

Each start is what `make demo` does: a new project, `sluice up`, `sluice run` at once. A run counts when its page on the
server says that it is completed. Exit code 1 when one is missing.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

from flows.server.local import local_server, read_auth
from tests.chaos.shop import Shop
from tests.chaos.story import say
from tests.support.live_server import free_port

BURN = "while True: pass"


def main(arguments: list[str]) -> int:
    """Start fresh projects, one after the other; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.first_runs", description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--burners", type=int, default=2, help="processes that keep a processor busy each")
    chosen = parser.parse_args(arguments)
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(chosen.burners)]
    try:
        found = [_reaches_the_ui() for _ in range(chosen.count)]
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    say(f"{found.count(True)} of {len(found)} first runs are in the UI")
    return 0 if all(found) else 1


def _reaches_the_ui() -> bool:
    with tempfile.TemporaryDirectory(prefix="sluice-first-") as folder:
        shop = Shop(Path(folder) / "project", free_port(), "http://127.0.0.1:9/", pipelines=1)
        shop.write("0 6 * * *")
        began = time.monotonic()
        try:
            for command in (("control", "apply", "--yes"), ("up",)):
                done = shop.sluice(*command)
                if done.returncode:
                    say(f"sluice {command[0]} failed: {done.stderr}")
                    return False
            done = shop.sluice("run", "--json")
            page = str(json.loads(done.stdout).get("ui") or "")
            is_there = bool(page) and _state(shop, page.rpartition("/")[2]) == "COMPLETED"
        finally:
            shop.sluice("down")
        say(f"in the UI: {is_there}, after {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
        return is_there


def _state(shop: Shop, flow_run_id: str) -> str:
    local = local_server(shop.context)
    auth = base64.b64encode((read_auth(local.folder) or "").encode()).decode()
    request = Request(f"{local.api_url}/flow_runs/{flow_run_id}", headers={"authorization": f"Basic {auth}"})
    with urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["state_type"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
