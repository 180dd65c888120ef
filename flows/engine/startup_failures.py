"""Failures before the gate decides: no profile, no warehouse, rows that cannot be read.

No target caused them, so no row is switched off. One incident, about the warehouse, lasts until a run starts again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flows.errors.classify import FailureClass, classify, read_facts
from flows.errors.rules import DEFAULT_RULES
from flows.errors.team_rules import load_rules
from flows.incidents.incident import WAREHOUSE, Finding
from flows.incidents.settle import deliver_or_log, settle_incidents
from metadata_sync.errors import (
    ConfigurationError,
    MetadataError,
    SluiceError,
    SoftRunError,
    StoreError,
    SyncError,
)
from metadata_sync.incident import IncidentKind
from metadata_sync.redact import safe_text
from metadata_sync.rows.model import ControlRows

if TYPE_CHECKING:
    from flows.context import Context
    from flows.run.model import RunRequest

logger = logging.getLogger(__name__)


def report_startup_failure(context: Context, request: RunRequest, error: Exception) -> None:
    """Open an incident for an error that ended a run before the gate decided, and send its alert.

    Args:
        context: Control database, settings.
        request: The request of the run.
        error: The error that ended the run.
    """
    try:
        _record(context, request, error)
    except StoreError as trouble:
        logger.warning("startup_failure.not_recorded error=%s", trouble.message)
    deliver_or_log(context)


def _record(context: Context, request: RunRequest, error: Exception) -> None:
    message = safe_text(_message(error))
    failure_class, is_soft = _classify(context, error, message)
    rows = _readable_rows(context)
    pipelines = tuple(
        row.pipeline_id
        for row in rows.pipelines
        if row.is_active
        and (not request.pipelines or row.pipeline_id in request.pipelines)
        and request.job_group in (None, row.job_group)
    )
    finding = Finding(
        kind=IncidentKind.SHARED,
        subject=WAREHOUSE,
        failure_class=failure_class,
        message=message,
        targets=(),
        held_up=tuple(str(row.name) for row in rows.transformations if row.is_active and row.pipeline_id in pipelines),
        pipeline_ids=pipelines,
        is_hard=not is_soft,
    )
    settle_incidents(context, rows, [finding])


def _message(error: Exception) -> str:
    if isinstance(error, MetadataError):
        return "; ".join([error.message, *map(str, error.faults)])
    return str(error) if isinstance(error, SluiceError) else f"{type(error).__name__}: {error}"


def _classify(context: Context, error: Exception, message: str) -> tuple[FailureClass, bool]:
    """Return the class, and whether the failure is soft (may end without a change)."""
    try:
        rules = load_rules(context.project)
    except ConfigurationError:  # possibly the error that ended the run
        rules = DEFAULT_RULES
    verdict = classify(read_facts(message), rules)
    if verdict.failure_class is not FailureClass.UNKNOWN:
        return verdict.failure_class, verdict.is_soft()
    if isinstance(error, ConfigurationError | MetadataError | SyncError):
        return FailureClass.SETTINGS, False
    return (FailureClass.CONNECTION if isinstance(error, SoftRunError) else FailureClass.UNKNOWN), True


def _readable_rows(context: Context) -> ControlRows:
    try:
        return context.store.usable_rows()
    except MetadataError:
        return ControlRows(sources=(), pipelines=(), transformations=())
