"""A target's ledger: verify the target against it, rebuild the target from it.

    found = verify(context, "dwh.dim_aircraft")      # reads everything, writes nothing
    plan = plan_rebuild(context, "dwh.dim_aircraft") # what a rebuild would change, and what it cannot restore
    rows = rebuild(context, "dwh.dim_aircraft")      # one transaction; the table is never dropped

dbt runs the macros' SQL in the warehouse: SLUICE_TASKS makes the model run its task instead of a load.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flows.context import Context
from flows.engine.definitions import find_target, read_head, recount
from flows.engine.engine import hold_targets, hold_warehouse, sync_rows
from flows.engine.recovery import adopt
from flows.gate.definitions import definition_changes
from flows.gate.facts import DefinitionChange
from flows.run.outcome import load_variables
from flows.warehouse.connection import open_warehouse
from flows.warehouse.load_log import Definition, read_loads
from flows.warehouse.rejects import with_rejects
from metadata_sync.errors import ConfigurationError, HardRunError, SoftRunError
from metadata_sync.loads import RowCounts
from metadata_sync.rows.vocabulary import LoadType

if TYPE_CHECKING:
    from flows.dbt.runner import DbtRunner
    from metadata_sync.rows.model import TransformationRow


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a target and its ledger: its kind, the row, and details."""

    difference: str
    row: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying a target found.

    Attributes:
        target: `schema.table`.
        row_count: Rows of the table.
        older_count: Events that an older SELECT than today's derived.
        event_count: Events of the ledger: the table's rows and the side table's.
        counts: Kind of difference → number of differences.
        differences: The first hundred.
        definition_change: Its rows that an older SELECT derived; None: there are none, or they were accepted.
    """

    target: str
    row_count: int
    event_count: int
    older_count: int
    counts: Mapping[str, int]
    differences: tuple[Difference, ...]
    definition_change: DefinitionChange | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the target matches its ledger."""
        return not self.counts


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


def verify(context: Context, target: str) -> Verification:
    """Compare a target with its ledger and its load log, by SQL in the warehouse.

    Args:
        context: Project, settings, control database.
        target: `schema.table`.

    Raises:
        ConfigurationError: When no row declares the target.
        HardRunError: When there is nothing to compare with: never loaded, table gone, settings changed.
        SoftRunError: When another load committed during the comparison.
    """
    found = _ask(context, target, "verify")
    differences = tuple(Difference(**item) for item in found["differences"])
    event_count, older_count = found["event_count"], found["older_count"]
    rows = context.store.usable_rows()
    row = find_target(rows, target)
    head = read_head(context, row)
    recount(context, rows, row, head.definition or "", event_count=event_count, older_count=older_count)
    changes = definition_changes(context, rows, [row], {target: head}, is_in_step=False)
    return Verification(
        target, found["row_count"], event_count, older_count, found["counts"], differences, changes.get(target)
    )


def plan_rebuild(context: Context, target: str) -> RebuildPlan:
    """Count what a rebuild would restore and what it could not. Writes nothing.

    Raises:
        ConfigurationError: When no row declares the target.
        HardRunError: When nothing could be restored; the message says what to do instead.
    """
    found = _ask(context, target, "survey")
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
    """
    run_id = f"rebuild-{context.now():%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    row = _row(context, target)
    with hold_targets(context, f"rebuild of {target}", [target], run_id):
        run_task(_runner(context), row, "rebuild", run_id)
        rows = context.store.usable_rows()
        warehouse = open_warehouse(context.profile, wait_seconds=context.settings.lock_wait_seconds)
        try:
            found = read_loads(warehouse, context.profile, run_id=run_id)
            loads = with_rejects(warehouse, context.profile, rows, found, {target})
        finally:
            warehouse.close()
    adopt(context, rows, loads)
    return loads[-1].rows


def _ask(context: Context, target: str, task: str) -> dict[str, Any]:
    row = _row(context, target)
    with hold_warehouse(context, f"{task} {target}"):
        message = run_task(_runner(context), row, task, f"{task}-{uuid4().hex[:8]}")
    found = json.loads(message)
    assert isinstance(found, dict), "the macros write one JSON object"
    return found


def run_task(
    dbt: DbtRunner, row: TransformationRow, task: str, run_id: str, variables: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Run a task of a model and return its message.

    Args:
        dbt: Runs dbt on the project.
        row: The target's row.
        task: survey, verify, rebuild or prune; the macro `asked_task` reads it.
        run_id: The run id of what the task writes.
        variables: More environment variables of dbt.

    Raises:
        SoftRunError: When another load of the target committed first.
        HardRunError: When the task failed.
    """
    model = row.name.model_name
    tasks = {"SLUICE_TASKS": json.dumps({str(row.name): task})}
    results = dbt.run([model], variables={**load_variables(run_id, {}), **tasks, **variables})
    node = next((item for item in results if item.name == model), None)
    if node is None or node.has_failed or node.is_skipped:
        message = node.message if node else "dbt did not run the model"
        error = SoftRunError if "committed first" in message else HardRunError
        raise error(f"{task} of {row.name} failed: {message}", subject=str(row.name))
    return node.message


def _runner(context: Context) -> DbtRunner:
    from flows.dbt.runner import DbtRunner

    return DbtRunner(context.project, context.settings, context.profile)


def _row(context: Context, target: str) -> TransformationRow:
    """Return the row of a target, after a sync of its model."""
    rows, blame = sync_rows(context)
    for row in rows.transformations:
        if str(row.name) == target:
            for fault in blame.faults_of(row):
                raise ConfigurationError(f"The row of {target} has a fault: {fault}")
            return row
    known = ", ".join(sorted(str(row.name) for row in rows.transformations))
    raise ConfigurationError(
        f"There is no transformation {target!r} in this environment.", f"It has: {known or 'none'}."
    )
