"""Choose the engine of every target that is due, from the gate's evidence, the lake's listing and the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Final

from flows.context import Context
from flows.gate.facts import Action, Decision, EngineChoice, Reason, SourceMode
from flows.run.model import RunRequest
from flows.run.selection import requested_engine, warehouse_choice
from flows.spark.cost_caps import hold_beyond_caps
from flows.spark.sizing.groups import parse_cluster
from flows.spark.sizing.scan_bytes import ScanEstimate, Span, estimate_scan
from flows.spark.sizing.sizing import MOST_BYTES
from flows.warehouse.lake.folder import LakeFile, list_files, source_folder
from flows.warehouse.load_log import WarehouseState
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.errors import ConfigurationError, RunError, SluiceError
from metadata_sync.rows.model import ControlRows, PipelineRow, TransformationRow
from metadata_sync.rows.resolve import ResolvedDependency, resolve_dependencies
from metadata_sync.rows.vocabulary import Engine


def with_engines(
    context: Context, request: RunRequest, rows: ControlRows, state: WarehouseState, decisions: Sequence[Decision]
) -> tuple[Decision, ...]:
    """Add the engine to every decision to run.

    Args:
        context: The project.
        request: The run's request.
        rows: The environment's rows.
        state: The warehouse's state.
        decisions: The gate's decisions.

    Returns:
        The decisions. A target that cannot run where it was asked to, whose source cannot be listed, or whose cluster
        would cost more than its pipeline allows is held; the others run.

    Raises:
        ConfigurationError: When the request's cluster is malformed, or a cap is set and no price list can be read.
    """
    if request.cluster is not None:
        parse_cluster(request.cluster)
    chooser = EngineChooser(context, rows, request.engine, request.cluster)
    chosen = [_with_engine(chooser, state, decision) for decision in decisions]
    return hold_beyond_caps(context, rows, chosen, request.cluster)


def _with_engine(chooser: EngineChooser, state: WarehouseState, decision: Decision) -> Decision:
    row = chooser.row(decision.target) if decision.action is Action.RUN else None
    if row is None:
        return decision
    try:
        choice = chooser.choose(row, spans_of(decision, state))
    except SluiceError as error:
        return replace(decision, action=Action.HOLD, reason=Reason.SOURCE_UNREADABLE, message=error.message)
    refusal = chooser.refusal(row, choice)
    decision = replace(decision, choice=choice)
    if refusal is not None:
        return replace(decision, action=Action.HOLD, reason=Reason.NOT_ON_SPARK, message=refusal)
    return decision


@dataclass
class EngineChooser:
    """Chooses engines for rows; each source is listed once.

    Attributes:
        context: The project.
        rows: The environment's rows.
        requested: The engine of the request.
        cluster: The cluster of the request.
    """

    context: Context
    rows: ControlRows
    requested: Engine | None = None
    cluster: str | None = None
    _listings: dict[str, tuple[LakeFile, ...]] = field(default_factory=dict)

    @cached_property
    def catalog(self) -> Catalog:
        """The catalog of tables and columns."""
        return Catalog(self.rows, self.context.project, self.context.columns)

    @cached_property
    def _by_target(self) -> dict[str, TransformationRow]:
        return {str(row.name): row for row in self.rows.transformations}

    def row(self, target: str) -> TransformationRow | None:
        """Return the row of a target."""
        return self._by_target.get(target)

    def choose(self, row: TransformationRow, spans: Mapping[str, Span]) -> EngineChoice | None:
        """Choose the engine of a row.

        Args:
            row: The transformation.
            spans: The span of each keyed source that it reads.

        Raises:
            RunError: When a folder of the lake cannot be listed now.
            ConfigurationError: When S3 refuses to list it.
        """
        pipeline = self.rows.pipeline(row.pipeline_id)
        if pipeline is None:
            return None
        return choose_engine(
            pipeline, self.requested, self.cluster, lambda: self.obstacle(row), lambda: self.scan(row, spans)
        )

    def refusal(self, row: TransformationRow, choice: EngineChoice | None) -> str | None:
        """Return why a row cannot run on the Spark that the request names, or None.

        Args:
            row: The transformation.
            choice: Its engine.
        """
        is_requested = self.requested is Engine.SPARK or self.cluster is not None
        if not is_requested or choice is None or choice.engine is not Engine.SPARK or choice.scan_bytes is not None:
            return None
        return f"it cannot run on Spark: {self.obstacle(row)} Run it without --engine and --cluster"

    def obstacle(self, row: TransformationRow) -> str | None:
        """Return why a row cannot run on Spark, or None."""
        from metadata_sync.analysis.spark import spark_problems

        problems = spark_problems(row, self.catalog)
        return " ".join(problem.message for problem in problems) or None

    def scan(self, row: TransformationRow, spans: Mapping[str, Span]) -> ScanEstimate:
        """Estimate the bytes that a row reads."""
        return estimate_scan(resolve_dependencies(row, self.rows), spans, self._listing)

    def _listing(self, item: ResolvedDependency) -> tuple[LakeFile, ...]:
        name = str(item.name)
        if name not in self._listings:
            source = self.rows.source(item.name)
            folder = source_folder(self.context.project, source) if source else None
            try:
                self._listings[name] = list_files(folder) if folder else ()
            except (ValueError, OSError):  # deleted after the gate has listed it: there is nothing to read
                self._listings[name] = ()
            except (ConfigurationError, RunError) as error:
                raise type(error)(f"{name} cannot be read: {error.message}", error.hint) from error
        return self._listings[name]


def spans_of(decision: Decision, state: WarehouseState | None) -> dict[str, Span]:
    """Return the span of each keyed source that a target reads, from the gate's evidence.

    Args:
        decision: The gate's decision.
        state: The warehouse's state, for the time of the last load; None: unknown.
    """
    head = state.heads.get(decision.target) if state else None
    since = _instant(head.loaded_at if head else None)
    return {
        item.source: Span(item.begins_at or item.watermark, item.newest, since)
        for item in decision.evidence
        if item.mode in (SourceMode.KEYED, SourceMode.FILES) and item.watermark is not None
    }


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


GB: Final = 10**9


def choose_engine(
    pipeline: PipelineRow,
    requested: Engine | None,
    cluster: str | None,
    obstacles: Callable[[], str | None],
    scan: Callable[[], ScanEstimate],
) -> EngineChoice:
    """Choose where a target's SELECT runs.

    Args:
        pipeline: Its pipeline.
        requested: The engine of the request; None: not set.
        cluster: The cluster of the request, TYPE:N; it implies Spark.
        obstacles: Returns why the row cannot run on Spark, or None; called only when needed.
        scan: Estimates the bytes that it reads; called only when needed.

    Returns:
        The engine with the numbers that led to it.
    """
    choice = warehouse_choice(pipeline, requested, cluster)
    if choice is not None:
        return choice
    engine, why = requested_engine(pipeline, requested, cluster)
    threshold = _bytes(pipeline.spark_threshold_gb)
    obstacle = obstacles()
    if obstacle is not None:
        stays = Engine.WAREHOUSE if engine is Engine.AUTO else Engine.SPARK
        return EngineChoice(stays, f"{why}, and it cannot run on Spark: {obstacle}", threshold_bytes=threshold)
    return _by_size(engine, why, threshold, scan(), cluster)


def _by_size(engine: Engine, why: str, threshold: int | None, found: ScanEstimate, cluster: str | None) -> EngineChoice:
    numbers = (found.scan_bytes, threshold, found.basis)
    if engine is Engine.SPARK:
        return EngineChoice(Engine.SPARK, why, *numbers, cluster)
    assert threshold is not None, "auto without a threshold has returned before"
    if found.scan_bytes >= threshold:
        message = f"it would read {in_gb(found.scan_bytes)}, the row's threshold is {in_gb(threshold)}"
        return EngineChoice(Engine.SPARK, message, *numbers, cluster)
    message = f"it would read {in_gb(found.scan_bytes)}, less than the row's threshold of {in_gb(threshold)}"
    return EngineChoice(Engine.WAREHOUSE, message, *numbers)


def in_gb(count: int) -> str:
    """Format bytes for people.

    >>> in_gb(1_500_000_000), in_gb(20_000), in_gb(0), in_gb(10**400)
    ('1.5 GB', '0.02 MB', '0 MB', 'more than 1,000 TB')
    """
    if count > MOST_BYTES:
        return f"more than {MOST_BYTES // 10**12:,} TB"
    return f"{count / GB:,.3g} GB" if count >= GB else f"{count / 10**6:,.3g} MB"


def _bytes(gigabytes: Decimal | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * GB)
