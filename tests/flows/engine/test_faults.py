"""Fault after real fault: in the end every table is what an undisturbed run makes of the data, and people know.

A few in CI; many by FAULT_COUNT=300, others by FAULT_SEED, only some by FAULT_KINDS="killed,disk full".
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from flows.incidents.outbox import deliver
from flows.upkeep.heal import heal
from metadata_sync.incident import IncidentKind
from metadata_sync.settings import Settings
from tests.redshift_standin.fixture import redshift_standin
from tests.redshift_standin.server import Standin
from tests.support.engine_project import SELECTS, Workshop, control_rows, copy_project
from tests.support.fault_worlds import DuckDBWorld, PostgresWorld, RedshiftWorld, World
from tests.support.instants import at
from tests.support.postgres_cluster import Cluster, database
from tests.support.receiver import Receiver

__all__ = ["redshift_standin"]

FAULTS = int(os.environ.get("FAULT_COUNT", "0"))
KINDS = tuple(filter(None, os.environ.get("FAULT_KINDS", "").split(",")))
SEED = int(os.environ.get("FAULT_SEED", "20130101"))
IN_CI = {
    "duckdb": ("file locked", "receiver down", "killed"),
    "redshift": ("connections terminated",),
    "postgres": ("connections terminated", "right to write revoked", "disk full"),
}
"""What no other test has: a SELECT at fault, locks and healing on all three engines have tests of their own."""


def settings(**values: object) -> Settings:
    patience = {"lock_wait_seconds": 30, "tries": 2, "retry_pause_seconds": 0, "alert_cooldown_minutes": 0}
    return Settings(alert_channel="data-ops", **patience | values)  # type: ignore[arg-type]


@pytest.fixture
def duckdb_world(workshop: Workshop, receiver: Receiver) -> World:
    workshop.settings = settings()
    workshop.close()
    rows = control_rows()
    for row in rows["transformations"]:
        row["max_rejects"] = 0  # what does not cast any more is a failure, not a reject
    workshop.apply(rows)
    return DuckDBWorld(workshop, receiver, {"SLUICE_ALERT_CHANNEL": "data-ops", **hurried()})


@pytest.fixture
def postgres_world(
    tmp_path: Path, postgres_cluster: Cluster, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    with (
        database(postgres_cluster) as url,
        database(postgres_cluster) as control_url,
        psycopg.connect(url, autocommit=True) as admin,
        a_role(admin) as role,
    ):
        parts = conninfo_to_dict(url) | {"user": role.name, "password": role.password}
        for name, value in (("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("PASSWORD", "password")):
            monkeypatch.setenv(f"SLUICE_POSTGRES_{name}", str(parts[value]))
        monkeypatch.setenv("SLUICE_POSTGRES_DATABASE", str(parts["dbname"]))
        root = (tmp_path / "project").resolve()
        copy_project(root, SELECTS)
        control = control_url.replace("postgresql://", "postgresql+psycopg://", 1)
        workshop = Workshop(root, settings(environment="postgres", control_url=control))
        workshop.apply(rows_on_a_server())
        environment = {
            "SLUICE_ALERT_CHANNEL": "data-ops",
            "SLUICE_ENVIRONMENT": "postgres",
            "SLUICE_CONTROL_URL": control,
            "CONTROL_DATABASE": str(conninfo_to_dict(control_url)["dbname"]),
            **hurried(),
        }
        world = PostgresWorld(workshop, receiver, environment, admin=admin, role=role.name)
        world.tick()
        yield world
        workshop.close()


@pytest.fixture
def redshift_world(
    tmp_path: Path, redshift_standin: Standin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    with psycopg.connect(redshift_standin.url, autocommit=True) as admin, a_role(admin) as role:
        admin.execute(OF_THE_STANDIN.format(role=role.name).encode())
        login = {"SLUICE_REDSHIFT_USER": role.name, "SLUICE_REDSHIFT_PASSWORD": role.password}
        for name, value in (redshift_standin.environment() | login).items():
            monkeypatch.setenv(name, value)
        root = (tmp_path / "project").resolve()
        copy_project(root, SELECTS)
        workshop = Workshop(root, settings(environment="redshift"))
        workshop.apply(rows_on_a_server())
        environment = {"SLUICE_ALERT_CHANNEL": "data-ops", "SLUICE_ENVIRONMENT": "redshift", **hurried()}
        world = RedshiftWorld(workshop, receiver, environment, admin=admin, role=role.name, standin=redshift_standin)
        world.tick()
        yield world
        workshop.close()


def hurried() -> dict[str, str]:
    return {"SLUICE_TRIES": "2", "SLUICE_RETRY_PAUSE_SECONDS": "0", "SLUICE_LOCK_WAIT_SECONDS": "30"}


@dataclass(frozen=True)
class Role:
    """Who runs, without special rights."""

    name: str
    password: str


@contextmanager
def a_role(admin: psycopg.Connection[tuple[object, ...]]) -> Iterator[Role]:
    """Make the sources, and a role that may read them and create schemas of its own."""
    role = Role(f"etl_{os.getpid()}", secrets.token_hex(8))
    admin.execute(SOURCES)
    admin.execute(
        f"""
        create role {role.name} login password '{role.password}';
        grant usage on schema lake to {role.name};
        grant select on all tables in schema lake to {role.name};
        do $$ begin execute format('grant create on database %I to {role.name}', current_database()); end $$;
        """.encode()
    )
    yield role
    admin.execute(f"drop owned by {role.name} cascade; drop role {role.name}".encode())


OF_THE_STANDIN = """
        grant usage on schema rs_catalog to {role};
        grant all on all tables in schema rs_catalog to {role};
