"""Files of the lake that a target does not read: named in its decision, or a reason to hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from flows.gate.facts import Decision, SourceFacts, TargetFacts
from flows.gate.rules import decide
from flows.warehouse.lake.view import LakeView
from flows.warehouse.load_log import WarehouseState
from metadata_sync.rows.model import ControlRows, SourceRow, TransformationRow
from metadata_sync.rows.resolve import ResolvedDependency, file_identity
from metadata_sync.rows.vocabulary import Increment, LoadType, OnBadFile, SourceKind

_NAMED: Final = 5
"""Most files of a source that a decision names; `sluice lake` lists all."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Finds the files that targets leave out.

    A load that adds rows can go on without a file. One that replaces rows, or looks values up, would lose what it read
    of the file before: it is held.

    Attributes:
        rows: The environment's rows.
        state: What targets have loaded, and which files they have read.
        lake: The files of lake sources.
    """

    rows: ControlRows
    state: WarehouseState
    lake: LakeView

    def concerns(self, reads: Sequence[ResolvedDependency]) -> bool:
        """Whether the gate has met a file that does not fit, in a source of these."""
        return any(item.name in self.lake.faulty for item in reads)

    def decide(self, facts: TargetFacts, row: TransformationRow, reads: Sequence[ResolvedDependency]) -> Decision:
        """Decide on a target again, with the files that its load would leave out.

        Args:
            facts: Its facts.
            row: Its row.
            reads: What it reads.
        """
        found: dict[str, Mapping[str, str]] = {}
        unread: dict[str, Mapping[str, str]] = {}
        unreadable = list(facts.unreadable)
        for item in reads:
            source = self.rows.source(item.name)
            if source is None or item.is_managed or source.kind is not SourceKind.LAKE:
                continue
            files = self.lake.left_out(source, str(row.name))
            if not files:
                continue
            found[str(item.name)] = files
            unread[str(item.name)] = self._unread(row, source, files)
            unreadable += self._reasons_to_hold(row, item, source, files)
        if not found:
            return decide(facts)
        sources = tuple(_with_files(fact, unread.get(fact.source, {})) for fact in facts.sources)
        decision = decide(replace(facts, sources=sources, unreadable=tuple(unreadable)))
        names = frozenset((source, name) for source, files in found.items() for name in files)
        return replace(decision, left_out=names)

    def _unread(self, row: TransformationRow, source: SourceRow, files: Mapping[str, str]) -> Mapping[str, str]:
        """Return those of some files that a target has not read as they are."""
        read = self.state.files.get((str(row.name), source.key), {})
        _, listing = self.lake.listed(source)
        known = ((file, read[file.name]) for file in listing.files if file.name in read)
        as_read = {file.name for file, noted in known if noted.identity == file.identity}
        return {name: reason for name, reason in files.items() if name not in as_read}

    def _reasons_to_hold(
        self, row: TransformationRow, item: ResolvedDependency, source: SourceRow, files: Mapping[str, str]
    ) -> list[str]:
        example = next(iter(files.values()))
        if source.on_bad_file is OnBadFile.HOLD:
            return [f"{item.name} cannot be read: {example} (on_bad_file: hold)"]
        is_by_file = file_identity(row, self.rows) is not None  # its rows of other files stay as they are
        if item.incremental_key is None and item.is_driving and not is_by_file:
            return [
                f"{item.name} cannot be read: {example}. It has no incremental_key: it is read in full, or not at all"
            ]
        if not item.is_driving:
            return [f"{item.name} cannot be read: {example}. It is a lookup: rows would lack its values"]
        if is_by_file or not _replaces_rows(row):
            return []
        read = self.state.files.get((str(row.name), str(item.name)))
        if read is None and str(row.name) not in self.state.logged:
            return []
        lost = [reason for name, reason in files.items() if read is None or name in read]
        why = "The load replaces rows: those that this file held before would be lost"
        return [f"{item.name} cannot be read: {lost[0]}. {why}"] if lost else []


def _replaces_rows(row: TransformationRow) -> bool:
    """Whether a load derives stored rows again, from all files of its sources."""
    is_by_range = row.load_type is LoadType.APPEND and not row.business_key
    return row.increment is not Increment.ROWS or is_by_range or any(item.restates for item in row.dependencies)


def _with_files(source: SourceFacts, files: Mapping[str, str]) -> SourceFacts:
    return replace(source, left_out=tuple(files.values())[:_NAMED], left_out_count=len(files))
