"""Bring rows and their SELECTs to another state together: what a promotion and a rollback have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metadata_sync.analysis.kept_selects import read_selects, selects_of, written
from metadata_sync.control.apply import ChangeContext, refuse_new_faults
from metadata_sync.database import Via
from metadata_sync.database.journals.entries import SELECT
from metadata_sync.database.journals.select_texts import text_hash
from metadata_sync.errors import RequestError
from metadata_sync.rows.merge import ColumnChange, RowChange, RowId, with_changes
from metadata_sync.rows.model import ControlRows


@dataclass(frozen=True, slots=True)
class SelectFile:
    """The file of a SELECT that gets another text.

    Attributes:
        sql_path: As in the row.
        before: Its text now; None: there is no file.
        after: Its text from then on.
    """

    sql_path: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class Restoring:
    """What is to be written.

    Attributes:
        changes: Of rows.
        selects: Of files.
        outcome: All rows afterwards.
        notes: What stays as it is though one may expect otherwise, a sentence each.
    """

    changes: tuple[RowChange, ...]
    selects: tuple[SelectFile, ...]
    outcome: ControlRows
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.changes and not self.selects

    @property
    def texts(self) -> dict[str, str]:
        """The SELECTs to write, by `sql_path`."""
        return {item.sql_path: item.after for item in self.selects}


def checked(
    context: ChangeContext,
    changes: tuple[RowChange, ...],
    texts: Mapping[str, str],
    notes: tuple[str, ...] = (),
) -> Restoring:
    """Return what is to be written, once it is known to be sound; nothing is written.

    Args:
        context: The context of the change.
        changes: Of rows.
        texts: The SELECT that each file is to have, by `sql_path`; those that it has already are left out.
        notes: For the user.

    Raises:
        RequestError: When a file would be overwritten whose text is kept nowhere.
        MetadataError: When the outcome has faults that the rows do not have now.
    """
    selects = _differing(context, texts)
    restoring = Restoring(changes, selects, with_changes(context.store.read_rows(), changes), notes)
    if not restoring.is_empty:
        refuse_new_faults(context, changes, restoring.texts)
    return restoring


def carry_out(context: ChangeContext, restoring: Restoring, via: Via, reason: str | None) -> str:
    """Write files and rows; the files are put back when the rows cannot be written.

    A process that dies in between leaves files with the new text and rows as they were: the command writes the rest
    when it is called again.

    Returns:
        The change id in the history.

    Raises:
        ApprovalNeededError: When the environment is protected: rows and SELECTs wait as a proposal.
        StaleRowError: When somebody else changed one of the rows meanwhile; nothing is written.
        ConfigurationError: When a file cannot be written; nothing is written.
    """
    hashes = {item.sql_path: (_hash(item.before), _hash(item.after)) for item in restoring.selects}
    concerned = [row for row in restoring.outcome.transformations if row.sql_path in hashes]
    noted = {RowId.of(row): ColumnChange(SELECT, *hashes[row.sql_path]) for row in concerned}
    is_proposed = context.store.approvals.is_protected()
    with written({} if is_proposed else restoring.texts, context.project):
        texts = {**selects_of(restoring.outcome.transformations, context.project), **restoring.texts}
        change_id = context.store.write(restoring.changes, context.who, via, reason, texts=texts, selects=noted)
    if is_proposed:  # no longer: the protection went off meanwhile
        with written(restoring.texts, context.project):
            pass
    return change_id


def _differing(context: ChangeContext, texts: Mapping[str, str]) -> tuple[SelectFile, ...]:
    present = read_selects(texts, context.project)
    found = tuple(
        SelectFile(path, present.get(path), text) for path, text in sorted(texts.items()) if present.get(path) != text
    )
    hashes = {_hash(item.before): item.sql_path for item in found if item.before is not None}
    kept = context.store.select_texts([name for name in hashes if name is not None])
    unkept = sorted(path for name, path in hashes.items() if name not in kept)
    unreadable = [item.sql_path for item in found if item.before is None and _is_there(context, item.sql_path)]
    if unkept or unreadable:
        raise RequestError(
            f"{', '.join([*unkept, *unreadable])}: the file holds a text that nothing else keeps. Nothing was changed.",
            "Run `sluice sync`, which keeps it, or move it away.",
        )
    return found


def _is_there(context: ChangeContext, sql_path: str) -> bool:
    path = context.project.dbt_dir / sql_path
    return path.exists() or path.is_symlink()


def _hash(text: str | None) -> str | None:
    return None if text is None else text_hash(text)
