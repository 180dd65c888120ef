"""The pins: with other versions of FastAPI or SQLAlchemy the server does not start, or silently never schedules."""

from __future__ import annotations

import time

from tests.support.live_server import Server


def test_scheduled_runs_appear_for_a_deployment_with_a_cron(server: Server) -> None:
    flow = server.ask("/flows/", {"name": "scheduled"})
    deployment = server.ask(
        "/deployments/",
        {
            "name": "every-minute",
            "flow_id": flow["id"],
            "schedules": [{"schedule": {"cron": "* * * * *", "timezone": "Asia/Jakarta"}, "active": True}],
        },
    )

    deadline = time.monotonic() + 60
    runs = []
    while not runs and time.monotonic() < deadline:
        runs = server.ask("/flow_runs/filter", {"deployments": {"id": {"any_": [deployment["id"]]}}, "limit": 5})
        time.sleep(0.5)

    assert runs, "no run was scheduled: see the pins of SQLAlchemy and FastAPI in pyproject.toml"
    assert all(run["state_type"] == "SCHEDULED" and run["auto_scheduled"] for run in runs)
