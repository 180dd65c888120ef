"""The local server's program: Prefect's own application behind a guard that pins who may speak to it.

    python -m flows.server.app HOST PORT

A page of another origin may make a browser send requests here, and a name that somebody rebinds to this address makes
them look like our own. The guard answers only what is addressed to the server by its own name and does not come from
another site. `/open` logs the browser in: the link carries the password behind `#`, which no browser sends anywhere.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any, Final

from flows.server.busy import App, PatientApp, Receive, Scope, Send, queue_writers

OPEN_PATH: Final = "/open"
_FOREIGN: Final = frozenset({"cross-site", "same-site"})
_API: Final = "/api"
_OPEN_PAGE: Final = b"""<!doctype html><meta charset="utf-8"><title>Sluice</title><script>
const credential = decodeURIComponent(location.hash.slice(1));
if (credential) localStorage.setItem("prefect-password", btoa(credential));
location.replace("/v2");
</script>
"""


class Guard:
    """Lets through what is addressed to this server by its own name and comes from no other site.

    Args:
        app: Prefect's application.
        host: Address that it listens on.
        port: Its port.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        names = {host, "localhost"} if host.startswith("127.") or host == "::1" else {host}
        self._app = app
        self._names = {f"[{name}]" if ":" in name else name for name in names}
        self._origins = {f"http://{name}:{port}" for name in self._names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let Prefect do it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
        elif not self._is_own(scope):
            await _refuse(scope, send)
        elif scope["type"] == "http" and scope["path"] == OPEN_PATH:
            await _answer(send, 200, _OPEN_PAGE, b"text/html; charset=utf-8")
        else:
            await self._app(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        headers = _texts(scope["headers"])
        # Any port: a forwarded one, as of `ssh -L`, differs from ours. A foreign name is what must not pass.
        name, _, port = headers.get("host", "").rpartition(":")
        if name not in self._names or not port.isdigit() or headers.get("origin", "") not in {"", *self._origins}:
            return False
        is_called = scope["type"] == "websocket" or scope["path"].startswith(_API)
        return not is_called or headers.get("sec-fetch-site") not in _FOREIGN


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1").lower() for name, value in headers}


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await _answer(send, 403, b"This server answers no other site, and under no other name.\n", b"text/plain")


async def _answer(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main(host: str, port: int) -> None:
    """Serve until the process is ended."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.server.concurrency.lease_storage import get_concurrency_lease_storage

    from flows.server.slot_leases import renew_leases

    asyncio.run(renew_leases(get_concurrency_lease_storage()))
    queue_writers()
    app: Any = create_app(final=True)
    uvicorn.run(Guard(PatientApp(app), host, port), host=host, port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
