"""Reads what loads took of a Redshift warehouse from its own history of statements.

Each load labels its statements by `query_group` (macros/load/label_session.sql); the history keeps the label for seven
days. While n statements execute at the same time, each gets one n-th of the time, so that the shares of all statements
add up to the time in which the warehouse was at work, and never to more. Statements without a label take their share
as well. Waiting in a queue costs nothing.

A serverless workgroup charges RPU-seconds, by the minute and after the end of a transaction; AWS advises to add them
up, so they are shared hour by hour: an hour's charge over the seconds in which statements executed in that hour.

Source: https://docs.aws.amazon.com/redshift/latest/dg/SYS_QUERY_HISTORY.html
Source: https://docs.aws.amazon.com/redshift/latest/dg/SYS_SERVERLESS_USAGE.html (read, not tested on AWS)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from metadata_sync.database.journals.entries import LoadCost

if TYPE_CHECKING:
    from flows.warehouse.connection import Warehouse

KEPT: Final = timedelta(days=7)
"""How long the history keeps a statement."""
_LABEL: Final = re.compile(r"sluice run=(\S+) target=(\S+) pipeline=(\S*)")
_HISTORY: Final = """
with executed as (
    select query_id, trim(query_label) as label, dateadd(microsecond, -execution_time, end_time) as began_at,
        end_time as ended_at
    from sys_query_history
    where end_time >= '{since}' and execution_time > 0
),
moments as (
    select label, began_at as moment_at, 1 as change, query_id from executed
    union all
    select label, ended_at, -1, query_id from executed
    {hours}
),
counted as (
    select label, moment_at, change, query_id,
        sum(change) over (order by moment_at, change desc, query_id rows unbounded preceding) as active,
        lead(moment_at) over (order by moment_at, change desc, query_id) as next_at
    from moments
),
segments as (
    select label, moment_at, change, query_id, active, date_trunc('hour', moment_at) as hour_at,
        case when active > 0 and next_at is not null
            then cast(datediff(microsecond, moment_at, next_at) as double precision) / 1000000
            else 0 end as busy_seconds
    from counted
),
priced as (
    select segments.*, {rate} as rate from segments {usage}
),
clocks as (
    select label, moment_at, change,
        coalesce(sum(busy_seconds / case when active > 0 then active else 1 end) over (
            order by moment_at, change desc, query_id rows between unbounded preceding and 1 preceding), 0) as shared,
        coalesce(sum(rate * busy_seconds / case when active > 0 then active else 1 end) over (
            order by moment_at, change desc, query_id rows between unbounded preceding and 1 preceding), 0) as charged
    from priced
)
select case when label like 'sluice run=%' then label end as load_label,
    min(moment_at) as began_at, sum(case when change = -1 then 1 else 0 end) as statement_count,
    cast(sum(-change * datediff(microsecond, timestamp '{since}', moment_at)) as double precision) / 1000000
        as execution_seconds,
    sum(-change * shared) as share_seconds, sum(-change * charged) as rpu_seconds
from clocks where change <> 0
group by 1
"""
_HOURS: Final = """union all
    select null, hour_at, 0, 0 from (
        select date_trunc('hour', start_time) as hour_at from sys_serverless_usage where end_time >= '{since}'
        union
        select dateadd(hour, 1, date_trunc('hour', start_time)) from sys_serverless_usage where end_time >= '{since}'
    ) as hours"""
_USAGE: Final = """left join (
        select date_trunc('hour', start_time) as hour_at, sum(charged_seconds) as charged_seconds
        from sys_serverless_usage where end_time >= '{since}' group by 1
    ) as charges on charges.hour_at = segments.hour_at"""
_RATE: Final = """coalesce(charges.charged_seconds, 0)
        / nullif(sum(busy_seconds) over (partition by segments.hour_at), 0)"""


@dataclass(frozen=True, slots=True)
class History:
    """What the history tells of a period.

    Attributes:
        since: Its begin, UTC: statements that ended before are not in it.
        loads: What each load took.
        other_seconds: Share of the time that statements without a label of a load took.
        sees_all: Whether the user may see the statements of all users; if not, time is shared among its own only.
    """

    since: datetime
    loads: tuple[LoadCost, ...]
    other_seconds: float
    sees_all: bool


def read_history(warehouse: Warehouse, since: datetime, now: datetime, *, is_serverless: bool) -> History:
    """Read what the loads since an instant took.

    Args:
        warehouse: An open connection to Redshift.
        since: Wanted begin, UTC; never more than seven days before now.
        now: UTC.
        is_serverless: Whether the warehouse is a serverless workgroup.

    Raises:
        SoftRunError: When the warehouse cannot be reached.
        HardRunError: When the user may not read the views; SYS_SERVERLESS_USAGE is for superusers.
    """
    begin = max(since, now - KEPT).astimezone(UTC)
    rows = warehouse.query(history_sql(begin, is_serverless=is_serverless))
    ((is_superuser,),) = warehouse.query("select usesuper from pg_user where usename = current_user")
    other = sum(float(row[4]) for row in rows if row[0] is None)
    return History(begin, tuple(_costs(rows, is_serverless=is_serverless)), other, bool(is_superuser))


def history_sql(since: datetime, *, is_serverless: bool) -> str:
    """Return the query: one row for each label, and one without a label for all other statements."""
    instant = f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    hours, usage, rate = (_HOURS, _USAGE, _RATE) if is_serverless else ("", "", "0")
    return _HISTORY.format(
        since=instant, hours=hours.format(since=instant), usage=usage.format(since=instant), rate=rate
    )


def _costs(rows: Iterable[Any], *, is_serverless: bool) -> Iterator[LoadCost]:
    for label, began_at, count, execution, share, charged in rows:
        found = _LABEL.match(label or "")
        if found is None:  # cut off: the history keeps 320 characters
            continue
        yield LoadCost(
            run_id=found[1],
            target=found[2],
            pipeline_id=found[3] or None,
            began_at=began_at.replace(tzinfo=UTC),
            statement_count=int(count),
            execution_seconds=float(execution),
            share_seconds=float(share),
            rpu_seconds=float(charged) if is_serverless else None,
        )
