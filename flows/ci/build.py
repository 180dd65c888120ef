"""Stage 2 of a pull request's checks: what changed is loaded twice, as it was and as it is, and compared.

Both loads read the same sample, in schemas of their own; everything that did not change is read from the base
environment, and nothing of it is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from flows.ci.choose import changed_targets, with_readers
from flows.ci.messages import without_values
from flows.context import Context
from flows.diff.compare import compare_tables
from flows.diff.sides import Side, open_both, side
from flows.environments.build import load
from flows.environments.inputs import Input, inputs_of, rows_of, rows_reading
from flows.environments.place import open_place, refusal
from flows.environments.project_copy import copied
from flows.environments.samples import Cut, Sample, copy_samples, elsewhere
from flows.impact.base import project_at
from flows.impact.types import refusals, standing_lists
from flows.run.model import OutcomeStatus
from metadata_sync.control.bundle import read_project
from metadata_sync.errors import HardRunError, RequestError
from metadata_sync.rows.model import ControlRows, TransformationRow
from metadata_sync.rows.names import TableName
from metadata_sync.rows.resolve import is_active, sequence_columns

if TYPE_CHECKING:
    from flows.diff.model import TableDiff
    from flows.impact.plan import Impact
    from flows.run.model import RunSummary, TargetOutcome
    from flows.warehouse.connection import Warehouse
    from metadata_sync.project import Project

Say = Callable[[str], None]

BEFORE: Final = "before"
AFTER: Final = "after"
_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is built.

    Attributes:
        base: The environment that has everything that did not change.
        readers: How many levels of readers are built with what changed; None: all.
        cut: Which rows of each table are read.
        has_values: Whether examples and messages may hold values of rows.
    """

    base: str
    readers: int | None = 0
    cut: Cut = field(default_factory=Cut)
    has_values: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """One target.

    Attributes:
        target: `schema.table`.
        is_changed: Whether its own row or SELECT changed; False: it reads what did.
        diff: How its rows differ; None: it is new, or was not compared.
        rows: Rows that it has now; None: it could not be loaded.
        error: Why it could not be loaded, or will not be loaded into the table that stands; None: it was, and will.
        note: Why it was not compared, though it is not new.
        file: Its SELECT, below the project's root; None: it copies a table.
    """

    target: str
    is_changed: bool = False
    diff: TableDiff | None = None
    rows: int | None = None
    error: str | None = None
    note: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True)
class BuildResult:
    """All that was built.

    Attributes:
        base: The environment that the rest was read from.
        targets: The targets.
        samples: What they read.
        total: How many targets the project has.
    """

    base: str
    targets: tuple[Built, ...]
    samples: tuple[Sample, ...]
    total: int

    @property
    def has_failed(self) -> bool:
        """Whether a target could not be loaded."""
        return any(item.error for item in self.targets)


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of the project: its rows, and where it is."""

    rows: ControlRows
    project: Project


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done: both versions, and the targets to load."""

    before: _Version
    after: _Version
    targets: set[TableName]


def build_changes(context: Context, impact: Impact, request: BuildRequest, say: Say) -> BuildResult:
    """Load what changed, as it was and as it is, and compare.

    Args:
        context: The project.
        impact: What changed against which ref.
        request: What is built, and from where.
        say: Told each step as it begins.

    Raises:
        HardRunError: When the base environment misses a table, or refuses schemas.
        SluiceError: When rows are refused, or a run cannot start.
    """
    base = at_environment(context, request.base)
    with project_at(context.project, impact.ref) as old_project:
        after = _Version(read_project(context.project, request.base).rows, context.project)
        before = _Version(read_project(old_project, request.base).rows, old_project)
        changed = changed_targets(impact.effects, after.rows)
        built = with_readers(changed, after.rows, request.readers)
        total = len(after.rows.transformations)
        if not built:
            return BuildResult(request.base, (), (), total)
        refused = refusal(base)
        if refused is not None:
            raise HardRunError(f"What changed is built in schemas of its own. {refused}")
        found, samples = _in_place(base, _Work(before, after, built), request, say)
    marked = tuple(_placed(item, changed, after.rows, context.project) for item in found)
    return BuildResult(request.base, marked, samples, total)


def _placed(item: Built, changed: Collection[TableName], rows: ControlRows, project: Project) -> Built:
    row = rows.transformation(TableName.parse(item.target))
    file = None if row is None or row.copied else f"{project.dbt_folder}{row.sql_path}"
    return replace(item, is_changed=TableName.parse(item.target) in changed, file=file)


def at_environment(context: Context, environment: str) -> Context:
    """Return the project in an environment; the current one stays as it is set."""
    if environment == context.settings.environment:
        return context
    update = {"environment": environment, "dbt_target": None, "duckdb_path": None}
    return Context(context.project, context.settings.model_copy(update=update), context.who, context.clock)


