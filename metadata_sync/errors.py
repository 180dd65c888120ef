"""The error tree.

    SluiceError
    ├── ConfigurationError   settings, project or environment are wrong            exit 2
    │   └── RequestError     the requested object does not exist                   exit 2
    ├── MetadataError        faults in rows or SELECTs, all of them at once        exit 3
    ├── SyncError            generated files differ from what was written          exit 3
    ├── StoreError           the control database refused or cannot be reached     exit 1
    │   └── ApprovalNeededError  a proposal was stored in place of the change     exit 4
    └── RunError             work failed                                           exit 1
        ├── SoftRunError     a retry may succeed: lock, connection, throttling
        │   └── TimedOutError    exceeded a timeout
        └── HardRunError     a retry cannot succeed: syntax, missing column, data test

Every message says what happened and to which row; `hint` says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Final

UNFINISHED_RENAME: Final = "unfinished_rename"
"""Rule of a fault that is not the row's: a renaming that involves it was interrupted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one row, file or SELECT.

    Attributes:
        table: Control table of the row, e.g. `transformation_control`; a file path for YAML that does not parse.
        key: Key of the row, e.g. `dwh.dim_aircraft`.
        column: Column with the fault, or None for the row itself.
        value: The value received, as text, or None.
        rule: Machine-readable name of the broken rule, e.g. `unknown_column`.
        message: What is wrong, one sentence without the row's name.
        remedy: What to do about it, one sentence.
        place: File and line of the column or row, e.g. `dbt_project/control/flights.yml:12`, or None: it stands in no
            file.
    """

    table: str
    key: str
    column: str | None
    value: str | None
    rule: str
    message: str
    remedy: str
    place: str | None = field(default=None, compare=False)

    def __str__(self) -> str:
        is_of_file = self.key.startswith("line ")
        where = f"{self.table}:{self.key.removeprefix('line ')}" if is_of_file else f"{self.table}[{self.key}]"
        where += (f": {self.column}" if is_of_file else f".{self.column}") if self.column else ""
        shown = f" = {self.value!r}" if self.value is not None else ""
        text = f"{where}{shown}: {self.message} {self.remedy}".rstrip()
        is_placed = self.place is None or text.startswith(self.place.rpartition(":")[0])
        return text if is_placed else f"{self.place}: {text}"

    def as_dict(self) -> dict[str, str | None]:
        """Return the fault as a JSON-ready mapping."""
        return asdict(self)


class SluiceError(Exception):
    """Any error that Sluice explains itself.

    Args:
        message: What happened, to which row.
        hint: What to do next; empty when there is nothing to add.
        subject: Key of the row, target or file concerned, when there is one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", subject: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigurationError(SluiceError):
    """Settings, project layout or environment are wrong; nothing was started."""

    exit_code = 2


class RequestError(ConfigurationError):
    """The requested object does not exist; the project itself is valid."""


class MetadataError(SluiceError):
    """Rows or SELECTs have faults; nothing was changed.

    Args:
        faults: Every fault found, not only the first.
        message: Headline; by default the number of faults.
    """

    exit_code = 3

    def __init__(self, faults: Sequence[Fault], message: str | None = None) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        super().__init__(message or f"{count} fault{'' if count == 1 else 's'} found; nothing was changed.")


class SyncError(SluiceError):
    """Generated files differ from what sync wrote, or cannot be written."""

    exit_code = 3


class StoreError(SluiceError):
    """The control database refused a change or cannot be reached."""


class StaleRowError(StoreError):
    """A row was changed after it was read for a change. Read it again and repeat the change."""


class ApprovalNeededError(StoreError):
    """The environment is protected: the change was stored as a proposal, which another identity must approve."""

    exit_code = 4


class RunError(SluiceError):
    """Work failed."""


class SoftRunError(RunError):
    """Work failed, and a retry may succeed."""


class TimedOutError(SoftRunError):
    """Work exceeded a timeout."""


class HardRunError(RunError):
    """Work failed, and fails again until something is changed."""
