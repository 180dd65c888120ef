"""One project, run once; every test finds it as that first run left it, on the same path."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from engine_project import FirstRun, Workshop
from postgres_cluster import postgres_cluster, postgres_url
from receiver import Receiver, receiving

from metadata_sync.settings import Settings

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
