"""The summary page: what people read after a run, whatever the names and messages in it look like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flows.gate.facts import Action, Decision, Reason
from flows.prefect.pages.summary import artifact_key, summary_pages
from flows.run.model import OutcomeStatus, RunRequest, RunSummary, TargetOutcome, headline
from metadata_sync.loads import RowCounts, Window

BEGAN = datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)
LOADED = TargetOutcome(
    target="dwh.fact_flight",
    pipeline_id="flights_hourly",
    decision=Decision("dwh.fact_flight", "flights_hourly", Action.RUN, Reason.NEW_ROWS, "new rows in lake.flights"),
    status=OutcomeStatus.LOADED,
    windows=(Window("lake.flights", "2013-01-01 08:00:00.000000", "2013-01-02 08:00:00.000000"),),
    rows=RowCounts(read=12_345, inserted=12_000),
    seconds=1.26,
)


def outcome(target: str, status: OutcomeStatus, message: str = "because", error: str | None = None) -> TargetOutcome:
    decision = Decision(target, "routes_daily", Action.RUN, Reason.NEW_ROWS, message)
    return TargetOutcome(target, "routes_daily", decision, status, error=error)


def page_of(*outcomes: TargetOutcome) -> dict[str, str]:
    request = RunRequest(requested_by="ada")
    return dict(summary_pages(RunSummary("run-1", request, BEGAN, BEGAN + timedelta(seconds=2.5), outcomes)))


def test_page_holds_outcome_reason_window_rows_and_seconds() -> None:
    page = page_of(LOADED)["flights_hourly"]

    assert page.startswith(
        "## flights\\_hourly: 1 loaded\n\n2013-01-02 03:04:05 UTC · 2.5 s · asked by ada · run run-1\n"
    )
    window = "lake.flights: 2013-01-01 08:00:00 → 2013-01-02 08:00:00"
    rows = "12,345 read, 12,000 inserted"
    assert f"| dwh.fact\\_flight | loaded | new rows in lake.flights | {window} | {rows} | 1.3 |" in page


def test_each_pipeline_has_its_own_page_with_its_own_targets() -> None:
    pages = page_of(LOADED, outcome("mart.route_daily", OutcomeStatus.SKIPPED))

    assert list(pages) == ["flights_hourly", "routes_daily"]
    assert "route" not in pages["flights_hourly"]
    assert pages["routes_daily"].startswith("## routes\\_daily: 1 skipped\n")


def test_headline_names_what_failed_and_counts_the_rest() -> None:
    outcomes = [
        LOADED,
        outcome("a.b", OutcomeStatus.FAILED),
        outcome("a.c", OutcomeStatus.HELD),
        outcome("a.d", OutcomeStatus.FAILED),
        outcome("a.e", OutcomeStatus.UNCHANGED),
    ]

    assert headline(outcomes) == "2 failed (a.b, a.d), 1 held (a.c), 1 loaded, 1 unchanged"
    assert headline([]) == "nothing to do"


def test_text_from_outside_cannot_break_the_table_or_bring_markup() -> None:
    message = "a | b\n| c | <script>alert(1)</script> [x](javascript:y) `z`"
    page = page_of(outcome("a.b", OutcomeStatus.SKIPPED, message))["routes_daily"]

    row = next(line for line in page.splitlines() if line.startswith("| a.b"))
    assert row.replace("\\|", "").count("|") == 7
    assert "<script" not in row.replace("\\<", "")
    assert "[x]" not in row


def test_error_stands_in_a_fence_that_it_cannot_leave_and_without_secrets() -> None:
    page = page_of(outcome("a.b", OutcomeStatus.FAILED, error="```\n# no heading\npassword=hunter2"))["routes_daily"]

    assert "````\n```\n# no heading\npassword=***\n````" in page
    assert "hunter2" not in page


def test_rows_and_windows_say_what_is_known_and_nothing_else() -> None:
    assert str(RowCounts()) == "0 read"
    assert str(RowCounts(read=1_200, closed=3, rejected=1)) == "1,200 read, 3 closed, 1 rejected"
    assert str(Window("lake.airports", None, None)) == "lake.airports: in full"
    assert str(Window("lake.airports", None, "0b" * 32)) == "lake.airports: in full"
    assert str(Window("a.b", "1", "9")) == "a.b: 1 → 9"


def test_key_is_what_prefect_takes() -> None:
    assert artifact_key("flights_hourly") == "run-summary-flights-hourly"
