"""Prefect as production runs it: on PostgreSQL, with authentication and CSRF protection, by the files of deploy/."""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from dotenv import dotenv_values

from flows.server.background import Background
from flows.server.local import is_healthy, without_prefect
from tests.support.live_server import Server

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Guarded(Server):
    """A server that asks who is there; it is asked with its password and a CSRF token.

    Attributes:
        auth: `user:password`.
        database_url: Its PostgreSQL database, as psycopg takes it.
    """

    auth: str = ""
    database_url: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What every question bears: the password, and a token against forgery."""
        request = Request(f"{self.api_url}/csrf-token?client=tests", headers=self.credentials)
        with urlopen(request, timeout=30) as response:
            token = json.load(response)["token"]
        return {**self.credentials, "prefect-csrf-token": token, "prefect-csrf-client": "tests"}

    @property
    def credentials(self) -> dict[str, str]:
        return {"authorization": "Basic " + base64.b64encode(self.auth.encode()).decode()}

    def start(self) -> None:
        """Start it and wait for its first answer."""
        Background(self.local.folder, "guarded").start(self._command, self._environ)
        self.until(lambda: is_healthy(self.api_url, 1.0), 120)

    def stop(self) -> None:
        Background(self.local.folder, "guarded").stop()

    @property
    def client_environ(self) -> dict[str, str]:
        """What a worker and commands are given, besides the project's own settings."""
        return {
            **without_prefect(os.environ),
            **settings_of("worker.env"),
            "PREFECT_HOME": str(self.local.folder),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_API_AUTH_STRING": self.auth,
        }

    @property
    def _command(self) -> list[str]:
        where = ["--host", self.local.host, "--port", str(self.local.port)]
        return [sys.executable, "-m", "prefect", "server", "start", *where]

    @property
    def _environ(self) -> dict[str, str]:
        return {
            **without_prefect(os.environ),
            **settings_of("server.env"),
            "PREFECT_HOME": str(self.local.folder),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_API_AUTH_STRING": self.auth,
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": self.database_url.replace("postgresql", "postgresql+asyncpg", 1),
        }


def settings_of(name: str) -> dict[str, str]:
    """Return a file of deploy/ as it stands there."""
    return {key: value for key, value in dotenv_values(REPOSITORY / "deploy" / name).items() if value is not None}
