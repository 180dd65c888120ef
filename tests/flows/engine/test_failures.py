"""What follows from a failure: the row, its audit, one incident, one alert, and what becomes of the readers."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from flows.cli.output.progress import TerminalObserver
from flows.engine.engine import execute
from flows.gate.facts import Reason
from flows.incidents.outbox import deliver
from flows.prefect.pages.summary import summary_pages
from flows.upkeep.heal import heal
from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files
from metadata_sync.incident import IncidentKind, Severity
from metadata_sync.settings import Settings
from tests.support.engine_project import SELECTS, TOTALS_BY_HAND, Workshop, control_rows
from tests.support.instants import at
from tests.support.receiver import Receiver

GOOD = SELECTS["fact_order"]
FAILING = f"{GOOD} where case when o.amount = 666 then error({{}}) is null else true end"


@pytest.fixture
def told(workshop: Workshop, receiver: Receiver) -> Workshop:
    """The project, its only channel, and no patience."""
    workshop.settings = Settings(
        lock_wait_seconds=30, tries=2, retry_pause_seconds=0, alert_channel="data-ops", soft_escalation_ticks=2
    )
    workshop.close()
    return workshop


def break_with(workshop: Workshop, message: str) -> None:
    workshop.write_select("fact_order", FAILING.format(f"'{message}'"))
    land_trouble(workshop)


def land_trouble(workshop: Workshop) -> None:
    workshop.land(
        "orders/trouble",
        "select 98::bigint as order_id, 'c1' as customer, 'n' as region, 666::decimal(8, 2) as amount, "
        "timestamp '2013-01-03 12:00:00' as landed_at",
    )


def test_load_without_a_log_row_is_a_failure_whatever_dbt_says(told: Workshop) -> None:
    """Rows stand there without their watermark; whole macros load the same rows again, and none twice."""
    path = told.root / "macros" / "load" / "commit_load.sql"
    whole = path.read_text()
    path.write_text(whole.replace("{%- do parts.append(sluice.insert_log_sql(load)) -%}", ""))
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")

    summary, _ = told.run()
    path.write_text(whole)
    heal(told.context, is_forced=True)
    again, _ = told.run()

    lost = next(outcome for outcome in summary.outcomes if outcome.target == "dwh.fact_order")
    assert (lost.status, lost.attempts, lost.load_id) == ("failed", 1, None)
    assert (lost.error or "").startswith("dbt says that dwh.fact_order was loaded (5 inserted), and the load log holds")
    assert not again.has_failed
    assert told.query("select count(*), count(distinct order_id) from dwh.fact_order") == [(25, 25)]


def test_hard_failure_switches_the_row_off_once_and_tells_of_it_once(told: Workshop, receiver: Receiver) -> None:
    break_with(told, 'column "fare" does not exist, connected as postgresql://etl:hunter2@db/x')

    summary, recorder = told.run()
    again, _ = told.run()

    row = told.row_of()
    assert (row.is_active, row.deactivated_by) == (False, "framework")
    assert row.comments is not None
    assert row.comments.startswith(f"missing_column in run {summary.run_id} at ")
    assert "after 1 try" in row.comments
    assert "hunter2" not in row.comments
    assert row.fingerprint is not None
    assert "unknown" not in row.fingerprint
    store = told.context.store
    written = {entry.column: entry for entry in store.history("dwh.fact_order") if entry.via == "framework"}
    assert written.keys() >= {"is_active", "deactivated_by", "comments", "fingerprint"}
    assert (written["is_active"].who, written["is_active"].reason) == ("sluice", "switched off: missing_column")
    assert len({written[name].change_id for name in ("is_active", "comments", "fingerprint")}) == 1
    (incident,) = store.incidents()
    assert (incident.kind, incident.subject, incident.severity) == (IncidentKind.LOAD, "dwh.fact_order", Severity.ERROR)
    assert (incident.failure_class, incident.ticks) == ("missing_column", 1)
    assert incident.held_up == ("mart.region_total",)
    assert told.statuses(summary) == {
        "dwh.customer": "loaded",
        "dwh.dim_region": "skipped",
        "dwh.fact_order": "failed",
        "mart.region_total": "skipped",
    }
    assert recorder.decisions[-1].reason is Reason.UPSTREAM_FAILED
    assert told.statuses(again)["dwh.fact_order"] == "skipped"
    (body,) = receiver.bodies
    assert body["title"] == "[dev] dwh.fact_order failed and is switched off: missing_column"
    for line in (
        "Pipeline: orders",
        "Why: missing_column. A column does not exist.",
        "Holds up: mart.region_total",
        "sluice activate dwh.fact_order",
        f"Run: {summary.run_id}",
    ):
        assert line in body["body"], line
    assert "hunter2" not in str(body)


def test_apply_does_not_undo_it_and_a_change_of_the_file_does(told: Workshop, receiver: Receiver) -> None:
    break_with(told, 'column "fare" does not exist')
    told.run()
    change_context = ChangeContext(told.project, told.context.store, told.context.columns, "tester")
    apply_plan(change_context, plan_files(change_context))
    assert not told.row_of().is_active

    rows = control_rows()
    rows["transformations"][0]["max_rejects"] = 5
    told.apply(rows)

    assert not told.row_of().is_active
    assert told.row_of().max_rejects == 5


def test_soft_failure_leaves_the_row_on_and_escalates_after_ticks(told: Workshop, receiver: Receiver) -> None:
    break_with(told, "deadlock detected")

    told.run()
    noted = told.row_of()
    told.run()
    told.run()
    (told.lake / "orders" / "trouble.parquet").unlink()
    told.run()

    assert (noted.is_active, noted.deactivated_by) == (True, None)
    assert noted.comments is not None
    assert noted.comments.startswith("serialization in run ")
    assert "after 2 tries" in noted.comments
    assert told.row_of().comments is None
    assert [body["event"] for body in receiver.bodies] == ["opened", "escalated", "resolved"]
    assert receiver.bodies[1]["title"] == "[dev] dwh.fact_order failed: serialization, run 2 in a row"
    assert receiver.bodies[2]["title"].startswith("[dev] dwh.fact_order recovered after ")
    (incident,) = told.context.store.incidents(since=noted_time(told))
    assert (incident.ticks, incident.attempts, incident.is_open) == (3, 6, False)
    assert told.totals() == told.query(TOTALS_BY_HAND)


def noted_time(workshop: Workshop) -> object:
    return min(alert.created_at for alert in workshop.context.store.alerts())


def test_unknown_failure_is_soft_for_three_tries_in_all_and_then_hard(told: Workshop, receiver: Receiver) -> None:
    rule = {
        "name": "moon",
        "class": "unknown",
        "source": "DuckDB calls everything invalid input",
        "pattern": "the moon",
    }
    (told.root / "dbt_project" / "error_rules.yml").write_text(yaml.safe_dump({"rules": [rule]}))
    break_with(told, "the moon is in the wrong phase")

    told.run()
    after_two = told.row_of()
    told.run()

    assert after_two.is_active
    assert "after 2 tries" in (after_two.comments or "")
    assert not told.row_of().is_active
    assert "after 3 tries" in (told.row_of().comments or "")
    assert [body["event"] for body in receiver.bodies] == ["opened", "escalated"]


def test_source_that_cannot_be_read_is_one_incident_for_all_that_read_it(told: Workshop, receiver: Receiver) -> None:
    folder, elsewhere = told.lake / "orders", told.lake / "elsewhere"
    folder.rename(elsewhere)

    told.run()
    elsewhere.rename(folder)
    told.run()

    incidents = told.context.store.incidents(since=noted_time(told))
    assert [(item.kind, item.subject, item.targets, item.is_open) for item in incidents] == [
        (IncidentKind.HOLD, "lake.orders", ("dwh.customer", "dwh.fact_order"), False)
    ]
    assert [body["event"] for body in receiver.bodies] == ["opened", "resolved"]
    assert told.row_of().is_active


def test_project_that_dbt_cannot_read_switches_no_row_off(told: Workshop, receiver: Receiver) -> None:
    told.land_orders("day_2", range(20, 25), "2013-01-03 12:00:00")
    broken = told.root / "dbt_project" / "models" / "broken.sql"
    broken.write_text("select * from {{ ref('nowhere') }}")

    told.run()
    broken.unlink()
    told.run()

    assert all(row.is_active for row in told.context.store.read_rows().transformations)
    assert receiver.told() == [
        "[dev] warehouse does not work: settings",
        receiver.bodies[-1]["title"],
    ]
    assert receiver.bodies[-1]["event"] == "resolved"


def test_alert_survives_a_receiver_that_fails_and_is_sent_once(told: Workshop, receiver: Receiver) -> None:
    receiver.refusals = 1
    break_with(told, 'column "fare" does not exist')

    told.run()
    (waiting,) = told.context.store.alerts()
    told.run()
    not_yet_due = receiver.asked
    later = waiting.due_at + timedelta(seconds=1)
    deliver(at(told.context, later))
    deliver(at(told.context, later + timedelta(hours=1)))

    assert (waiting.sent_at, waiting.attempts, waiting.last_error) == (
        None,
        1,
        "HTTP 500 from the webhook of data-ops.",
    )
    assert not_yet_due == 1
    assert len(receiver.bodies) == 1
    (sent,) = told.context.store.alerts()
    assert (sent.sent_at, sent.attempts) == (later, 2)


def test_hostile_text_is_harmless_everywhere(
    told: Workshop, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    hostile = (
        'column "x" does not exist <script>alert(1)</script> <!channel> [red] password=hunter2 AKIAABCDEFGHIJKLMNOP '
    )
    steering = f"'{hostile}' || chr(27) || '[31mred' || chr(7) || ' '"
    told.write_select("fact_order", FAILING.format(f"repeat({steering}, 8000)"))
    land_trouble(told)

    summary = execute(told.context, told.plan(), TerminalObserver())

    failed = next(outcome for outcome in summary.outcomes if outcome.target == "dwh.fact_order")
    (body,) = receiver.bodies
    printed = "".join(capfd.readouterr())
    texts = [told.row_of().comments or "", failed.error or "", body["text"], body["body"], printed]
    texts += [page for pipeline_id, page in summary_pages(summary) if pipeline_id == "orders"]
    for text in texts:
        assert "does not exist" in text
        assert len(text) < 12_000
        for secret in ("hunter2", "AKIAABCDEFGHIJKLMNOP", "\x1b", "\x07"):
            assert secret not in text, (secret, text[:300])
    assert "<!channel>" not in body["text"]
    assert "<script>" not in body["text"]
    assert "<script>" not in texts[-1].partition("```")[0], "a page shows it as code only"
