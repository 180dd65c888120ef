"""One project, run once; every test finds it as that first run left it, on the same path."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from flows.context import Context
from flows.prefect.deployments.client import open_deployments
from flows.server.companions import start_companions, stop_companions
from flows.server.local import LocalServer, start, stop
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.engine_project import FirstRun, Workshop
from tests.support.live_server import Server, free_port, give_database
from tests.support.order_project import open_orders, write_project
from tests.support.postgres_cluster import postgres_cluster, postgres_url
from tests.support.receiver import Receiver, receiving
from tests.support.worker_machine import Machine

__all__ = ["postgres_cluster", "postgres_url"]


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    root = tmp_path_factory.mktemp("engine") / "project"
    root.mkdir()
    workshop = Workshop(root)
    workshop.create()
    summary, recorder = workshop.run()
    workshop.close()
    saved = root.with_name("saved")
    shutil.copytree(root, saved)
    return FirstRun(root, saved, summary, recorder)


@pytest.fixture
def workshop(first_run: FirstRun) -> Iterator[Workshop]:
    shutil.rmtree(first_run.root)
    shutil.copytree(first_run.saved, first_run.root)
    workshop = Workshop(first_run.root)
    yield workshop
    workshop.close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """What listens on the channel data-ops."""
    with receiving() as receiver:
        monkeypatch.setenv("SLUICE_CHANNEL_DATA_OPS", receiver.url)
        yield receiver


@pytest.fixture
def told(workshop: Workshop, receiver: Receiver) -> Workshop:
    """The project, its only channel, and no patience."""
    workshop.settings = Settings(lock_wait_seconds=30, tries=2, retry_pause_seconds=0, alert_channel="data-ops")
    workshop.close()
    return workshop


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Server]:
    """Start the session's server with the first worker that asks for it, and end it with the last."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "prefect-server"
    shared.mkdir(exist_ok=True)
    port_file, users = shared / "port", shared / "users"
    with FileLock(shared / "lock"):
        if not port_file.exists():
            port_file.write_text(str(free_port()))
        local = LocalServer(shared / "home", int(port_file.read_text()))
        start(local)
        users.write_text(str(_count(users) + 1))
    yield Server(local)
    with FileLock(shared / "lock"):
        users.write_text(str(_count(users) - 1))
        if _count(users) == 0:
            stop(local)


@pytest.fixture(scope="session")
def laptop(server: Server, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Context]:
    """A project with two pipelines on the session's server, and what `sluice up` runs beside it: worker, reconciler.

    All workers share it, so a test changes only what its pipeline's name says is its own.
    """
    base = server.local.folder.parent
    root, users = base / "laptop", base / "laptop-users"
    with FileLock(base / "laptop-lock"):
        if not root.exists():
            write_project(root, amount="12")
            (root / ".sluice").mkdir(exist_ok=True)
            (root / ".sluice" / "prefect").symlink_to(server.local.folder)
            open_orders(root).store.close()
        context = Context(Project(root), Settings(prefect_port=server.local.port), who="tester")
        start_companions(context)
        users.write_text(str(_count(users) + 1))
    yield context
    context.store.close()
    with FileLock(base / "laptop-lock"):
        users.write_text(str(_count(users) - 1))
        if _count(users) == 0:
            stop_companions(context)


@pytest.fixture(scope="session")
def migrated(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect database that a server need not create first: half of a start's time."""
    copy = tmp_path_factory.mktemp("migrated") / "prefect.db"
    with (
        closing(sqlite3.connect(server.local.folder / "prefect.db")) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A project without anything in it, and a port of its own."""
    root = tmp_path / "project"
    (root / "dbt_project").mkdir(parents=True)
    (root / "dbt_project" / "dbt_project.yml").write_text("name: sluice\n")
    (root / "profiles.yml").write_text("sluice: {}\n")
    return Context(Project(root), Settings(prefect_port=free_port()), who="tester")


def _count(users: Path) -> int:
    return int(users.read_text()) if users.exists() else 0


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, server: Server, migrated: Path) -> Iterator[Server]:
    """A server that may be killed."""
    del server
    local = give_database(LocalServer(tmp_path_factory.mktemp("own") / "prefect", free_port()), migrated)
    start(local)
    yield Server(local)
    stop(local)


@pytest.fixture
def machine(own: Server, tmp_path: Path) -> Iterator[Machine]:
    with open_deployments(own.api_url, "killed") as prefect:
        prefect.ensure_work_pool()
    machine = Machine(own, tmp_path)
    machine.start_worker()
    yield machine
    machine.worker.stop()
    own.delete("/work_pools/killed/workers/to-kill")
