"""What a person sees and does in Prefect's UI: a real Chromium on a real server. Pictures go to test-output/."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from flows.context import Context
from flows.prefect.local_run import run_through_prefect
from flows.run.model import RunRequest
from tests.support.live_server import Server
from tests.support.order_project import open_orders, write_project

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
PICTURES = Path(__file__).parents[3] / "test-output"
PATIENCE_MS = 30_000
GREEN, RED = (34, 158, 80), (218, 10, 45)
COUNT_PIXELS = """async ([picture, wanted]) => {
    const image = new Image();
    image.src = "data:image/png;base64," + picture;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const data = canvas.getImageData(0, 0, image.width, image.height - 20).data;  // without the run's own bar
    const close = i => wanted.every((value, channel) => Math.abs(data[i + channel] - value) < 40);
    return Array.from({length: data.length / 4}, (_, i) => 4 * i).filter(close).length;
}"""


class RunPages(NamedTuple):
    run_url: str
    monitor_id: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail("Chromium is not installed (apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield page
    page.close()


@pytest.fixture(scope="module")
def pages(server: Server, tmp_path_factory: pytest.TempPathFactory) -> RunPages:
    """A run in which one target fails, and monitor after it, before any browser has an event loop of its own."""
    for _ in range(3):  # a server that is too busy is left out of a run, rightly
        context = open_orders(write_project(tmp_path_factory.mktemp("browser") / "orders"))
        reported = run_through_prefect(context, RunRequest(requested_by="ann"), server.api_url)
        context.store.close()
        if reported.url is not None and not reported.warnings:
            server.task_runs(reported.url.rpartition("/")[2], 5)
            return RunPages(reported.url, monitor_at(server, context.project.root))
    pytest.fail("; ".join(reported.warnings))


def monitor_at(server: Server, root: Path) -> str:
    """Run monitor as its deployment does, and return its run's id: it writes the page that says what is wrong now."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.prefect.upkeep_flows import monitor

    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: server.api_url}):
        patch.setenv("SLUICE_PROJECT_ROOT", str(root))
        ended = monitor(return_state=True)
    assert ended.is_completed()
    return str(ended.state_details.flow_run_id)


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def pixels(page: Page, color: tuple[int, int, int]) -> int:
    """Count the pixels of the graph that are about so; it is drawn on a canvas, in which no text can be looked up."""
    graph = base64.b64encode(page.locator("canvas").first.screenshot()).decode()
    return int(page.evaluate(COUNT_PIXELS, [graph, list(color)]))


def test_run_and_its_pages_are_there_to_read(pages: RunPages, server: Server, page: Page) -> None:
    hosts: set[str | None] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))

    page.goto(pages.run_url, wait_until="domcontentloaded")
    expect(page.get_by_text("5 Task runs")).to_be_visible()
    expect(page.get_by_text("dwh.dim_return: skip, lake.returns is empty")).to_be_visible()
    server.until(lambda: pixels(page, GREEN) > 100 and pixels(page, RED) > 100, 30)
    picture(page, "run")
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_text("1 failed (dwh.fact_payment), 1 loaded, 2 skipped").first).to_be_visible()
    page.get_by_role("tab", name="Task Runs").click()
    expect(page.get_by_role("link", name="mart.paid_order")).to_be_visible()

    page.get_by_role("tab", name="Artifacts").click()
    expect(page.get_by_role("link", name="run-summary-orders-daily").first).to_be_visible()
    summary = artifact_id(server, pages.run_url.rpartition("/")[2], "run-summary-orders-daily")
    page.goto(f"{server.local.ui_url}/artifacts/artifact/{summary}", wait_until="domcontentloaded")
    expect(page.get_by_role("heading", name="1 failed (dwh.fact_payment), 1 loaded, 1 skipped")).to_be_visible()
    expect(page.get_by_role("cell", name="lake.returns is empty")).to_be_visible()
    picture(page, "artifact")

    # Its analytics host is the one that docs/operations/prefect.md tells of; nothing depends on it.
    assert {host for host in hosts if host and not host.endswith("amplitude.com")} == {"127.0.0.1"}


def test_page_of_what_is_wrong_now_leads_with_the_failed_table(pages: RunPages, server: Server, page: Page) -> None:
    artifact = artifact_id(
        server, pages.monitor_id, "wrong-now-dev"
    )  # another project of the server may be monitored too
    page.goto(f"{server.local.ui_url}/artifacts/artifact/{artifact}", wait_until="domcontentloaded")

    first = page.get_by_role("row").nth(1)
    expect(first).to_be_visible()
    expect(first).to_contain_text("fact_payment")
    expect(page.get_by_role("columnheader", name="Next", exact=True)).to_be_visible()
    picture(page, "wrong-now")


def artifact_id(server: Server, run_id: str, key: str) -> str:
    only = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [key]}}
    (artifact,) = server.ask("/artifacts/filter", {"artifacts": only})
    return str(artifact["id"])


def test_form_that_is_filled_in_switches_the_row(laptop: Context, server: Server, page: Page) -> None:
    deployment = server.deployment("switch@dev")
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.goto(f"{server.local.ui_url}/deployments/deployment/{deployment['id']}/run", wait_until="domcontentloaded")

    page.get_by_label("Your name").fill("ann")
    choose(page, "Pipeline or target", "dwh.dim_return")
    choose(page, "Switch", "deactivate")
    page.get_by_label("Reason").fill("returns come from elsewhere now")
    picture(page, "form")
    page.get_by_role("button", name="Submit").click()

    (run,) = server.ended(1, deployment["id"])
    assert run["state"]["message"].startswith("transformation_control[dwh.dim_return]: is_active true → false")
    (row,) = [row for row in laptop.store.read_rows().transformations if row.key == "dwh.dim_return"]
    assert not row.is_active
    # Meanwhile the reconciler may have taken a column list.
    newest = next(entry for entry in laptop.store.history("dwh.dim_return") if entry.column == "is_active")
    assert (newest.who, newest.reason) == ("ann", "returns come from elsewhere now")
    page.goto(f"{server.local.ui_url}/runs/flow-run/{run['id']}", wait_until="domcontentloaded")
    expect(page.get_by_text("deactivate dwh.dim_return").first).to_be_visible()
    expect(page.get_by_text("Completed").first).to_be_visible()


def test_dashboard_shows_the_work_pool(pages: RunPages, laptop: Context, server: Server, page: Page) -> None:
    del pages  # a dashboard without any run shows how to begin instead
    server.deployment("switch@dev")

    page.goto(f"{server.local.ui_url}/dashboard", wait_until="domcontentloaded")

    expect(page.get_by_text("Active Work Pools", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=laptop.settings.work_pool, exact=True).first).to_be_visible()
    picture(page, "dashboard")


def choose(page: Page, field: str, choice: str) -> None:
    page.get_by_role("button", name=f"Select {field}").click()
    page.get_by_role("option", name=choice, exact=True).click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("option", name=choice, exact=True)).to_have_count(0)
