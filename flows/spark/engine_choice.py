"""The engine of every target that is due: what the gate found, what the lake lists, what the row says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Final

from flows.context import Context
from flows.gate.facts import Action, Decision, EngineChoice, SourceMode
from flows.run.model import RunRequest
from flows.spark.sizing.groups import parse_cluster
from flows.spark.sizing.scan_bytes import Scan, Span, estimate_scan
from flows.warehouse.lake import LakeFile, list_files, resolve_folder
from flows.warehouse.load_log import WarehouseState
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.errors import ConfigurationError
from metadata_sync.rows.model import ControlRows, PipelineRow, TransformationRow
from metadata_sync.rows.resolve import ResolvedDependency, resolve_dependencies
from metadata_sync.rows.vocabulary import Engine


def with_engines(
    context: Context, request: RunRequest, rows: ControlRows, state: WarehouseState, decisions: Sequence[Decision]
) -> tuple[Decision, ...]:
    """Add to every decision to run where it runs.

    Args:
        context: The project.
        request: What was asked.
        rows: The environment's rows.
        state: What the warehouse remembers.
        decisions: The gate's.

    Raises:
        ConfigurationError: When Spark was asked for and nothing that is due can run there.
    """
    if request.cluster is not None:
        parse_cluster(request.cluster)
    chooser = EngineChooser(context, rows, request.engine, request.cluster)
    chosen = [
        replace(decision, choice=chooser.choose(row, spans_of(decision, state)))
        if decision.action is Action.RUN and (row := chooser.row(decision.target)) is not None
        else decision
        for decision in decisions
    ]
    return tuple(chosen)


@dataclass
class EngineChooser:
    """Chooses engines for rows; every source is listed once.

    Attributes:
        context: The project.
        rows: The environment's rows.
        asked: The engine that a person asked for this run.
        cluster: The cluster that a person asked for this run.
    """

    context: Context
    rows: ControlRows
    asked: Engine | None = None
    cluster: str | None = None
    _listings: dict[str, tuple[LakeFile, ...]] = field(default_factory=dict)

    @cached_property
    def catalog(self) -> Catalog:
        """What is known of tables and columns."""
        return Catalog(self.rows, self.context.project, self.context.columns)

    @cached_property
    def _by_target(self) -> dict[str, TransformationRow]:
        return {str(row.name): row for row in self.rows.transformations}

    def row(self, target: str) -> TransformationRow | None:
        """Return the row that fills a target."""
        return self._by_target.get(target)

    def choose(self, row: TransformationRow, spans: Mapping[str, Span]) -> EngineChoice | None:
        """Choose where a row runs.

        Args:
            row: The transformation.
            spans: What it reads of each keyed source.

        Raises:
            ConfigurationError: When a person asked for Spark, and it cannot run there.
        """
        pipeline = self.rows.pipeline(row.pipeline_id)
        if pipeline is None:
            return None
        choice = choose_engine(
            pipeline, self.asked, self.cluster, lambda: self.obstacle(row), lambda: self.scan(row, spans)
        )
        is_asked = self.asked is Engine.SPARK or self.cluster is not None
        if is_asked and choice.engine is Engine.SPARK and choice.scan_bytes is None:
            raise ConfigurationError(
                f"{row.name} cannot run on Spark: {self.obstacle(row)}",
                "Nothing was started. Name pipelines that can, or leave --engine and --cluster out.",
                subject=str(row.name),
            )
        return choice

    def obstacle(self, row: TransformationRow) -> str | None:
        """Say what keeps a row from Spark; None when nothing does."""
        from metadata_sync.analysis.spark import spark_problems

        problems = spark_problems(row, self.catalog)
        return " ".join(problem.message for problem in problems) or None

    def scan(self, row: TransformationRow, spans: Mapping[str, Span]) -> Scan:
        """Estimate what a row reads."""
        return estimate_scan(resolve_dependencies(row, self.rows), spans, self._listing)

    def _listing(self, item: ResolvedDependency) -> tuple[LakeFile, ...]:
        name = str(item.name)
        if name not in self._listings:
            source = self.rows.source(item.name)
            folder = resolve_folder(self.context.project, source.location or "") if source else None
            try:
                self._listings[name] = list_files(folder) if folder else ()
            except (
                ValueError,
                OSError,
            ):  # the gate has held what cannot be listed; what was deleted since reads nothing
                self._listings[name] = ()
        return self._listings[name]


def spans_of(decision: Decision, state: WarehouseState | None) -> dict[str, Span]:
    """Return what a target reads of each keyed source, by the gate's evidence.

    Args:
        decision: The gate's.
        state: Says when it was loaded last; None: unknown.
    """
    head = state.heads.get(decision.target) if state else None
    since = _instant(head.loaded_at if head else None)
    return {
        item.source: Span(item.watermark, item.newest, since)
        for item in decision.evidence
        if item.mode is SourceMode.KEYED and item.watermark is not None
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
    asked: Engine | None,
    cluster: str | None,
    obstacles: Callable[[], str | None],
    scan: Callable[[], Scan],
) -> EngineChoice:
    """Decide where a target's SELECT runs.

    Args:
        pipeline: Its pipeline.
        asked: What a person asked for this run; None: nothing.
        cluster: The cluster that a person asked for, TYPE:N; it asks for Spark, too.
        obstacles: Says what keeps the row from Spark, or None; asked only when it matters.
        scan: Estimates what it reads; asked only when it matters.

    Returns:
        The engine with the numbers behind it.
    """
    wish = asked or (Engine.SPARK if cluster else None)
    engine = wish or pipeline.engine
    why = f"asked for {engine} in this run" if wish else f"its pipeline says engine: {engine}"
    if engine is Engine.WAREHOUSE:
        return EngineChoice(Engine.WAREHOUSE, why)
    threshold = _bytes(pipeline.spark_threshold_gb)
    if engine is Engine.AUTO and threshold is None:
        return EngineChoice(Engine.WAREHOUSE, f"{why}, and sets no spark_threshold_gb")
    obstacle = obstacles()
    if obstacle is not None:
        stays = Engine.WAREHOUSE if engine is Engine.AUTO else Engine.SPARK
        return EngineChoice(stays, f"{why}, and it cannot run on Spark: {obstacle}", threshold_bytes=threshold)
    return _by_size(engine, why, threshold, scan(), cluster)


def _by_size(engine: Engine, why: str, threshold: int | None, found: Scan, cluster: str | None) -> EngineChoice:
    numbers = (found.scan_bytes, threshold, found.basis)
    if engine is Engine.SPARK:
        return EngineChoice(Engine.SPARK, why, *numbers, cluster)
    assert threshold is not None, "auto without a threshold is decided before anything is listed"
    if found.scan_bytes >= threshold:
        message = f"it would read {in_gb(found.scan_bytes)}, the row's threshold is {in_gb(threshold)}"
        return EngineChoice(Engine.SPARK, message, *numbers, cluster)
    message = f"it would read {in_gb(found.scan_bytes)}, less than the row's threshold of {in_gb(threshold)}"
    return EngineChoice(Engine.WAREHOUSE, message, *numbers)


def in_gb(count: int) -> str:
    """Write bytes for people.

    >>> in_gb(1_500_000_000), in_gb(20_000), in_gb(0)
    ('1.5 GB', '0.02 MB', '0 MB')
    """
    return f"{count / GB:,.3g} GB" if count >= GB else f"{count / 10**6:,.3g} MB"


def _bytes(gigabytes: Decimal | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * GB)
