"""A simulated S3 that refuses on demand, and remembers who asked for what."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Refuse = Callable[[str, str], "tuple[int, str] | None"]
"""Method and path → status and code of a refusal, or None."""

_BODY = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code} on purpose</Message></Error>"


@dataclass
class SimulatedS3:
    """The server.

    Attributes:
        url: Its address.
        refuse: Decides which requests are refused.
        requests: (method, path, authorization, session token) of each request.
    """

    url: str = ""
    refuse: Refuse = lambda method, path: None
    requests: list[tuple[str, str, str, str]] = field(default_factory=list)

    def answer(self, environ: dict[str, Any], start_response: Any, application: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], unquote(environ["PATH_INFO"].encode("latin-1").decode())
        signed, token = environ.get("HTTP_AUTHORIZATION", ""), environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")
        self.requests.append((method, path, signed, token))
        refused = self.refuse(method, path)
        if refused is None:
            return list(application(environ, start_response))
        status, code = refused
        start_response(f"{status} Refused", [("Content-Type", "application/xml")])
        return [] if method == "HEAD" else [_BODY.format(code=code).encode()]


@contextmanager
def simulated_s3() -> Iterator[SimulatedS3]:
    """Serve until the end of the block."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    found = SimulatedS3()
    backend = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, lambda environ, start: found.answer(environ, start, backend), threaded=True)
    found.url = f"http://127.0.0.1:{server.port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def install_httpfs(home: Path) -> None:
    """Put DuckDB's extension for S3 where DuckDB looks for it below a home folder; fails where it is not installed."""
    import duckdb
    import duckdb_extension_httpfs  # type: ignore[import-not-found]  # only in the packages of make test-lake

    (found,) = Path(duckdb_extension_httpfs.__file__).parent.glob("extensions/*/httpfs.duckdb_extension")
    with duckdb.connect() as connection:
        ((version,),) = connection.execute("select library_version from pragma_version()").fetchall()
        ((platform,),) = connection.execute("pragma platform").fetchall()
    assert found.parent.name == version, f"httpfs of {found.parent.name} does not fit DuckDB {version}"
    place = home / ".duckdb" / "extensions" / version / platform
    place.mkdir(parents=True)
    shutil.copy(found, place)
    os.environ["HOME"] = str(home)
