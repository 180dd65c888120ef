"""Production in small: Prefect on PostgreSQL behind a password, a worker, a warehouse and control tables on PostgreSQL.

One story, for starting all this takes long: a schedule fires, the server is started anew in the middle of a run, the
worker is killed in the middle of another, and in the end nobody finds the secrets that lay about.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from flows.context import Context
from flows.doctor.server import examine_server
from flows.server.background import Background
from flows.server.local import LocalServer
from metadata_sync.database.journals.entries import LoadStatus
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.forked_sluice import run_sluice
from tests.support.guarded_server import Guarded
from tests.support.live_server import free_port
from tests.support.postgres_cluster import Cluster, database
from tests.support.project_copy import copy_project

pytestmark = pytest.mark.postgres

AWS_KEY, AWS_SECRET, TOKEN = "AKIAPLANTED0PLANTED1", "planted/aws+secret/0123456789", "planted-token-4711"
DSN_PASSWORD = "planted-dsn-password"
NOTE = f"postgresql://etl:{DSN_PASSWORD}@db/x {AWS_KEY} aws_secret_access_key={AWS_SECRET}"
ROWS = {
    "sources": [
        {"schema": "shop", "table": name, "kind": "warehouse", "incremental_key": "landed_at"}
        for name in ("orders", "notes")
    ],
    "pipelines": [
        {
            "pipeline_id": "orders",
            "pipeline_name": "Orders",
            "template": "presentation",
            "schedule": "* * * * *",
            "alert_channel": "night-watch",
        }
    ],
    "transformations": [
        {
            "target_schema": "dwh",
            "target_table": table,
            "pipeline_id": "orders",
            "sql_path": f"transformations/{table}.sql",
            "load_type": "append",
            "business_key": ["order_id"],
            "dependencies": [{"table": source, "driving": True}],
        }
        for table, source in (("fact_order", "shop.orders"), ("fact_note", "shop.notes"))
    ],
}
SELECTS = {
    "fact_order": "select o.order_id, o.amount, o.landed_at from shop.orders as o",
    "fact_note": "select n.order_id, cast(n.note as integer) as note, n.landed_at from shop.notes as n",
}


@dataclass
class Production:
    """A project as it stands in production, and its worker.

    Attributes:
        context: The project, for looking at its control tables.
        server: Prefect.
        environ: What the worker and commands are given.
        warehouse_url: The warehouse; the control tables lie in the same database.
    """

    context: Context
    server: Guarded
    environ: Mapping[str, str]
    warehouse_url: str

    @property
    def worker(self) -> Background:
        return Background(self.context.project.state_dir, "worker")

    def start_worker(self) -> None:
        self.context.project.state_dir.mkdir(exist_ok=True)
        arguments = ["-m", "prefect", "worker", "start", "--pool", "sluice", "--type", "process"]
        self.worker.start([sys.executable, *arguments], {**self.environ, "PREFECT_WORKER_QUERY_SECONDS": "2"})

    def sluice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_sluice(arguments, self.environ)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.warehouse_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement))  # type: ignore[arg-type]

    def count(self, table: str) -> int:
        with psycopg.connect(self.warehouse_url) as connection:
            found = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split("."))))
            return int(found.fetchone()[0])  # type: ignore[index]

    @contextmanager
    def held_up(self, table: str) -> Iterator[Callable[[], bool]]:
        """Let whoever writes the table wait; yield what tells whether somebody does."""
        with psycopg.connect(self.warehouse_url) as holder, psycopg.connect(self.warehouse_url) as looker:
            looker.autocommit = True
            name = sql.Identifier(*table.split("."))
            holder.execute(sql.SQL("lock table {} in share mode").format(name))
            waiting = "select count(*) from pg_locks where not granted and relation = %s::regclass"
            yield lambda: bool(looker.execute(waiting, [table]).fetchone()[0])  # type: ignore[index]


@pytest.fixture
def production(postgres_cluster: Cluster, tmp_path: Path) -> Iterator[Production]:
    with database(postgres_cluster) as prefect_url, database(postgres_cluster) as warehouse_url:
        local = LocalServer(tmp_path / "prefect", free_port())
        local.folder.mkdir()
        server = Guarded(local, auth=f"team:{secrets.token_hex(8)}", database_url=prefect_url)
        made = _project(tmp_path / "project", server, warehouse_url)
        try:
            server.start()
            yield made
        finally:
            made.worker.stop()
            server.stop()
            made.context.store.close()


def _project(root: Path, server: Guarded, url: str) -> Production:
    copy_project(root, SELECTS)
    (root / "dbt_project" / "control" / "orders.yml").write_text(yaml.safe_dump(ROWS))
    parts = conninfo_to_dict(url)
    warehouse = {
        f"SLUICE_POSTGRES_{name}": str(parts[key])
        for name, key in (
            ("HOST", "host"),
            ("PORT", "port"),
            ("USER", "user"),
            ("PASSWORD", "password"),
            ("DATABASE", "dbname"),
        )
    }
    control = url.replace("postgresql", "postgresql+psycopg", 1)
    environ = {
        **server.client_environ,
        **warehouse,
        "SLUICE_PROJECT_ROOT": str(root),
        "SLUICE_ENVIRONMENT": "prod",
        "SLUICE_DBT_TARGET": "postgres",
        "SLUICE_CONTROL_URL": control,
        "SLUICE_CHANNEL_NIGHT_WATCH": f"http://127.0.0.1:{free_port()}/hook?token={TOKEN}",
    }
    settings = Settings(environment="prod", dbt_target="postgres", control_url=control)
    production = Production(Context(Project(root), settings, "tester"), server, environ, url)
    production.execute("""
        create schema shop;
        create table shop.orders (order_id bigint, amount integer, landed_at timestamp);
        create table shop.notes (order_id bigint, note text, landed_at timestamp);
        insert into shop.orders values (1, 12, '2013-01-01');
    """)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into shop.notes values (1, %s, '2013-01-01')", [NOTE])
    return production


@pytest.mark.timeout(600)
def test_production_in_small(production: Production) -> None:
    server = production.server
    assert server.status("/flows/filter", {}, headers=server.headers | {"authorization": "Basic bm86bm8="}) == 401
    assert server.status("/flows/filter", {}, headers=server.credentials) == 403
    assert server.status("/flows/filter", {}) == 200

    applied = production.sluice("control", "apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    deployed = production.sluice("deploy", "--json")
    assert deployed.returncode == 0, deployed.stderr + deployed.stdout
    assert {"create"} == {change["action"] for change in json.loads(deployed.stdout)["changes"]}
    production.start_worker()
    deployment = server.deployment("orders@prod")["id"]

    _check_doctor(production)
    _check_scheduled_run(production, deployment)
    assert server.status(f"/deployments/{deployment}/pause_deployment", {}) == 200
    under_way = {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}}
    server.until(lambda: not server.runs_of(deployment, **under_way), 90)  # else what follows is refused
    _check_server_restarted_in_mid_run(production, deployment)
    _check_worker_killed_in_mid_run(production, deployment)
    _check_no_secret_is_found(production)


def _check_doctor(production: Production) -> None:
    workers = "/work_pools/sluice/workers/filter"
    production.server.until(lambda: any(item["status"] == "ONLINE" for item in production.server.ask(workers, {})), 90)
    asked = production.sluice("doctor", "--json")
    levels = {item["check"]: (item["level"], item["message"]) for item in json.loads(asked.stdout)["findings"]}
    assert levels["authentication"] == ("ok", "required")
    assert levels["telemetry"] == ("ok", "off")
    assert "CSRF protection" not in levels
    clocks = ("clock prefect server", "clock control database", "clock warehouse")
    well = ("prefect server", "prefect version", "task runs", *clocks, "work pool", "deployments")
    assert {check: levels[check][0] for check in well} == dict.fromkeys(well, "ok"), levels

    with temporary_settings({PREFECT_API_AUTH_STRING: SecretStr("team:wrong")}):
        (refused,) = examine_server(production.context, production.server.api_url)
    assert (refused.check, refused.level) == ("prefect server", "fail")
    assert "refuses these credentials" in refused.message


def _check_scheduled_run(production: Production, deployment: str) -> None:
    # A tick that comes while a run is at work is refused: its run ends as cancelled.
    only = {"tags": {"all_": ["auto-scheduled"]}, "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
    (run, *_) = production.server.ended(1, deployment, 180, **only)

    assert run["state"]["message"] == "1 failed (dwh.fact_note), 1 loaded"
    assert production.count("dwh.fact_order") == 1
    shown = production.server.task_runs(run["id"], 3)
    assert {name: item["state_name"] for name, item in shown.items()} == {
        "gate": "Completed",
        "dwh.fact_order": "Completed",
        "dwh.fact_note": "Failed",
    }


def _check_server_restarted_in_mid_run(production: Production, deployment: str) -> None:
    production.execute("insert into shop.orders values (2, 7, '2013-01-02')")
    with production.held_up("dwh.fact_order") as is_waiting:
        run_id = production.server.start_run(deployment)
        production.server.until(is_waiting, 90)
        production.server.stop()
        production.server.start()

    (run,) = production.server.ended(1, deployment, 120, id={"any_": [run_id]})
    assert run["state_type"] == "COMPLETED", run["state"]
    assert production.count("dwh.fact_order") == 2


def _check_worker_killed_in_mid_run(production: Production, deployment: str) -> None:
    production.execute("insert into shop.orders values (3, 9, '2013-01-03')")
    with production.held_up("dwh.fact_order") as is_waiting:
        lost = production.server.start_run(deployment)
        production.server.until(is_waiting, 90)
        _kill(production.worker)
    assert production.count("dwh.fact_order") == 2
    production.server.set_state(lost, "CRASHED")  # what the automation does after its two minutes and a half

    next_run = production.sluice("run", "orders", "--ignore-off", "--json")  # dwh.fact_note is off since it failed

    assert next_run.returncode == 0, next_run.stderr + next_run.stdout
    assert production.count("dwh.fact_order") == 3
    url = str(json.loads(next_run.stdout)["ui"])
    shown = production.server.task_runs(url.rpartition("/")[2], 2)
    assert shown["dwh.fact_order"]["state_name"] == "Completed"
    loads = production.context.store.latest_loads().newest
    assert {load.target: load.status for load in loads}["dwh.fact_order"] is LoadStatus.SUCCESS


def _kill(worker: Background) -> None:
    """Kill the worker and the runs that it has under way, as the end of their machine does."""
    process = worker.running()
    assert process is not None
    for pid in [process.pid, *_descendants(process.pid)]:
        os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [*children, *(grandchild for child in children for grandchild in _descendants(child))]


def _check_no_secret_is_found(production: Production) -> None:
    server = production.server
    planted = {
        "warehouse password": str(conninfo_to_dict(production.warehouse_url)["password"]),
        "Prefect's password": server.auth.partition(":")[2],
        "password in a DSN": DSN_PASSWORD,
        "AWS key": AWS_KEY,
        "AWS secret": AWS_SECRET,
        "webhook token": TOKEN,
    }
    found = {
        (name, where)
        for name, secret in planted.items()
        for where, text in [*_told_by_the_api(server), *_tables(server.database_url, secret)]
        if secret in text
    }
    assert found == set()
    assert _tables(server.database_url, "etl:***@db/x"), "what is masked is found, so what is not would be"
    in_control = {
        (name, table)
        for name, secret in planted.items()
        for table, text in _tables(production.warehouse_url, secret)
        if table != "shop.notes"
    }
    assert in_control == set()
    folders = (production.context.project.root, server.local.folder)
    files = {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    on_disk = {
        (name, str(path)) for name, secret in planted.items() for path, text in files.items() if secret.encode() in text
    }
    assert on_disk == set()
    logs = {path.name for path, text in files.items() if b"etl:***@db/x" in text}
    assert "dbt.log" in logs, "no error text on disk, so that there is no secret proves nothing"


def _told_by_the_api(server: Guarded) -> list[tuple[str, str]]:
    """Return what every list of the API holds; the error is in it, so its secrets could be."""
    kinds = (
        "flow_runs",
        "task_runs",
        "logs",
        "artifacts",
        "deployments",
        "automations",
        "block_documents",
        "variables",
    )
    told = [(kind, json.dumps(server.ask(f"/{kind}/filter", {"limit": 200}))) for kind in kinds]
    told.append(("events", json.dumps(server.ask("/events/filter", {"limit": 50}))))
    for kind, text in told:
        if kind in {"task_runs", "logs", "artifacts"}:
            assert "etl:***@db/x" in text, f"{kind} hold no error text, so that they hold no secret proves nothing"
    return told


def _tables(url: str, secret: str) -> list[tuple[str, str]]:
    """Return every row of a database's tables that holds the text, with its table."""
    hits: list[tuple[str, str]] = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("select t::text from {} as t where position(%s in t::text) > 0")
            rows: list[Any] = connection.execute(query.format(sql.Identifier(schema, table)), [secret]).fetchall()
            hits += [(f"{schema}.{table}", row[0]) for row in rows]
    return hits
