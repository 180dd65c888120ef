"""The engine's hook for Spark, called before each wave of dbt. Heavy imports wait until a target runs on Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from flows.context import Context
from flows.gate.facts import Decision
from flows.run.model import RunPlan, SparkMove
from metadata_sync.loads import ClusterCost
from metadata_sync.rows.model import TransformationRow
from metadata_sync.rows.vocabulary import Engine

if TYPE_CHECKING:
    from flows.spark.stage import CompileModels, SparkStage, Staged


class SparkInRun:
    """The Spark part of a run.

    Args:
        context: Project, settings, control database.
        plan: The run.
        say: Prints progress.
        on_change: Called with each change of a cluster or step.
    """

    def __init__(
        self,
        context: Context,
        plan: RunPlan,
        say: Callable[[str], None],
        on_change: Callable[[SparkMove], None],
    ) -> None:
        self._context = context
        self._plan = plan
        self._say = say
        self._on_change = on_change
        self._stage: SparkStage | None = None
        self._costs: dict[str, ClusterCost] = {}

    def run(
        self,
        due: Sequence[TransformationRow],
        decisions: Mapping[str, Decision],
        compile_models: CompileModels,
        files: str | None,
    ) -> Staged | None:
        """Run the wave's targets with engine Spark; None when there are none.

        Args:
            due: The targets of the wave.
            decisions: The decisions with their engines, by target.
            compile_models: Compiles dbt models by name.
            files: The listing of lake sources (SLUICE_FILES).

        Raises:
            RunError: When dbt cannot compile at all.
        """
        chosen = [
            (row, choice)
            for row in due
            if (choice := decisions[str(row.name)].choice) is not None and choice.engine is Engine.SPARK
        ]
        if not chosen:
            return None
        if self._stage is None:
            from flows.spark.stage import SparkStage

            request = self._plan.request
            self._stage = SparkStage(
                self._context,
                self._plan.rows,
                self._plan.run_id,
                requested_by=request.requested_by,
                say=self._say,
                on_change=self._on_change,
                cluster=request.cluster,
            )
        staged = self._stage.run(chosen, compile_models, files)
        for target, cost in staged.costs.items():
            known = self._costs.get(target)
            self._costs[target] = known + cost if known else cost
        return staged

    def cost(self, target: str) -> ClusterCost | None:
        """Return the cost of Spark for a target so far; None: it did not run there."""
        return self._costs.get(target)
