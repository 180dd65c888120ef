"""Ends a run that was looked at before, unless it has gone on since."""

from __future__ import annotations

from collections.abc import Mapping

from flows.server.api import PrefectApi


def end_run(api: PrefectApi, run_id: str, seen_state_id: str, wanted: Mapping[str, str]) -> bool:
    """Set a final state, unless the run has changed since the look.

    Args:
        api: An open API.
        run_id: The flow run.
        seen_state_id: Its state when it was looked at.
        wanted: The final state: type, name and message.

    Returns:
        Whether the server accepted it.

    Raises:
        httpx.HTTPError: When the server does not answer.
    """
    if api.get(f"/flow_runs/{run_id}")["state"]["id"] != seen_state_id:
        return False
    answer = api.post(f"/flow_runs/{run_id}/set_state", {"state": dict(wanted)})
    return bool(answer["status"] == "ACCEPT")
