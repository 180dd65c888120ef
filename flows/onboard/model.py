"""What is offered to Sluice, and what is proposed for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from metadata_sync.errors import SluiceError
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.names import TableName

if TYPE_CHECKING:
    from flows.onboard.text_options import Written

Ask = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a query of a small result."""

CERTAIN: Final = 0.9
"""From this confidence on a proposal is taken without a question by default."""

FORMAT_OPTIONS: Final = "format_options"
"""The setting that says how text is written; nobody is asked for it on a terminal."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A table, a folder of files or a SELECT that somebody wants loaded.

    Attributes:
        name: What the source is to be called; of a SELECT the target.
        shown: What was named on the command line.
        source: The row of the source; None: a SELECT.
        relation: A table expression of all its rows.
        landings: Table expressions of what arrived together, oldest first; one when nothing is known of arrivals.
        dialect: The SQL that `ask` understands.
        ask: Runs queries over the relations.
        select: The SELECT's text; else empty.
        reads: Tables that the SELECT reads, the driving one first, each with its evidence.
        told: Settings that the offer itself says, as a dbt snapshot does: setting → value.
        aggregates: Whether a row of the SELECT is made of several rows of its sources.
        has_windows: Whether the driving table of the SELECT has an incremental key.
        is_declared: Whether the project has a row of the source already.
        renamed: Name of a column → what the source calls it, where that is no name for a column of a target. The
            SELECT gives the names.
        written: How the text of the source is written, where it needs options.
    """

    name: TableName
    shown: str
    source: SourceRow | None
    relation: str
    landings: tuple[str, ...]
    dialect: str
    ask: Ask
    select: str = ""
    reads: tuple[Read, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)
    aggregates: bool = False
    has_windows: bool = True
    is_declared: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A table that an offered SELECT reads.

    Attributes:
        table: `schema.table`.
        is_driving: Whether new rows of it are new rows of the target.
        confidence: From 0 to 1.
        evidence: Why.
    """

    table: str
    is_driving: bool
    confidence: float
    evidence: str


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column of an offered table.

    Attributes:
        name: Its name.
        type: Its type in the warehouse's words.
        nulls: Rows without a value.
        distinct: Distinct values.
        length: Mean length of its values as text.
    """

    name: str
    type: str
    nulls: int
    distinct: int
    length: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows of an offered table show.

    Attributes:
        columns: Its columns.
        row_count: All rows.
        sampled_count: Rows that were counted; all, unless the table is large.
        landing_counts: Rows of each landing, oldest first.
    """

    columns: tuple[ColumnFacts, ...]
    row_count: int
    sampled_count: int
    landing_counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One proposed setting.

    Attributes:
        setting: The column of the row.
        value: Its value, JSON-ready; None: left out.
        confidence: From 0 to 1.
        evidence: Why, one sentence.
        others: Other values that fit, best first.
    """

    setting: str
    value: Any
    confidence: float
    evidence: str
    others: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """The rows proposed for an offer.

    Attributes:
        offer: What was offered.
        target: The table that is to be filled.
        facts: What its rows show.
        choices: The settings, in the order of a row.
    """

    offer: Offer
    target: TableName
    facts: Facts
    choices: tuple[Choice, ...]

    def value(self, setting: str) -> Any:
        """Return the proposed value of a setting; None when it is left out."""
        return next((choice.value for choice in self.choices if choice.setting == setting), None)

    @property
    def confidence(self) -> float:
        """The least confidence of all choices."""
        return min(choice.confidence for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Refused:
    """One of several things that were named, which no rows are proposed for.

    Attributes:
        shown: What it is called in messages.
        error: Why.
    """

    shown: str
    error: SluiceError
