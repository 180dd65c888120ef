"""Lets Prefect's application bear many clients at once on SQLite, which has one writer at a time.

Writers wait for their turn in order (`queue_writers`). Where another process has locked the file all the same, Prefect
rolls the request back, answers HTTP 503 and expects its clients to try again. Its client waits for seconds before it
does, a browser does not try at all, and a run of the command line must not wait. So the local server tries again
itself, after short random pauses (`PatientApp`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from prefect.server.database.configurations import AioSqliteConfiguration
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.ext.asyncio.session import AsyncSessionTransaction

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BUDGET_SECONDS: Final = 4.0
"""How long one request is tried: less than the timeout of a run's requests."""
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.5


class PatientApp:
    """An application whose requests are tried again while they end with HTTP 503.

    Args:
        app: Prefect's application.
        budget_seconds: How long to try; the client then gets the last answer.
    """

    def __init__(self, app: App, budget_seconds: float = BUDGET_SECONDS) -> None:
        self._app = app
        self._budget = budget_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        deadline, pause = time.monotonic() + self._budget, _FIRST_PAUSE
        while True:
            attempt = _Attempt(body, receive, send, is_last=time.monotonic() + pause > deadline)
            try:
                await self._app(dict(scope), attempt.receive, attempt.send)
            except Exception:
                if not attempt.was_busy:  # Starlette raises the error once more after it has answered
                    raise
            if not attempt.was_busy:
                return
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (a pause, not a secret)
            pause = min(2 * pause, _LONGEST_PAUSE)


class _Attempt:
    """One attempt: gives the application the body of the request, and keeps an answer that is not to be sent."""

    def __init__(self, body: list[Any], receive: Receive, send: Send, *, is_last: bool) -> None:
        self._waiting = list(body)
        self._receive = receive
        self._send = send
        self._is_last = is_last
        self.was_busy = False

    async def receive(self) -> Any:
        return self._waiting.pop(0) if self._waiting else await self._receive()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
            self.was_busy = not self._is_last
        if not self.was_busy:
            await self._send(message)


async def _read_body(receive: Receive) -> list[Any]:
    messages = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages


def queue_writers() -> None:
    """Let each transaction that Prefect opens for a change wait for its turn, and begin as a writer.

    SQLite has one writer at a time. Most of Prefect's transactions begin deferred: they read, then write. SQLite
    refuses such a write at once, whatever the busy timeout, when another transaction was committed in between: with two
    dozen clients hardly any succeeds. One that begins as a writer waits, but SQLite lets waiting writers poll, and some
    wait for a minute. So they queue here, in their order. The server is one process with one event loop.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration

    begin = AioSqliteConfiguration.begin_transaction
    turn = asyncio.Lock()
    has_turn: ContextVar[bool] = ContextVar("has_turn", default=False)

    @asynccontextmanager
    async def begin_in_turn(
        self: AioSqliteConfiguration,
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: ARG001 (Prefect's signature)
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        async with nullcontext() if has_turn.get() else turn:
            token = has_turn.set(True)
            try:
                async with begin(self, session, with_for_update=True) as transaction:
                    yield transaction
            finally:
                has_turn.reset(token)

    AioSqliteConfiguration.begin_transaction = begin_in_turn  # type: ignore[method-assign]
