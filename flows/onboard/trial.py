"""Load a sample of what was proposed in a copy of the project, which is removed afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flows.context import Context
from flows.onboard.model import Proposal
from flows.warehouse.lake.folder import LakeFile, list_files, source_folder
from metadata_sync.control.bundle import read_project
from metadata_sync.control.export import export_document
from metadata_sync.loads import RowCounts
from metadata_sync.rows.merge import ControlState
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.vocabulary import SourceKind

if TYPE_CHECKING:
    from flows.run.model import RunSummary

_FILES: Final = 3
"""Files of a source that are loaded: the first ones and the last."""

_LEFT_BEHIND: Final = ("target", "logs", "dbt_packages", "generated", "control")


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial load showed.

    Attributes:
        target: The target.
        row_count: Rows that it read.
        rejected_count: Rows that it rejected.
        seconds: How long it took.
        error: Why it failed; None: it did not.
    """

    target: str
    row_count: int
    rejected_count: int
    seconds: float
    error: str | None


def why_not(context: Context, proposals: Sequence[Proposal], rows: ControlRows) -> str | None:
    """Return why proposals cannot be tried beside the project; None when they can."""
    if not context.profile.is_embedded:
        return "the warehouse is a server, on which nothing is written before `sluice run`"
    read = {name for proposal in proposals for name in _reads(proposal)}
    for name in sorted(read):
        source = next((row for row in rows.sources if str(row.name) == name), None)
        if source is None or source.kind is SourceKind.WAREHOUSE:
            return f"{name} is a table of the warehouse, which is not copied"
    return None


def try_out(context: Context, proposals: Sequence[Proposal]) -> tuple[Tried, ...]:
    """Load the targets of proposals from a few files of each source, into a database that is thrown away.

    Args:
        context: The project, with the proposed files written.
        proposals: What was proposed.

    Raises:
        SluiceError: When the rows are refused, or the run cannot start.
    """
    with _copied(context, proposals) as trial:
        summary = _run(trial)
    counts = [(outcome, outcome.rows or RowCounts()) for outcome in summary.outcomes]
    return tuple(
        Tried(outcome.target, rows.read, rows.rejected, outcome.seconds or 0.0, outcome.error)
        for outcome, rows in counts
    )


@contextmanager
def _copied(context: Context, proposals: Sequence[Proposal]) -> Iterator[Context]:
    project = context.project
    project.state_dir.mkdir(exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="trial-", dir=project.state_dir)).resolve()
    try:
        shutil.copytree(project.dbt_dir, root / project.dbt_folder, ignore=_ignored, dirs_exist_ok=True)
        if project.profiles_file.is_relative_to(project.root):
            target = root / project.profiles_file.relative_to(project.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project.profiles_file, target)
        copy = replace(project, root=root)
        rows = _rows(context, proposals)
        for source in rows.sources:
            if source.location is not None and not source.location.startswith("s3://"):
                _link(list_files(source_folder(project, source)), project.root, root)
        copy.control_dir.mkdir(parents=True)
        (copy.control_dir / "trial.yml").write_text(
            export_document(ControlState(rows, ControlRows())), encoding="utf-8"
        )
        settings = context.settings.model_copy(update={"control_url": None})
        trial = Context(copy, settings, context.who, context.clock)
        try:
            yield trial
        finally:
            trial.store.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _ignored(folder: str, names: list[str]) -> Iterable[str]:
    del folder
    return [name for name in names if name in _LEFT_BEHIND]


def _rows(context: Context, proposals: Sequence[Proposal]) -> ControlRows:
    """Return the rows of the proposed targets, their pipelines and what they read."""
    project = context.project
    declared = read_project(project, context.settings.environment).rows
    wanted = {proposal.target for proposal in proposals}
    targets = tuple(row for row in declared.transformations if row.name in wanted)
    pipelines = {row.pipeline_id for row in targets}
    read = {item.table for row in targets for item in row.dependencies}
    return ControlRows(
        sources=tuple(row for row in declared.sources if str(row.name) in read),
        pipelines=tuple(row for row in declared.pipelines if row.pipeline_id in pipelines),
        transformations=targets,
    )


def _reads(proposal: Proposal) -> list[str]:
    source = proposal.offer.source
    return [str(source.name)] if source is not None else [read.table for read in proposal.offer.reads]


def _link(files: Sequence[LakeFile], old: Path, new: Path) -> None:
    """Put the first files of a source and the last one at the same place of the copy."""
    some = [*files[: _FILES - 1], files[-1]] if len(files) > _FILES else list(files)
    for file in some:
        path = Path(file.original or file.path)
        place = new / path.relative_to(old)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:  # another file system
            shutil.copy2(path, place)


def _run(trial: Context) -> RunSummary:
    from flows.engine.engine import execute, prepare
    from flows.run.model import RunRequest
    from metadata_sync.control.apply import ChangeContext, apply_plan, plan_files

    change = ChangeContext(trial.project, trial.store, trial.columns, trial.who)
    apply_plan(change, plan_files(change))
    request = RunRequest(requested_by=trial.who)
    return execute(trial, prepare(trial, request))
