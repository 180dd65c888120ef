"""The status of every target, from the control database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flows.gate.facts import DefinitionChange
from flows.gate.first_load import FirstLoad
from metadata_sync.database.journals.entries import LatestLoads, LoadEntry
from metadata_sync.loads import notes_on
from metadata_sync.rows.model import ControlRows


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """The status of one target.

    Attributes:
        target: Its name, `schema.table`.
        pipeline_id: Its pipeline.
        load_type: scd1, scd2 or append.
        is_active: Whether its row and its pipeline are active.
        last: Its newest run that reached dbt, successful or not; None when there is none.
        last_success: Its newest load; None when there is none.
        definition_change: Its rows that an older SELECT derived; None: there are none, or they were accepted.
        age_seconds: Since the newest load was finished; None when there is none.
        first_load: Its first load in chunks, while it is under way; None: it is done, or took one load.
    """

    target: str
    pipeline_id: str
    load_type: str
    is_active: bool
    last: LoadEntry | None
    last_success: LoadEntry | None
    age_seconds: float | None
    definition_change: DefinitionChange | None = None
    first_load: FirstLoad | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody should look at."""
        loaded = self.last_success
        noted = () if loaded is None else notes_on(self.target, loaded.rows, loaded.rejects, loaded.driving_rows)
        states = (self.definition_change, self.first_load)
        return (*noted, *(state.sentence for state in states if state is not None))


def target_statuses(
    rows: ControlRows,
    loads: LatestLoads,
    now: datetime,
    changes: Mapping[str, DefinitionChange] = {},
    first_loads: Mapping[str, FirstLoad] = {},
) -> tuple[TargetStatus, ...]:
    """Return the status of every target, by pipeline and name.

    Args:
        rows: The environment's rows.
        loads: The last loads of each target.
        now: The current instant.
        changes: Targets with rows that an older SELECT derived.
        first_loads: Targets whose first load in chunks is under way.
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
            definition_change=changes.get(str(row.name)),
            first_load=first_loads.get(str(row.name)),
        )
        for row in sorted(rows.transformations, key=lambda row: (row.pipeline_id, row.name))
    )


def _age(entry: LoadEntry | None, now: datetime) -> float | None:
    return (now - entry.finished_at).total_seconds() if entry is not None else None
