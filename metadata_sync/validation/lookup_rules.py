"""What can be wrong with the lookups of a transformation, whatever its SELECT says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from metadata_sync.errors import Fault
from metadata_sync.problems import Problem
from metadata_sync.rows.lookups import OR_IGNORE, split_pair
from metadata_sync.rows.model import Dependency, TransformationRow
from metadata_sync.rows.resolve import is_view
from metadata_sync.rows.vocabulary import SourceKind
from metadata_sync.validation.rule import Rule, Subject, bad_names, repeated


def _settings(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    for item in subject.row.dependencies:
        if item.driving and (item.on_change is not None or item.restate_by or item.may_drop):
            message = (
                "on_change, restate_by and may_drop are settings of lookups: new rows of a driving source are loaded."
            )
            problem = Problem("driving_lookup", message, "Leave them out, or set driving: false.")
            yield subject.fault("dependencies", item.table, problem)
        elif item.restate_by and not item.restates:
            problem = Problem("unused_restate_by", "Only on_change: restate uses restate_by.", "Leave it out.")
            yield subject.fault("dependencies", item.table, problem)
        pairs = [split_pair(text) for text in item.restate_by]
        yield from bad_names(subject, "dependencies", [name for pair in pairs for name in pair])
        yield from repeated(subject, "dependencies", item.restate_by)


def _comparable(subject: Subject[TransformationRow]) -> Iterator[Fault]:
    """A lookup whose changes derive rows again must say when it changed."""
    for item in subject.row.dependencies:
        problem = _unknown_changes(subject, item) if item.restates else None
        if problem is not None:
            yield subject.fault("dependencies", item.table, problem)


def _unknown_changes(subject: Subject[TransformationRow], item: Dependency) -> Problem | None:
    upstream, source = subject.known.targets.get(item.table), subject.known.sources.get(item.table)
    if upstream is not None:
        message = f"{item.table} is a materialized view: nothing says which of its rows changed."
        problem = Problem("lookup_not_comparable", message, f"Read what the view reads, {OR_IGNORE}")
        return problem if is_view(upstream, subject.known.rows) else None
    is_keyed = source is not None and (item.incremental_key or source.incremental_key) is not None
    if source is None or is_keyed or source.kind is SourceKind.LAKE or source.probe is not None:
        return None
    message = f"{item.table} has neither an incremental key nor a probe: nothing says when it changed."
    return Problem("lookup_not_comparable", message, f"Set one of them on the source, {OR_IGNORE}")


LOOKUP_RULES: Final[tuple[Rule[TransformationRow], ...]] = (_settings, _comparable)
