"""A server whose SQLite file is locked: requests are sent again after short pauses, and given up in time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from flows.server.api import open_api, patiently
from flows.server.busy import PatientApp


class Application:
    """Answers 503 a number of times, then tells what it was sent."""

    def __init__(self, busy: int) -> None:
        self.busy = busy
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        self.calls += 1
        status = 503 if self.calls <= self.busy else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})
        if status == 503:  # so does Starlette, which has answered by then
            raise RuntimeError("database is locked")


def ask(app: Any, parts: list[bytes]) -> list[Any]:
    """Send one request in parts, and return what is answered."""
    waiting = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    with suppress(RuntimeError):
        asyncio.run(app({"type": "http", "path": "/api/flows"}, receive, send))
    return sent


def test_local_server_tries_a_request_again_that_met_a_locked_database() -> None:
    app = Application(busy=3)

    start, body = ask(PatientApp(app), [b"one ", b"two"])

    assert (start["status"], body["body"], app.calls) == (200, b"one two", 4)


def test_local_server_gives_up_in_time_and_answers_with_the_last_error() -> None:
    app = Application(busy=10_000)

    start, _ = ask(PatientApp(app, budget_seconds=0.2), [b""])

    assert start["status"] == 503
    assert 1 < app.calls < 20


@contextmanager
def busy_server(answers: list[int]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers, then 200 with the token that was sent."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            status = answers.pop(0) if answers else 200
            body = b"Missing CSRF token" if status == 403 else json.dumps(self.headers["Prefect-Csrf-Token"]).encode()
            self._answer(status, body)

        def do_GET(self) -> None:
            seen.append(self.path.partition("?")[0])
            self._answer(200, b'{"token": "t1"}')

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api", seen
        server.shutdown()


def test_request_is_sent_again_to_a_busy_server_and_with_a_token_where_one_is_asked_for() -> None:
    with busy_server([503, 403, 502]) as (url, seen), open_api(url) as api:
        assert api.post("/flows/filter", {}) == "t1"

    assert seen == [
        "/api/flows/filter",
        "/api/flows/filter",
        "/api/csrf-token",
        "/api/flows/filter",
        "/api/flows/filter",
    ]


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_refusal_is_raised_at_once(status: int) -> None:
    with busy_server([status]) as (url, seen), open_api(url) as api, pytest.raises(httpx.HTTPStatusError):
        api.post("/flows/filter", {})

    assert len(seen) == 1


def test_budget_ends_the_attempts() -> None:
    now, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    def busy() -> None:
        request = httpx.Request("POST", "http://x")
        raise httpx.HTTPStatusError("busy", request=request, response=httpx.Response(503, request=request))

    with pytest.raises(httpx.HTTPStatusError):
        patiently(busy, 10, clock=lambda: now[0], sleep=sleep)
    with pytest.raises(httpx.HTTPStatusError):
        patiently(busy, 10, may_repeat=lambda: False, clock=lambda: now[0], sleep=sleep)

    assert 5 < sum(waits) <= 10
    assert max(waits) <= 3
    assert waits[0] < 0.4
