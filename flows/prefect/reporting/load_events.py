"""Events of loads: they start the pipelines that read a loaded target. Pure.

There is one event per target whose load changed rows. An automation of `sluice deploy` starts the related pipelines of
the event; each run then calls the gate as usual.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from flows.run.model import OutcomeStatus, RunPlan, TargetOutcome
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName

LOADED_EVENT: Final = "sluice.table.loaded"
DEPENDANT_ROLE: Final = "dependant"


@dataclass(frozen=True, slots=True)
class LoadedEvent:
    """A target has loaded rows.

    Attributes:
        id: Id of the event; the server ignores a second event with the same id.
        when: UTC.
        environment: The row's environment.
        flow_run_id: The flow run that loaded it.
        run_id: The run's id in the load log.
        outcome: The outcome of the load.
        dependants: Active pipelines outside the run that read the target as a driving source.
        starts: The dependants that this event starts: each is started once per wave, even if several sources loaded.
    """

    id: UUID
    when: datetime
    environment: str
    flow_run_id: UUID
    run_id: str
    outcome: TargetOutcome
    dependants: tuple[str, ...]
    starts: tuple[str, ...]

    def body(self) -> Mapping[str, Any]:
        """Return the event in the API's format."""
        outcome = self.outcome
        related = [(f"prefect.flow-run.{self.flow_run_id}", "flow-run")]
        related += [(f"sluice.pipeline.{self.environment}.{name}", DEPENDANT_ROLE) for name in self.starts]
        return {
            "id": str(self.id),
            "occurred": self.when.isoformat(),
            "event": LOADED_EVENT,
            "resource": {
                "prefect.resource.id": f"sluice.table.{self.environment}.{outcome.target}",
                "prefect.resource.name": outcome.target,
            },
            "related": [{"prefect.resource.id": key, "prefect.resource.role": role} for key, role in related],
            "payload": {
                "environment": self.environment,
                "target": outcome.target,
                "pipeline_id": outcome.pipeline_id,
                "run_id": self.run_id,
                "load_id": outcome.load_id,
                "loaded_at": outcome.loaded_at.isoformat() if outcome.loaded_at else None,
                "rows": asdict(outcome.rows) if outcome.rows else None,
                "dependants": list(self.dependants),
            },
        }


def loaded_events(
    plan: RunPlan, outcomes: Sequence[TargetOutcome], *, environment: str, flow_run_id: UUID, when: datetime
) -> Iterator[LoadedEvent]:
    """Yield the events of one wave.

    Args:
        plan: The run, with its rows.
        outcomes: The outcomes of the wave's targets.
        environment: The rows' environment.
        flow_run_id: The flow run.
        when: UTC.
    """
    started: set[str] = set()
    in_run = {row.pipeline_id for row in plan.selected}
    readers_of = active_readers(plan.rows)
    for outcome in outcomes:
        if outcome.status is not OutcomeStatus.LOADED:
            continue
        readers = tuple(sorted(readers_of.get(TableName.parse(outcome.target), set()) - in_run))
        fresh = tuple(name for name in readers if name not in started)
        started.update(fresh)
        yield LoadedEvent(uuid4(), when, environment, flow_run_id, plan.run_id, outcome, readers, fresh)


def active_readers(rows: ControlRows) -> Mapping[TableName, set[str]]:
    """Return, by table, the active pipelines with an active transformation that reads it as a driving source."""
    active = {row.pipeline_id for row in rows.pipelines if row.is_active}
    readers: dict[TableName, set[str]] = {}
    for row in rows.transformations:
        if row.is_active and row.pipeline_id in active:
            for item in row.driving:
                readers.setdefault(TableName.parse(item.table), set()).add(row.pipeline_id)
    return readers