"""
SOURCES = b"""
        create schema lake;
        create table lake.orders (
            order_id bigint, customer varchar(5), region varchar(5), amount numeric(8, 2), landed_at timestamp
        );
        insert into lake.orders select i, 'c' || (i % 3), case when i % 2 = 0 then 'n' else 's' end, i + 1,
            timestamp '2013-01-01 12:00:00' + i * interval '1 minute' from generate_series(1, 10) as t (i);
        create table lake.regions (region varchar(5), label varchar(20));
        insert into lake.regions values ('n', 'North'), ('s', 'South');
"""


def rows_on_a_server() -> dict[str, list[dict[str, object]]]:
    """The rows of the workshop, with sources in the warehouse."""
    rows = control_rows()
    for source in rows["sources"]:
        for name in ("format", "location"):
            del source[name]
        source["kind"] = "warehouse"
        if source["table"] == "regions":
            source["probe"] = "select count(*) from lake.regions"
    for pipeline in rows["pipelines"]:
        pipeline["template"] = "presentation"
    return rows


@pytest.mark.parametrize(
    "engine",
    [
        "duckdb",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("redshift", marks=[pytest.mark.postgres, pytest.mark.redshift_standin]),
    ],
)
@pytest.mark.timeout(0 if FAULTS else 300)
def test_faults_leave_no_trace_but_their_alerts(engine: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(f"{engine}_world")
    chance = random.Random(SEED)
    kinds = [chance.choice(KINDS or sorted(world.faults)) for _ in range(FAULTS)] if FAULTS else IN_CI[engine]
    for number, kind in enumerate(kinds):
        world.land(number)
        mend = world.faults[kind](chance)
        check_what_is_off(world, kind)
        mend()
        heal(world.workshop.context, is_forced=True)
        last, _ = world.workshop.run()
        assert not last.has_failed, (
            number,
            kind,
            [outcome.error or outcome.decision.message for outcome in last.outcomes],
        )
        check_that_all_is_well(world, number, kind)
        if FAULTS:
            print(f"{engine} {number + 1} of {FAULTS}: {kind}", flush=True)
    check_alerts(world)


def check_what_is_off(world: World, kind: str) -> None:
    """Every row that is off has one open incident and says why; every other row is on."""
    store = world.workshop.context.store if not kind.startswith("control") else None
    if store is None:
        return
    open_ = Counter(item.subject for item in store.incidents() if item.kind is IncidentKind.LOAD)
    assert set(open_.values()) <= {1}, (kind, open_)
    for row in store.read_rows().transformations:
        if not row.is_active:
            assert row.deactivated_by == "framework"
            assert row.comments
            assert open_[row.key] == 1, (kind, row.key, row.comments)


def check_that_all_is_well(world: World, number: int, kind: str) -> None:
    store = world.workshop.context.store
    assert all(row.is_active and row.comments is None for row in store.read_rows().transformations), (number, kind)
    assert store.incidents() == (), (number, kind)
    assert not store.leases(), (number, kind)
    for name, (found, expected) in world.tables().items():
        assert found == expected, (number, kind, name)
    assert world.watermarks() == [], (number, kind)
    assert not world.workshop.plan().is_due, (number, kind)


def check_alerts(world: World) -> None:
    """Whoever was told that something began was told that it ended, each once, and no message was lost."""
    store = world.workshop.context.store
    deliver(at(world.workshop.context, datetime.now(UTC) + timedelta(hours=1)))
    alerts = store.alerts()
    assert all(alert.sent_at for alert in alerts)
    by_event = {event: [item.incident_id for item in alerts if item.event == event] for event in ("opened", "resolved")}
    assert sorted(by_event["opened"]) == sorted(by_event["resolved"])
    assert len(set(by_event["opened"])) == len(by_event["opened"])
    taken = Counter(body["alert_id"] for body in world.receiver.bodies)
    assert taken.keys() == {alert.alert_id for alert in alerts}
