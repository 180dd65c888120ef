"""Many clients write at once: SQLite has one writer, and none of them is turned away."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import Request, urlopen

from tests.support.live_server import Server

CLIENTS, ROUNDS = 16, 1
NIGHTLY = {"schedule": {"cron": "0 3 * * *", "timezone": "Asia/Jakarta"}, "active": True}


def test_many_clients_write_at_once_and_none_is_turned_away(server: Server) -> None:
    flow = server.ask("/flows/", {"name": "many-writers"})["id"]

    def post(path: str, body: Any) -> Any:
        """Ask once: an answer of 503 is an error here, whatever other clients make of it."""
        data = json.dumps(body).encode()
        with urlopen(Request(f"{server.api_url}{path}", data, {"content-type": "application/json"}), timeout=90) as got:
            return json.load(got)

    def write(client: int) -> Iterator[str]:
        """Read, then write, in one transaction of the server each."""
        body = {"name": f"writer-{client}", "flow_id": flow, "schedules": [NIGHTLY], "concurrency_limit": 1}
        deployment = post("/deployments/", body)["id"]
        for _ in range(ROUNDS):
            run = post(f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
            for state in ("RUNNING", "COMPLETED"):
                yield post(f"/flow_runs/{run}/set_state", {"state": {"type": state}, "force": True})["status"]

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = Counter(
            answer for answers in clients.map(lambda client: [*write(client)], range(CLIENTS)) for answer in answers
        )

    assert answers == {"ACCEPT": CLIENTS * ROUNDS * 2}
