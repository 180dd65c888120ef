"""The flow of the form `backfill`: the same as `sluice backfill`, with a log line per chunk and a result page."""

from __future__ import annotations

from typing import Any

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.states import Completed, Failed

from flows.backfill.backfill import (
    BackfillPlan,
    BackfillRequest,
    BackfillSummary,
    ChunkLoaded,
    plan_backfill,
    run_backfill,
)
from flows.context import Context, load_context
from flows.prefect.forms.models import BackfillForm
from flows.prefect.pages.summary import escape
from metadata_sync.errors import SluiceError
from metadata_sync.redact import redact_text

_DASH = "–"


@flow(name="Backfill", flow_run_name="backfill {form.subject} from {form.start}", persist_result=False)
def backfill(form: BackfillForm) -> State[Any]:
    """Load a part of the past again."""
    context = load_context()
    try:
        return _backfill(context, _request(form))
    except SluiceError as error:
        return Failed(message=redact_text(str(error)))


def _request(form: BackfillForm) -> BackfillRequest:
    return BackfillRequest(
        form.subject,
        form.start,
        form.end or None,
        form.chunk_size or None,
        form.requested_by,
        engine=form.engine,
        cluster=form.cluster or None,
    )


def _backfill(context: Context, request: BackfillRequest) -> State[Any]:
    plan = plan_backfill(context, request)
    log = get_run_logger()
    for item in plan.left_out:
        log.info("%s is left out: %s", item.target, item.reason)
    if not plan.targets:
        reasons = "; ".join(f"{item.target}: {item.reason}" for item in plan.left_out)
        return Failed(message=f"No target can be backfilled. {reasons}")
    log.info("%s loads, %s", plan.chunk_count, "resumed" if plan.is_resumed else "from the beginning")
    summary = run_backfill(context, plan, lambda step: log.info(chunk_line(step)), say=log.info)
    create_markdown_artifact(
        backfill_page(plan, summary),
        key="backfill-" + request.subject.replace("_", "-").replace(".", "-"),
        description=f"Backfill of {request.subject}",
    )
    state = Failed if summary.has_failed else Completed
    return state(message=redact_text("; ".join(_results(summary))))


def chunk_line(step: ChunkLoaded) -> str:
    """Return the result of a chunk in one line."""
    result = f"failed: {redact_text(step.error)}" if step.error is not None else str(step.rows)
    return f"{step.target} {step.number}/{step.total} · {step.chunk} · {result}"


def backfill_page(plan: BackfillPlan, summary: BackfillSummary) -> str:
    """Return the backfill as a Markdown page."""
    head = f"## {escape(plan.request.subject)}: {'failed' if summary.has_failed else 'done'}"
    seconds = (summary.finished_at - summary.started_at).total_seconds()
    facts = (plan.backfill_id, f"{seconds:.1f} s", f"asked by {plan.request.requested_by}")
    lines = [head, "", escape(" · ".join(facts)), "", "| Target | Chunks | Rows | Error |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {escape(item.target)} | {item.done}/{item.chunk_count} | {item.rows} "
        f"| {escape(redact_text(item.error)) if item.error else _DASH} |"
        for item in summary.targets
    ]
    lines += [f"| {escape(item.target)} | left out | {_DASH} | {escape(item.reason)} |" for item in plan.left_out]
    if any(item.done < item.chunk_count for item in summary.targets):
        lines += ["", "Submit the same form again to resume with the chunks that are left."]
    return "\n".join(lines) + "\n"


def _results(summary: BackfillSummary) -> list[str]:
    return [
        f"{item.target}: {item.done} of {item.chunk_count} chunks{f', {item.error}' if item.error else ''}"
        for item in summary.targets
    ]
