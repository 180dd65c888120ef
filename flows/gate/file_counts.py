"""How many files of a lake source a target has read, and what else lies there. No I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileCounts:
    """The files of a lake source, counted for one reader.

    Attributes:
        listed: Files with data.
        new: Files that it has never read.
        changed: Files that were written again since it read them.
        due: Files with rows that it left out and would read now: their time has come, or a first load goes on.
        gone: Files that it has read and that are not there any more; their rows stay.
        removed: Such files whose rows the next load removes.
        left_out: New or changed files that cannot be read, or do not fit the others.
        hidden: Files that are left out by their names, as Spark and Hive do.
        other: Files of other formats, and unfinished ones.
        example: One new or changed file.
        least_key: Least key of the new and changed files; None: unknown.
    """

    listed: int = 0
    new: int = 0
    changed: int = 0
    due: int = 0
    gone: int = 0
    removed: int = 0
    left_out: int = 0
    hidden: int = 0
    other: int = 0
    example: str = ""
    least_key: str | None = None

    @property
    def unread(self) -> int:
        """Files that the next load reads."""
        return self.new + self.changed + self.due

    @property
    def news(self) -> str:
        """What is unread, for people.

        >>> FileCounts(listed=9, new=1, changed=2, example="a.parquet").news
        '1 new file and 2 changed files, e.g. a.parquet'
        """
        kinds = [(self.new, "new file"), (self.changed, "changed file"), (self.due, "partly read file")]
        told = " and ".join(f"{count:,} {_plural(kind, count)}" for count, kind in kinds if count)
        return f"{told}, e.g. {self.example}" if self.unread > 1 else f"{told}: {self.example}"

    @property
    def can_remove(self) -> bool:
        """Whether the next load removes the rows of files that are gone: some file must be left that it can read."""
        return self.removed > 0 and self.listed > self.left_out

    @property
    def rest(self) -> str:
        """What else is there, for people; empty: nothing.

        >>> FileCounts(listed=9, gone=1, hidden=2).rest
        '; 1 file is gone, its rows stay; 2 files are hidden and not read'
        """
        told = ""
        if self.removed:
            told += f"; {self.removed:,} {_plural('file', self.removed)} {_is(self.removed)} gone, "
            told += "its rows are removed" if self.removed == 1 else "their rows are removed"
        if self.gone:
            told += f"; {self.gone:,} {_plural('file', self.gone)} {_is(self.gone)} gone, "
            told += "its rows stay" if self.gone == 1 else "their rows stay"
        if self.hidden:
            told += f"; {self.hidden:,} {_plural('file', self.hidden)} {_is(self.hidden)} hidden and not read"
        if self.other:
            kind = "of other formats or unfinished, and not read"
            told += f"; {self.other:,} {_plural('file', self.other)} {_is(self.other)} {kind}"
        return told


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun.replace("file", "files", 1)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
