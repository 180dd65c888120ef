"""Plain HTTP requests to Prefect's API, without importing Prefect: that takes longer than most requests.

The server on SQLite answers HTTP 503 while its database is locked, and asks its clients to try again. So each request
is sent again after short random pauses, until its budget of time is used up.
"""

from __future__ import annotations

import base64
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    import httpx

Post = Callable[[str, dict[str, Any]], Any]
"""Sends a POST request to the API and returns the answer; raises `httpx.HTTPError`."""

BUSY: Final = frozenset(
    {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
"""Answers of a server that is only busy or restarting."""
BUSY_SECONDS: Final = 20.0
"""How long a request is sent again to a busy server."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0
_JITTER: Final = (0.5, 1.5)
_TIMEOUT_SECONDS: Final = 60.0
"""Timeout of one request: the server itself waits up to 60 seconds for its SQLite file."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_Answer = TypeVar("_Answer")


def patiently(
    request: Callable[[], _Answer],
    budget_seconds: float = BUSY_SECONDS,
    *,
    may_repeat: Callable[[], bool] = lambda: True,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> _Answer:
    """Send a request, again while the server is only busy: for requests that may arrive twice.

    Args:
        request: Sends it.
        budget_seconds: How long to try; the last error is raised then.
        may_repeat: Asked before each further attempt.
        clock: Monotonic seconds.
        sleep: Waits a number of seconds.

    Raises:
        httpx.HTTPError: When the server refuses, or was busy for all that time.
    """
    import httpx

    deadline, pause = clock() + budget_seconds, _FIRST_PAUSE
    while True:
        try:
            return request()
        except (httpx.HTTPStatusError, httpx.TransportError) as error:
            wait = pause * random.uniform(*_JITTER)  # noqa: S311 (a pause, not a secret)
            if not (is_busy(error) and may_repeat()) or clock() + wait > deadline:
                raise
        sleep(wait)
        pause = min(2 * pause, _LONGEST_PAUSE)


def is_busy(error: Exception) -> bool:
    """Tell whether an error shows a server that is busy or was interrupted, so that another attempt may succeed."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in BUSY
    return isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError))


class PrefectApi:
    """One server's API.

    Args:
        client: Sends the requests.
        budget_seconds: How long a request is sent again to a busy server.
    """

    def __init__(self, client: httpx.Client, budget_seconds: float) -> None:
        self._client = client
        self._budget = budget_seconds

    def get(self, path: str) -> Any:
        """Return the answer to a GET request; None when it has no body.

        Raises:
            httpx.HTTPError: When the server does not answer or refuses.
        """
        return patiently(lambda: self._send("GET", path, None), self._budget)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the answer to a POST request; None when it has no body.

        Raises:
            httpx.HTTPError: When the server does not answer or refuses.
        """
        return patiently(lambda: self._send("POST", path, body), self._budget)

    def delete(self, path: str) -> None:
        """Send a DELETE request; what does not exist any more counts as deleted.

        Raises:
            httpx.HTTPError: When the server does not answer or refuses.
        """
        import httpx

        try:
            patiently(lambda: self._send("DELETE", path, None), self._budget)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.NOT_FOUND:
                raise

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        answer = self._client.request(method, path, json=body)
        if answer.status_code == HTTPStatus.FORBIDDEN and "CSRF" in answer.text:
            self._fetch_csrf_token()
            answer = self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _fetch_csrf_token(self) -> None:
        name = str(uuid4())
        answer = self._client.get("/csrf-token", params={"client": name}).raise_for_status()
        self._client.headers.update({"Prefect-Csrf-Token": answer.json()["token"], "Prefect-Csrf-Client": name})


@contextmanager
def open_api(
    api_url: str,
    *,
    auth: str | None = None,
    budget_seconds: float = BUSY_SECONDS,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> Iterator[PrefectApi]:
    """Open the API of a server.

    Args:
        api_url: Its address, as in `PREFECT_API_URL`.
        auth: `user:password`; None: the credentials of the environment variables.
        budget_seconds: How long a request is sent again to a busy server.
        timeout_seconds: Timeout of one request.
    """
    import httpx

    auth = auth or os.environ.get("PREFECT_API_AUTH_STRING")
    headers = {}
    if auth:
        headers = {"authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}
    elif key := os.environ.get("PREFECT_API_KEY"):
        headers = {"authorization": f"Bearer {key}"}
    is_loopback = urlsplit(api_url).hostname in _LOOPBACK  # requests to loopback must not go through a proxy
    with httpx.Client(base_url=api_url, headers=headers, timeout=timeout_seconds, trust_env=not is_loopback) as client:
        yield PrefectApi(client, budget_seconds)
