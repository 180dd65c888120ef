"""Turn targets into Spark jobs with their windows; one that cannot become a job says why, and stops no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from uuid import uuid4

from flows.context import Context
from flows.gate.facts import EngineChoice
from flows.spark.backend import Backend
from flows.spark.jobs import SourceFiles, SparkJob, Window, cuts_of, result_folder, spark_location
from flows.spark.lake_files import ListedFiles
from flows.spark.settings import SparkSettings
from flows.spark.sizing.groups import GroupMember
from flows.spark.sizing.learning import REMEMBERED, learn_from
from flows.spark.sizing.sizing import Workload
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.spark import SparkSelect, translate
from metadata_sync.errors import SluiceError
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.resolve import resolve_dependencies
from metadata_sync.sql.spark import view_name


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job with what the stage knows of it.

    Attributes:
        job: What the Spark script gets.
        item: The member of its group.
        windows: The window of each source that it reads.
    """

    job: SparkJob
    item: GroupMember
    windows: Mapping[str, Window]


class JobPreparer:
    """Prepares the jobs of one wave.

    Args:
        context: Project, settings, control database.
        rows: The environment's rows.
        run_id: The run.
        spark: Settings of Spark.
        backend: Where the jobs run.
    """

    def __init__(
        self, context: Context, rows: ControlRows, run_id: str, spark: SparkSettings, backend: Backend
    ) -> None:
        self._context = context
        self._rows = rows
        self._run_id = run_id
        self._spark = spark
        self._backend = backend

    def prepare(
        self, row: TransformationRow, choice: EngineChoice, windows: Mapping[str, Window], listed: ListedFiles
    ) -> PreparedJob | str:
        """Return a target's job, or why it cannot run on Spark.

        Args:
            row: The transformation.
            choice: Its engine choice, with the estimated bytes.
            windows: The windows that its compiled model holds.
            listed: The files of lake sources.
        """
        pipeline = self._rows.pipeline(row.pipeline_id)
        if pipeline is None:
            return "its pipeline no longer exists."
        scan_bytes = choice.scan_bytes or 0
        try:
            Workload(scan_bytes, pipeline.sla_minutes)
            cuts = cuts_of(row, resolve_dependencies(row, self._rows), windows)
            select = translate(row, self._catalog, cuts)
            if not isinstance(select, SparkSelect):
                return f"{select[0].message} {select[0].remedy}"
            unread = {name for name, cut in cuts.items() if cut.has_unread_view}
            job = self._job(row, select, scan_bytes, listed.of_job(row, select.sources, windows, unread))
        except (SluiceError, ValueError, OSError, RecursionError) as error:
            return str(error)
        if (obstacle := self._backend.obstacle(job)) is not None:
            return obstacle
        entries = self._context.store.spark_entries(job.target, limit=5 * REMEMBERED)
        return PreparedJob(
            job, GroupMember(row, pipeline, scan_bytes, learn_from(entries, self._spark.backend.value)), windows
        )

    @cached_property
    def _catalog(self) -> Catalog:
        return Catalog(self._rows, self._context.project, self._context.columns)

    def _job(
        self, row: TransformationRow, select: SparkSelect, scan_bytes: int, files: Mapping[str, SourceFiles]
    ) -> SparkJob:
        project = self._context.project
        return SparkJob(
            target=str(row.name),
            attempt=uuid4().hex[:12],
            select=select,
            locations={view_name(source.name): spark_location(project, source) for source in select.sources},
            folder=result_folder(project, row, self._run_id),
            scan_bytes=scan_bytes,
            catalog=self._spark.catalog,
            files=files,
        )
