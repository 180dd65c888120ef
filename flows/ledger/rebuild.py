"""Write a target again from its ledger.

plan = plan_rebuild(context, "dwh.dim_aircraft") # what a rebuild would change, and what it cannot restore
rows = rebuild(context, "dwh.dim_aircraft")      # one transaction; the table is never dropped
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from flows.context import Context
from flows.engine.engine import hold_targets
from flows.engine.recovery import adopt
from flows.ledger.tasks import ask, row_of, run_task, runner
from flows.warehouse.connection import open_warehouse
from flows.warehouse.definition import Definition
from flows.warehouse.lake.variable import files_variable
from flows.warehouse.load_log import read_loads
from flows.warehouse.rejects import with_rejects
from metadata_sync.database.approval.model import Role
from metadata_sync.loads import RowCounts
from metadata_sync.rows.vocabulary import LoadType


@dataclass(frozen=True, slots=True)
class Retyped:
    """A column that a rebuild gives another type.

    Attributes:
        name: The column.
        before: Its type now.
        after: Its type afterwards.
        lost_count: Values that do not cast; their events go to the rejects.
        changed_count: Values that differ after a cast to the new type and back.
    """

    name: str
    before: str
    after: str
    lost_count: int
    changed_count: int


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """What a rebuild would do.

    Attributes:
        target: `schema.table`.
        built_as: How the target was built.
        becomes: How it would be built.
        event_count: Events of the ledger.
        reject_count: Events of the ledger that would go to the rejects.
        tie_count: Events that lost a tie since the last rebuild or full refresh; the ledger does not hold them.
        retyped: Columns that change their type.
        added: Columns that are new: NULL in every stored event.
    """

    target: str
    built_as: Definition
    becomes: Definition
    event_count: int
    reject_count: int
    tie_count: int
    retyped: tuple[Retyped, ...]
    added: tuple[str, ...]

    @property
    def changes(self) -> tuple[str, ...]:
        """What would change, one line each; empty: the rebuild writes the same rows."""
        before, after = self.built_as, self.becomes
        pairs = (
            ("load_type", before.load_type, after.load_type),
            ("business_key", ", ".join(before.key), ", ".join(after.key)),
            ("sequence_by", ", ".join(before.order), ", ".join(after.order)),
            ("scd_columns", before.tracks, after.tracks),
        )
        lines = [f"{name}: {old or 'none'} → {new or 'none'}" for name, old, new in pairs if old != new]
        lines += [f"{item.name}: {item.before} → {item.after}" for item in self.retyped]
        return (*lines, *(f"{name}: new, NULL in every stored event" for name in self.added))

    @property
    def losses(self) -> tuple[str, ...]:
        """What cannot be restored, one sentence each."""
        before, after = self.built_as, self.becomes
        lines = []
        if self.reject_count:
            lines.append(
                f"{self.reject_count:,} of {self.event_count:,} events go to the rejects: a value does not cast, or "
                "a part of the key or the event time is NULL."
            )
        lines += [
            f"{item.changed_count:,} values of {item.name} change when they become {item.after}."
            for item in self.retyped
            if item.changed_count
        ]
        is_finer = not set(after.key) <= set(before.key)
        if before.load_type != LoadType.SCD2 and before.key and (after.load_type == LoadType.SCD2 or is_finer):
            lines.append("The ledger holds only the last event of each key: the history begins with it.")
        elif before.load_type == LoadType.SCD2 and after.load_type != LoadType.SCD2:
            lines.append("From now on only the last event of each key is kept: earlier versions are removed.")
        if before.key and (is_finer or before.order != after.order):
            lines.append(
                f"Of events with equal ({', '.join((*before.key, before.order[0]))}) only the winner was kept; "
                f"the load log counts {self.tie_count:,} others that differed."
            )
        return tuple(lines)


def plan_rebuild(context: Context, target: str) -> RebuildPlan:
    """Count what a rebuild would restore and what it could not. Writes nothing.

    Raises:
        ConfigurationError: When no row declares the target.
        HardRunError: When nothing could be restored; the message says what to do instead.
    """
    found = ask(context, target, "survey")
    retyped = tuple(
        Retyped(item["name"], item["from"], item["to"], item["lost_count"], item["changed_count"])
        for item in found["retyped"]
    )
    return RebuildPlan(
        target=target,
        built_as=Definition.parse(found["built_as"]),
        becomes=Definition.parse(found["becomes"]),
        event_count=found["event_count"],
        reject_count=found["reject_count"],
        tie_count=found["tie_count"],
        retyped=retyped,
        added=tuple(found["added"]),
    )


def rebuild(context: Context, target: str) -> RowCounts:
    """Write a target again from its ledger under the settings of its row: one transaction, a new epoch, no source read.

    Args:
        context: Project, settings, control database.
        target: `schema.table`.

    Returns:
        How many rows were written.

    Raises:
        ConfigurationError: When no row declares the target.
        SoftRunError: When another run holds the target.
        HardRunError: When the rebuild failed; nothing was written.
        StoreError: When the role `restate` was granted to others only.
    """
    context.store.approvals.require(Role.RESTATE)
    run_id = f"rebuild-{context.now():%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    row = row_of(context, target)
    with hold_targets(context, f"rebuild of {target}", [target], run_id):
        rows = context.store.usable_rows()
        run_task(runner(context), row, "rebuild", run_id, files_variable(context, rows, [row], run_id))
        warehouse = open_warehouse(context.profile, wait_seconds=context.settings.lock_wait_seconds)
        try:
            found = read_loads(warehouse, context.profile, run_id=run_id)
            loads = with_rejects(warehouse, context.profile, rows, found, {target})
        finally:
            warehouse.close()
    adopt(context, rows, loads)
    return loads[-1].rows
