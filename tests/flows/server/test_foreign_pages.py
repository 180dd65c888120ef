"""What a web page of another origin can do to the local server: nothing, in a real browser; our own link opens it."""

from __future__ import annotations

import http.server
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from flows.context import Context
from flows.server.local import LocalServer, local_server, start, stop
from metadata_sync.project import Project
from metadata_sync.settings import Settings
from tests.support.live_server import free_port

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
ATTACK = """async ([api, mode]) => {
    const results = [];
    const calls = [
        ["/flows/filter", {method: "POST", headers: {"content-type": "application/json"}, body: "{}"}],
        ["/flows/filter", {method: "POST", headers: {"content-type": "text/plain"}, body: "{}"}],
        ["/variables/", {method: "POST", headers: {"content-type": "text/plain"}, body: '{"name":"x","value":1}'}],
        ["/admin/version", {method: "GET"}],
        ["/csrf-token?client=x", {method: "GET"}],
    ];
    for (const [path, options] of calls) {
        try {
            const answer = await fetch(api + path, {...options, mode});
            results.push(answer.type === "opaque" ? "opaque" : `${answer.status} ${await answer.text()}`);
        } catch (error) { results.push("blocked"); }
    }
    return results;
}"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The server as `sluice up` starts it."""
    root = tmp_path_factory.mktemp("foreign")
    (root / "dbt_project").mkdir()
    (root / "dbt_project" / "dbt_project.yml").write_text("name: sluice\n")
    (root / "profiles.yml").write_text("sluice: {}\n")
    context = Context(Project(root), Settings(prefect_port=free_port()), who="tester")
    server = local_server(context).secured()
    start(server)
    assert local_server(context) == server
    yield server
    stop(server)


@pytest.fixture(scope="module")
def foreign_page() -> Iterator[str]:
    """A web page of another origin."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"http://localhost:{other.server_port}/"
        other.shutdown()


@pytest.fixture
def page() -> Iterator[Page]:
    if not CHROMIUM.exists():
        pytest.fail("Chromium is not installed (apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = browser.new_page()
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def status(url: str, **headers: str) -> int:
    try:
        with urlopen(Request(url, headers=headers), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def variables(server: LocalServer) -> object:
    import base64

    credential = {"authorization": "Basic " + base64.b64encode((server.auth or "").encode()).decode()}
    with urlopen(Request(f"{server.api_url}/csrf-token?client=t", headers=credential), timeout=30) as answer:
        token = json.load(answer)["token"]
    headers = {
        **credential,
        "content-type": "application/json",
        "prefect-csrf-token": token,
        "prefect-csrf-client": "t",
    }
    with urlopen(Request(f"{server.api_url}/variables/filter", data=b"{}", headers=headers), timeout=30) as answer:
        return json.load(answer)


def test_password_is_made_once_and_private(secured: LocalServer) -> None:
    assert secured.auth is not None
    assert len(secured.auth) > 30
    assert secured.auth_file.read_text().strip() == secured.auth
    assert stat.S_IMODE(secured.auth_file.stat().st_mode) == 0o600
    assert secured.secured() == secured


@pytest.mark.parametrize("mode", ["cors", "no-cors"])
def test_page_of_another_origin_neither_reads_nor_writes(
    secured: LocalServer, foreign_page: str, page: Page, mode: str
) -> None:
    page.goto(foreign_page)

    found = page.evaluate(ATTACK, [secured.api_url, mode])

    assert set(found) <= {"blocked", "opaque"}
    assert variables(secured) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:80"},
        {"host": "127.0.0.1.nip.io:4271"},
        {"host": "127.0.0.1"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_request_under_another_name_or_from_another_site_is_refused(
    secured: LocalServer, headers: dict[str, str]
) -> None:
    assert status(f"{secured.api_url}/health", **headers) == 403
    assert status(f"{secured.api_url}/health") == 200
    assert status(f"{secured.api_url}/admin/version") == 401


def test_link_opens_the_ui(secured: LocalServer, page: Page) -> None:
    page.goto(secured.open_url, wait_until="domcontentloaded")

    page.wait_for_url("**/v2/**")
    expect(page.get_by_role("link", name="Flows").first).to_be_visible(timeout=60_000)
    assert (secured.auth or "") not in page.url
