"""What can be wrong with a pipeline row by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter

from metadata_sync.errors import Fault
from metadata_sync.instances import OWN_FILE, instance_names
from metadata_sync.problems import Problem, did_you_mean
from metadata_sync.rows.model import PipelineRow
from metadata_sync.rows.names import is_slug
from metadata_sync.rows.vocabulary import Engine, Template
from metadata_sync.validation.rule import Rule, Subject, repeated

_CRON_FIELDS: Final = 5
_CRON_VALUE: Final = r"(?:\d{1,2}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)"
_CRON_RANGE: Final = rf"(?:\*|{_CRON_VALUE}(?:-{_CRON_VALUE})?)(?:/\d{{1,2}})?"
_CRON_FIELD: Final = re.compile(rf"(?i)(?:{_CRON_RANGE}|L|{_CRON_VALUE}#[1-5]|L[0-7])(?:,(?:{_CRON_RANGE}))*")
"""One field as cron, croniter and Prefect read it alike; croniter alone would also draw R and H at random."""
_CRON_NICKNAMES: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_INSTANCE_TYPE: Final = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_MASTER_COUNTS: Final = (1, 3)


def _slugs(subject: Subject[PipelineRow]) -> Iterator[Fault]:
    for column, value in (("pipeline_id", subject.row.pipeline_id), ("job_group", subject.row.job_group)):
        if not is_slug(value):
            remedy = "Use lower case letters, digits, '_' and '-', at most 63."
            yield subject.fault(column, value, Problem("bad_name", "Is not a valid name.", remedy))


def _schedule(subject: Subject[PipelineRow]) -> Iterator[Fault]:
    schedule = subject.row.schedule
    if schedule is not None and not _is_cron(schedule):
        remedy = 'Write minute, hour, day, month, weekday: "5 * * * *" is five past every hour.'
        yield subject.fault("schedule", schedule, Problem("bad_schedule", "Is not a cron expression.", remedy))


def _is_cron(text: str) -> bool:
    """Tell whether cron would take it: five fields or a nickname, and a moment at which it is due."""
    if text.strip() in _CRON_NICKNAMES:
        return True
    fields = text.split()
    if len(text) > 200 or len(fields) != _CRON_FIELDS:  # noqa: PLR2004
        return False
    if not all(_CRON_FIELD.fullmatch(field) for field in fields) or not croniter.is_valid(text):
        return False
    try:
        croniter(text, datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime)
    except ValueError:  # the 30th of February
        return False
    return True


def _timezone(subject: Subject[PipelineRow]) -> Iterator[Fault]:
    name = subject.row.timezone
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # what ZoneInfo raises for ../x, for a folder of zones, for an unknown name
        remedy = did_you_mean(name, available_timezones()) or "Use a name of the tz database, e.g. America/New_York."
        yield subject.fault("timezone", name, Problem("unknown_timezone", "There is no such time zone.", remedy))


def _engine(subject: Subject[PipelineRow]) -> Iterator[Fault]:
    row = subject.row
    if row.engine is Engine.SPARK and row.template is not Template.LAKE_TO_WAREHOUSE:
        remedy = "Use engine: warehouse, or template: lake_to_warehouse."
        message = f"A {row.template} pipeline runs in the warehouse."
        yield subject.fault("engine", row.engine.value, Problem("template_engine", message, remedy))


def _cluster(subject: Subject[PipelineRow]) -> Iterator[Fault]:
    row = subject.row
    if row.emr_core_min is not None and row.emr_core_max is not None and row.emr_core_min > row.emr_core_max:
        message = f"Is more than emr_core_max = {row.emr_core_max}."
        yield subject.fault("emr_core_min", row.emr_core_min, Problem("core_range", message, "Swap them."))
    if row.emr_master_count not in _MASTER_COUNTS:
        problem = Problem("master_count", "EMR has one primary node, or three.", "Use 1 or 3.")
        yield subject.fault("emr_master_count", row.emr_master_count, problem)


def _instance_types(subject: Subject[PipelineRow]) -> Iterator[Fault]:
    yield from repeated(subject, "emr_instance_types", subject.row.emr_instance_types)
    for name in subject.row.emr_instance_types:
        if not _INSTANCE_TYPE.fullmatch(name):
            problem = Problem("bad_instance_type", "Is not an EC2 instance type.", "Write for example r5.4xlarge.")
            yield subject.fault("emr_instance_types", name, problem)
        elif name not in (known := instance_names(subject.project)):
            message = "Has no machine and no price in the list that clusters are sized by."
            remedy = (
                did_you_mean(name, known) or f"Add it to {OWN_FILE} in the project's root (docs/operations/emr.md)."
            )
            yield subject.fault("emr_instance_types", name, Problem("unknown_instance_type", message, remedy))


def _alert_channel(subject: Subject[PipelineRow]) -> Iterator[Fault]:
    channel = subject.row.alert_channel
    if channel is not None and "://" in channel:
        remedy = (
            "Keep the address in a notification block and name the block here. Change its secret: whoever reads the "
            "rows has seen it."
        )
        yield subject.fault("alert_channel", None, Problem("secret", "A channel is a name, not an address.", remedy))


PIPELINE_RULES: Final[tuple[Rule[PipelineRow], ...]] = (
    _slugs,
    _schedule,
    _timezone,
    _engine,
    _cluster,
    _instance_types,
    _alert_channel,
)
