"""How every target stands: from the control database alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from metadata_sync.database.journal import LatestLoads, LoadEntry
from metadata_sync.rows import ControlRows


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """How one target stands.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        load_type: scd1, scd2 or append.
        is_active: Row and pipeline are both switched on.
        last: Its newest run that reached dbt, however that ended; None when there is none.
        last_success: Its newest load; None when there is none.
        age_seconds: Since the newest load was finished; None when there is none.
    """

    target: str
    pipeline_id: str
    load_type: str
    is_active: bool
    last: LoadEntry | None
    last_success: LoadEntry | None
    age_seconds: float | None


def target_statuses(rows: ControlRows, loads: LatestLoads, now: datetime) -> tuple[TargetStatus, ...]:
    """Say how every target stands, by pipeline and name.

    Args:
        rows: The environment's rows.
        loads: The last loads of each target.
        now: The current instant.
    """
    last = {entry.target: entry for entry in loads.newest}
    loaded = {entry.target: entry for entry in loads.successful}
    active = {pipeline.pipeline_id for pipeline in rows.pipelines if pipeline.is_active}
    return tuple(
        TargetStatus(
            target=str(row.name),
            pipeline_id=row.pipeline_id,
            load_type=row.load_type.value,
            is_active=row.is_active and row.pipeline_id in active,
            last=last.get(str(row.name)),
            last_success=loaded.get(str(row.name)),
            age_seconds=_age(loaded.get(str(row.name)), now),
        )
        for row in sorted(rows.transformations, key=lambda row: (row.pipeline_id, row.name))
    )


def duration_text(seconds: float) -> str:
    """Say a duration in its two largest units.

    >>> duration_text(59), duration_text(3725), duration_text(200000)
    ('59 s', '1 h 2 min', '2 d 7 h')
    """
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    left = max(0, round(seconds))
    for place, (name, size) in enumerate(units):
        if left >= size:
            whole, rest = divmod(left, size)
            next_name, next_size = units[place + 1] if place + 1 < len(units) else ("", 1)
            more = rest // next_size if next_name and next_name != "s" else 0
            return f"{whole} {name}" + (f" {more} {next_name}" if more else "")
    return "0 s"


def _age(entry: LoadEntry | None, now: datetime) -> float | None:
    return (now - entry.finished_at).total_seconds() if entry is not None else None
