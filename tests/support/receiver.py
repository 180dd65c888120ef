"""A real HTTP server that takes alerts, and may refuse some of them first."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What arrived.

    Attributes:
        url: Where it listens; the last part of the path is the channel.
        bodies: What it took, in order.
        refusals: So many of the next requests are answered with HTTP 500.
        asked: How many requests there were.
    """

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    refusals: int = 0
    asked: int = 0

    def told(self, event: str | None = None) -> list[str]:
        """Return the titles of what it took."""
        return [body["title"] for body in self.bodies if event in (None, body["event"])]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            receiver.asked += 1
            if receiver.refusals:
                receiver.refusals -= 1
                self.send_response(500)
            else:
                receiver.bodies.append({**body, "path": self.path})
                self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
