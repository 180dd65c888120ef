"""What can be wrong with what a transformation reads, and with how it reads it (`increment`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from metadata_sync.errors import Fault
from metadata_sync.problems import Problem, did_you_mean
from metadata_sync.rows.model import Dependency, TransformationRow
from metadata_sync.rows.names import is_expression
from metadata_sync.rows.resolve import file_identity, is_view, resolve_dependencies
from metadata_sync.rows.vocabulary import Increment, LoadType, SourceKind, Template
from metadata_sync.sql.increments.rule import group_columns
from metadata_sync.validation.rule import Rule, Subject, bad_columns, repeated


def _tables(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    sources, targets = subject.known.sources, subject.known.targets
    for dependency in subject.row.dependencies:
        if dependency.table not in sources and dependency.table not in targets:
            known = [*sources, *targets]
            remedy = did_you_mean(dependency.table, known) or "Declare it under sources or transformations."
            problem = Problem("unknown_dependency", "Is neither a source nor a target.", remedy)
            yield subject.fault("dependencies", dependency.table, problem)


def _names(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    yield from repeated(subject, "dependencies", (dependency.table for dependency in subject.row.dependencies))
    for dependency in subject.row.dependencies:
        yield from bad_columns(subject, "dependencies", [dependency.incremental_key, *_plain_names(dependency)])
        yield from repeated(subject, "dependencies", dependency.recompute_by)


def _plain_names(dependency: Dependency) -> list[str]:
    return [text for text in dependency.recompute_by if not is_expression(text)]


def _driving(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    if not row.driving:
        remedy = "Mark the dependency whose new rows should start a load: driving: true."
        problem = Problem("no_driving_source", "Nothing would ever start this transformation.", remedy)
        yield subject.fault("dependencies", None, problem)
    elif row.increment is Increment.ROWS and len(row.driving) > 1:
        tables = ", ".join(dependency.table for dependency in row.driving)
        remedy = "Use increment: groups with recompute_by on each, or increment: full."
        message = "A join of two windows loses matches: rows that belong together may arrive in different windows."
        yield subject.fault("dependencies", tables, Problem("several_driving_sources", message, remedy))


def _window_keys(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """A source without a key has no windows: it is read in full, or as a lookup."""
    is_by_file = file_identity(subject.row, subject.known.rows) is not None
    if subject.row.increment is Increment.FULL or is_by_file:
        return
    for resolved in resolve_dependencies(subject.row, subject.known.rows):
        if resolved.is_driving and resolved.incremental_key is None:
            message = f"{resolved.name} has no incremental key, so there are no windows to read by."
            remedy = "Set incremental_key on the source, use increment: full, or make it driving: false."
            yield subject.fault("dependencies", str(resolved.name), Problem("missing_incremental_key", message, remedy))


def _recompute_by(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    if row.increment is not Increment.GROUPS:
        for dependency in row.dependencies:
            if dependency.recompute_by:
                message = "Only increment: groups recomputes, and the row does not say it."
                yield _unused_recompute(
                    subject, dependency, message, "Set increment: groups, or leave recompute_by out."
                )
        return
    for dependency in row.dependencies:
        if dependency.driving and not dependency.recompute_by:
            remedy = "Name the columns whose touched values are computed again."
            problem = Problem("missing_recompute_by", "It has no recompute_by: its groups are unknown.", remedy)
            yield subject.fault("dependencies", dependency.table, problem)
        elif dependency.recompute_by and not dependency.driving:
            yield _unused_recompute(subject, dependency, "A lookup is read whole.", "Leave recompute_by out.")


def _unused_recompute(subject: Subject[TransformationRow], dependency: Dependency, message: str, remedy: str) -> Fault:
    value = f"{dependency.table}: {', '.join(dependency.recompute_by)}"
    return subject.fault("dependencies", value, Problem("unused_recompute_by", message, remedy))


def _recompute_counts(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """The groups of all driving sources, and the columns that carry them, are matched by position."""
    row = subject.row
    lists = [dependency.recompute_by for dependency in row.driving if dependency.recompute_by]
    if row.increment is not Increment.GROUPS or not lists:
        return
    if len({len(names) for names in lists}) > 1:
        value = " / ".join(", ".join(names) for names in lists)
        problem = Problem(
            "recompute_by_count", "The groups have different numbers of columns.", "Name as many on each."
        )
        yield subject.fault("dependencies", value, problem)
    elif not row.recompute_key and len(set(lists)) > 1:
        remedy = "Name the output columns that carry the group, in the same order."
        problem = Problem("missing_recompute_key", "The groups are called differently in the sources.", remedy)
        yield subject.fault("recompute_key", None, problem)
    elif not row.recompute_key and any(map(is_expression, lists[0])):
        remedy = "Name the output columns that carry the group, in the same order."
        problem = Problem("missing_recompute_key", "The group is an expression, which is no output column.", remedy)
        yield subject.fault("recompute_key", None, problem)
    elif row.recompute_key and len(row.recompute_key) != len(lists[0]):
        message = f"Has {len(row.recompute_key)} columns, and recompute_by has {len(lists[0])}."
        problem = Problem("recompute_key_count", message, "Name the output columns that carry the group, in order.")
        yield subject.fault("recompute_key", ", ".join(row.recompute_key), problem)


def _recompute_key(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    if row.recompute_key and row.increment is not Increment.GROUPS:
        problem = Problem("unused_recompute_key", "Only increment: groups recomputes.", "Leave it out.")
        yield subject.fault("recompute_key", ", ".join(row.recompute_key), problem)


def _managed_groups(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """An SCD1 table forgets the group that an overwritten row was in, unless the group is part of its key."""
    if subject.row.increment is not Increment.GROUPS:
        return
    for dependency in subject.row.driving:
        upstream = subject.known.targets.get(dependency.table)
        if upstream is None or upstream.load_type is not LoadType.SCD1:
            continue
        missing = [name for name in dependency.recompute_by if not group_columns(name) <= set(upstream.business_key)]
        if missing:
            message = f"{upstream.name} overwrites rows, and {', '.join(missing)} is not in its business_key."
            remedy = "Read an scd2 table instead, recompute by key columns, or use increment: full."
            value = f"{dependency.table}: {', '.join(dependency.recompute_by)}"
            yield subject.fault("dependencies", value, Problem("recompute_by_not_key", message, remedy))


def _driven_by_view(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """The rows of a materialized view do not say when they were loaded."""
    if subject.row.increment is Increment.FULL:
        return
    for dependency in subject.row.driving:
        upstream = subject.known.targets.get(dependency.table)
        if upstream is not None and is_view(upstream, subject.known.rows):
            message = f"{upstream.name} is a materialized view, which cannot be read by windows."
            remedy = "Use increment: full, read what the view reads, or make it driving: false."
            yield subject.fault("dependencies", dependency.table, Problem("view_by_windows", message, remedy))


def _append(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    row = subject.row
    if row.load_type is not LoadType.APPEND:
        return
    if row.increment is Increment.GROUPS:
        problem = Problem("append_groups", "Append cannot replace what groups compute again.", "Use load_type: scd1.")
        yield subject.fault("increment", row.increment.value, problem)
    elif row.increment is Increment.FULL and not row.business_key:
        message = "Each full read would add every row once more."
        problem = Problem("append_full", message, "Set business_key, or read increment: rows.")
        yield subject.fault("increment", row.increment.value, problem)


def _removed_files(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """Rows of removed files can be removed where a load reads again what they were part of."""
    row = subject.row
    for resolved in resolve_dependencies(row, subject.known.rows):
        if not resolved.removes_files:
            continue
        if resolved.restates:
            message = f"Files that are removed from {resolved.name} do not say which rows they were joined to."
            remedy = "Use on_change: ignore, or on_removed_files: keep on the source."
            yield subject.fault("dependencies", str(resolved.name), Problem("removed_files_restate", message, remedy))
        elif resolved.is_driving and row.increment is Increment.ROWS and row.business_key:
            message = (
                f"{resolved.name} removes the rows of files that are gone. A target by key keeps every event that it "
                "accepted, and does not know which file an event came from."
            )
            remedy = (
                "Use increment: full or groups, append without business_key, or on_removed_files: keep on the source; "
                "a second source row may read the same folder."
            )
            yield subject.fault("dependencies", str(resolved.name), Problem("removed_files_by_key", message, remedy))


def _file_identity(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """Where rows are replaced by file, files that are merged into one must not leave their rows behind."""
    if file_identity(subject.row, subject.known.rows) is None:
        return
    for resolved in resolve_dependencies(subject.row, subject.known.rows):
        if resolved.is_driving and not resolved.removes_files:
            message = f"Rows are known by their files. When files of {resolved.name} are merged, they would double."
            remedy = "Set on_removed_files: remove on the source: rows of files that are gone then go."
            yield subject.fault("dependencies", str(resolved.name), Problem("file_identity_keeps", message, remedy))


def _template(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    pipeline = subject.known.pipelines.get(subject.row.pipeline_id)
    if pipeline is None or pipeline.template is Template.LAKE_TO_WAREHOUSE:
        return
    for dependency in subject.row.dependencies:
        source = subject.known.sources.get(dependency.table)
        if source is not None and source.kind is SourceKind.LAKE:
            message = f"Pipeline {pipeline.pipeline_id} is {pipeline.template}, which does not read the lake."
            remedy = "Load the table in a lake_to_warehouse pipeline first, or make this pipeline one."
            yield subject.fault("dependencies", dependency.table, Problem("template_source", message, remedy))


def _target_is_source(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    if subject.row.key in subject.known.sources:
        problem = Problem("target_is_source", "The table is a source, too.", "Remove one of the two rows.")
        yield subject.fault(None, None, problem)


def find_cycles(edges: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Find targets that read themselves, directly or through others.

    Args:
        edges: Target → the targets that it reads.

    Returns:
        One cycle per group of targets, the first target repeated at the end.

    >>> find_cycles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})
    [('a', 'b', 'c', 'a')]
    """
    done: set[str] = set()
    cycles: list[tuple[str, ...]] = []
    for start in edges:
        way: list[str] = []
        steps = [iter([start])]
        while steps:
            here = next(steps[-1], None)
            if here is None:
                steps.pop()
                if way:
                    done.add(way.pop())
            elif here in way:
                cycles.append((*way[way.index(here) :], here))
            elif here not in done:
                way.append(here)
                steps.append(iter([name for name in edges[here] if name in edges]))
    return cycles


DEPENDENCY_RULES: Final[tuple[Rule[TransformationRow], ...]] = (
    _tables,
    _names,
    _driving,
    _window_keys,
    _recompute_by,
    _recompute_counts,
    _recompute_key,
    _managed_groups,
    _driven_by_view,
    _append,
    _removed_files,
    _file_identity,
    _template,
    _target_is_source,
)
