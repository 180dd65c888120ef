"""Prefect's API for the pump: one client with a short timeout, opened in the pump's thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import LogCreate
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.prefect.reporting.pump import REQUEST_SECONDS, LogLine, RejectedReportsError, ReportApi, ReportedEvent

_WORTH_ANOTHER_TRY: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
)
_MESSAGE_LENGTH: Final = 25_000
"""Maximum length of a log line in every Prefect version."""


class PrefectReportApi:
    """Sends reports through Prefect's client.

    Args:
        client: An open client that does not retry by itself.
    """

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client

    def send_events(self, events: Sequence[ReportedEvent]) -> None:
        """Deliver events; the server keeps one per id."""
        self._post("/events", [event.body() for event in events])

    def send_lines(self, lines: Sequence[LogLine]) -> None:
        """Deliver log lines."""
        with _rejections():
            self._client.create_logs([_log_create(line) for line in lines])

    def _post(self, path: Any, body: Any) -> None:
        # The API documents the path, but the client's type annotation does not list it.
        with _rejections():
            self._client.request("POST", path, json=body)


@contextmanager
def open_report_api(api_url: str) -> Iterator[ReportApi]:
    """Open the API for the current thread.

    Args:
        api_url: The server of the flow run.
    """
    settings = {PREFECT_API_URL: api_url, PREFECT_CLIENT_MAX_RETRIES: 0}
    with (
        temporary_settings(settings),
        get_client(sync_client=True, httpx_settings={"timeout": REQUEST_SECONDS}) as client,
    ):
        yield PrefectReportApi(client)


@contextmanager
def _rejections() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if error.response.is_client_error and status not in _WORTH_ANOTHER_TRY:
            raise RejectedReportsError(f"HTTP {status}: {error.response.text[:300]}") from error
        raise


def _log_create(line: LogLine) -> LogCreate:
    return LogCreate(
        name=line.logger,
        level=line.level,
        message=line.message[:_MESSAGE_LENGTH],
        timestamp=line.when,
        flow_run_id=line.flow_run_id,
        task_run_id=line.task_run_id,
    )
