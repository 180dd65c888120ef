"""What a report is asked for: the whole environment, or some of its pipelines."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from flows.run.selection import unknown_pipelines

if TYPE_CHECKING:
    from flows.context import Context
    from metadata_sync.database.journals.entries import LatestLoads
    from metadata_sync.incident import Incident
    from metadata_sync.rows.model import ControlRows


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows and loads of what is asked for.

    Attributes:
        pipelines: The pipelines; empty: all.
        rows: Their rows, with what these read and with the pipelines of incidents that concern them.
        loads: The last loads of these rows.
        targets: The targets of the pipelines.
        incidents: The open incidents that concern them, oldest first.
    """

    pipelines: frozenset[str]
    rows: ControlRows
    loads: LatestLoads
    targets: frozenset[str]
    incidents: tuple[Incident, ...]

    @classmethod
    def of(cls, context: Context, pipelines: Collection[str] = ()) -> Self:
        """Read what some pipelines need, and nothing else; without pipelines, everything.

        Raises:
            RequestError: When a pipeline does not exist.
            MetadataError: When a faulty column of a row has no default.
        """
        store, asked = context.store, frozenset(pipelines)
        open_ = store.incidents()
        if not asked:
            rows = store.usable_rows()
            return cls(asked, rows, store.latest_loads(), frozenset(_targets(rows)), open_)
        rows = store.read_part(asked).usable
        if unknown := [name for name in pipelines if rows.pipeline(name) is None]:
            raise unknown_pipelines(unknown, (row.pipeline_id for row in store.usable_rows().pipelines))
        targets = frozenset(_targets(rows, asked))
        concerned = tuple(incident for incident in open_ if _concerns(incident, asked, targets))
        named = {pipeline for incident in concerned for pipeline in incident.pipeline_ids}
        if named - asked:
            rows = store.read_part(asked | named).usable
        return cls(asked, rows, store.latest_loads(set(_targets(rows))), targets, concerned)

    def holds(self, pipeline_id: str) -> bool:
        """Whether a pipeline is asked for."""
        return not self.pipelines or pipeline_id in self.pipelines


def _targets(rows: ControlRows, pipelines: Collection[str] | None = None) -> Iterable[str]:
    return (str(row.name) for row in rows.transformations if pipelines is None or row.pipeline_id in pipelines)


def _concerns(incident: Incident, pipelines: Collection[str], targets: Collection[str]) -> bool:
    """Whether an incident is one of these pipelines, one that they wait for, or one of no pipeline at all."""
    named = incident.pipeline_ids
    return not named or not set(pipelines).isdisjoint(named) or not set(targets).isdisjoint(incident.held_up)