def _in_place(base: Context, work: _Work, request: BuildRequest, say: Say) -> tuple[list[Built], tuple[Sample, ...]]:
    """Load both versions in a place of their own, compare them there, and remove it."""
    before, after, built = work.before, work.after, work.targets
    then, now = (inputs_of(item.rows, built, base.profile) for item in (before, after))
    inputs = {**then, **now}
    files = [item.source for item in inputs.values() if item.is_of_files] if base.profile.is_embedded else []
    with (
        open_place(base, "ci") as place,
        copied(base, place.folder / AFTER, f"{place.name}_{AFTER}", files, after.project) as new,
        copied(base, place.folder / BEFORE, f"{place.name}_{BEFORE}", files, before.project) as old,
    ):
        say(f"Copying samples of tables: {len(inputs)}…")
        read, samples = copy_samples(base, new, inputs, f"{place.name}_in_", request.cut)
        if base.profile.is_embedded and new.profile.database_file.exists():
            shutil.copy2(new.profile.database_file, old.profile.database_file)
        say(f"Loading as they are: {', '.join(sorted(map(str, built)))}…")
        loaded = load(new, rows_reading(rows_of(after.rows, built), _moved(now, read)))
        known = {row.name for row in before.rows.transformations if is_active(row, before.rows)} & built
        was = None
        if known:
            say(f"Loading as they were: {', '.join(sorted(map(str, known)))}…")
            was = load(old, rows_reading(rows_of(before.rows, known), _moved(then, read)))
        found = list(_compared(new, old, loaded, was, request))
        return _with_refusals(base, new, found), samples


def _with_refusals(base: Context, new: Context, found: list[Built]) -> list[Built]:
    """Return what was built with the types that no load takes into the tables that stand."""
    rows, standing = new.store.read_rows(), standing_lists(base)
    loaded = {item.target for item in found if item.error is None}
    lists = {row.name: row.column_list for row in rows.transformations if row.key in loaded and row.column_list}
    refused = refusals(standing, lists, base.columns.dialect)
    lines = {str(name): " ".join(sentences) for name, sentences in refused.items()}
    return [replace(item, error=lines[item.target]) if item.target in lines else item for item in found]


def compare_environment(base: Context, own: Context, targets: Sequence[str]) -> list[Built]:
    """Compare the tables of an environment with those of the one that it was made from.

    Args:
        base: The project in the environment that it was made from.
        own: The project in the environment.
        targets: What was loaded in it.

    Raises:
        HardRunError: When the warehouse refuses a comparison.
        SoftRunError: When it does not answer.
    """
    rows = own.store.read_rows()
    found = []
    with open_both(own, own.profile, base.profile) as warehouse:
        for target in targets:
            row = rows.transformation(TableName.parse(target))
            if row is None:
                continue
            try:
                here = side(warehouse, own.profile, row.name)
            except HardRunError as error:
                found.append(Built(target, error=error.message))
                continue
            ((count,),) = warehouse.query(f"select count(*) from {here.relation}")  # noqa: S608 - quoted names
            built = Built(target, rows=int(count))
            try:
                there = side(warehouse, base.profile, row.name, is_attached=True)
            except HardRunError:  # the target is new
                found.append(built)
                continue
            found.append(_with_diff(built, warehouse, _Comparison(row, here, there, is_timed=_is_timed(row, rows)), 0))
    return found


def _moved(inputs: Mapping[TableName, Input], read: Mapping[TableName, Input]) -> dict[TableName, Input]:
    """Return what one version reads, with its own settings, where the samples are."""
    return {name: elsewhere(item, read[name].place) for name, item in inputs.items()}


def _compared(
    new: Context, old: Context, loaded: RunSummary, was: RunSummary | None, request: BuildRequest
) -> Iterator[Built]:
    rows = new.store.read_rows()
    before = {} if was is None else {item.target: item for item in was.outcomes}
    with open_both(new, new.profile, old.profile) as warehouse:
        for outcome in loaded.outcomes:
            row = rows.transformation(TableName.parse(outcome.target))
            assert row is not None, "a run loads targets of rows"
            one, other = _failure(new, row, outcome, request), before.get(outcome.target)
            if one is not None:
                yield Built(outcome.target, error=one)
                continue
            here = side(warehouse, new.profile, row.name, AFTER)
            ((count,),) = warehouse.query(f"select count(*) from {here.relation}")  # noqa: S608 - quoted names
            built = Built(outcome.target, rows=int(count))
            failed = None if other is None else _failure(old, row, other, request)
            if failed is not None:
                built = replace(built, note=f"could not be loaded as it was: {failed}")
            elif other is not None:
                there = side(warehouse, old.profile, row.name, BEFORE, is_attached=True)
                diff = _Comparison(row, here, there, is_timed=_is_timed(row, rows))
                built = _with_diff(built, warehouse, diff, _EXAMPLES if request.has_values else 0)
            yield built


@dataclass(frozen=True, slots=True)
class _Comparison:
    row: TransformationRow
    here: Side
    there: Side
    is_timed: bool


def _is_timed(row: TransformationRow, rows: ControlRows) -> bool:
    """Tell whether rows say when they hold, rather than the time of their load."""
    return bool(sequence_columns(row, rows, [column.name for column in row.column_list]))


def _with_diff(built: Built, warehouse: Warehouse, work: _Comparison, example_count: int) -> Built:
    try:
        diff = compare_tables(
            warehouse, work.row, work.here, work.there, example_count=example_count, is_timed=work.is_timed
        )
    except RequestError as error:
        return replace(built, note=f"cannot be compared: {error.message}")
    return replace(built, diff=diff)


def _failure(place: Context, row: TransformationRow, outcome: TargetOutcome, request: BuildRequest) -> str | None:
    """Return why a target was not loaded; None when it was, also when there was nothing to load."""
    if outcome.status in {OutcomeStatus.LOADED, OutcomeStatus.UNCHANGED}:
        return None
    message = outcome.error or outcome.decision.message
    if request.has_values:
        return message
    select = "" if row.copied else (place.project.dbt_dir / row.sql_path).read_text(encoding="utf-8")
    written = row.model_dump_json(exclude=set(row.framework_columns))  # its comments hold the error by now
    return without_values(message, f"{select} {written}")
