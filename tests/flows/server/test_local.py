"""The local server: one, ours only, found and ended reliably."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.context import Context
from flows.process import ProcessIdentity
from flows.server.local import (
    LocalServer,
    ServerRecord,
    Started,
    _answers,
    local_server,
    running_api_url,
    start,
    stop,
    ui_url,
)
from metadata_sync.errors import ConfigurationError, RunError
from tests.support.live_server import Server, Way, free_port


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of our business."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def write_record(server: LocalServer, process: ProcessIdentity) -> None:
    server.folder.mkdir(parents=True)
    (server.folder / "server.json").write_text(ServerRecord(process, server.port).render())


def test_server_listens_on_loopback_and_names_itself_to_the_browser(server: Server) -> None:
    listening = Path(f"/proc/{server.pid}/net/tcp").read_text()

    assert server.browser_settings()["api_url"] == server.api_url
    assert f"0100007F:{server.local.port:04X}" in listening
    assert f"00000000:{server.local.port:04X}" not in listening


def test_two_starts_at_once_start_one_server(server: Server) -> None:
    results: list[Started] = []
    threads = [threading.Thread(target=lambda: results.append(start(server.local))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {result.pid for result in results} == {server.pid}
    assert not any(result.is_new for result in results)


def test_start_names_the_port_when_another_program_has_it(context: Context) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", context.settings.prefect_port))
        taken.listen()
        with pytest.raises(ConfigurationError, match="used by another program") as caught:
            start(local_server(context))

    assert str(context.settings.prefect_port) in caught.value.message
    assert "SLUICE_PREFECT_PORT" in caught.value.hint


def test_start_says_so_when_another_projects_server_has_the_port(context: Context, server: Server) -> None:
    crowded = replace(context, settings=context.settings.model_copy(update={"prefect_port": server.local.port}))

    with pytest.raises(ConfigurationError, match="another Prefect server"):
        start(local_server(crowded))

    assert running_api_url(crowded, environ={}) is None


def test_start_refuses_a_second_port_when_the_server_runs_on_another(server: Server) -> None:
    with pytest.raises(ConfigurationError, match=f"already runs on port {server.local.port}"):
        start(LocalServer(server.local.folder, free_port()))


def test_start_shows_the_end_of_the_log_when_the_server_dies(context: Context) -> None:
    local = local_server(context)
    local.folder.mkdir(parents=True)
    (local.folder / "prefect.db").write_text("this is no database " * 1000)

    with pytest.raises(RunError, match="file is not a database") as caught:
        start(local)

    assert str(local.log_file) in caught.value.hint
    assert local.running() is None


def test_recycled_pid_is_not_ours(context: Context, bystander: subprocess.Popen[bytes]) -> None:
    server = local_server(context)
    write_record(server, ProcessIdentity(bystander.pid, "some other time"))

    assert server.running() is None
    assert running_api_url(context, environ={}) is None
    assert stop(server) is False
    assert bystander.poll() is None


def test_stop_kills_a_server_that_ignores_term(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.server.background.STOP_SECONDS", 0.5)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        server = local_server(context)
        write_record(server, ProcessIdentity.of(process.pid))

        assert stop(server) is True
        assert process.wait(5) == -signal.SIGKILL

    assert server.running() is None


def test_start_waits_for_a_server_that_is_ending(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    server = local_server(context)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        write_record(server, ProcessIdentity.of(process.pid))
        record = server.running()
        assert record is not None
        monkeypatch.setattr("flows.server.local.ANSWER_SECONDS", 0.1)
        with pytest.raises(RunError, match="is running but does not answer"):
            start(server)
        monkeypatch.setattr("flows.server.local.ANSWER_SECONDS", 30.0)
        threading.Timer(0.3, process.kill).start()

        assert _answers(server, record) is False


def test_damaged_pid_file_means_not_running(context: Context) -> None:
    server = local_server(context)
    server.folder.mkdir(parents=True)
    (server.folder / "server.json").write_text('{"process": ')

    assert server.running() is None
    assert stop(server) is False


def test_configured_server_is_not_replaced_by_the_local_one_when_it_is_silent(context: Context, server: Server) -> None:
    silent = f"http://127.0.0.1:{free_port()}/api"

    assert running_api_url(context, environ={"PREFECT_API_URL": silent}) is None
    assert running_api_url(context, environ={"PREFECT_API_URL": f"{server.api_url}/"}) == server.api_url


def test_frozen_server_counts_as_silent(context: Context, server: Server) -> None:
    way = Way(server.local.port)
    with way.frozen():
        assert running_api_url(context, environ={"PREFECT_API_URL": way.api_url}) is None


def test_ui_address_can_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_UI_URL", "https://prefect.example.com/v2/")

    assert ui_url("http://10.0.0.1:4200/api") == "https://prefect.example.com/v2"


def test_start_names_the_folder_when_it_cannot_be_written(context: Context) -> None:
    context.project.state_dir.write_text("a file in the folder's place keeps root out, too")

    with pytest.raises(ConfigurationError, match="cannot be written"):
        start(local_server(context))
