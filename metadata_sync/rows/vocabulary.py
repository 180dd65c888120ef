"""The allowed words of control rows' columns."""

from __future__ import annotations

from enum import StrEnum


class SourceKind(StrEnum):
    """Where a source is."""

    LAKE = "lake"
    WAREHOUSE = "warehouse"


class Template(StrEnum):
    """The kind of a pipeline; validation checks its rows against it."""

    LAKE_TO_WAREHOUSE = "lake_to_warehouse"
    PRESENTATION = "presentation"
    MATERIALIZED_VIEW = "materialized_view"


class Engine(StrEnum):
    """Where the SELECTs of a pipeline run."""

    AUTO = "auto"
    WAREHOUSE = "warehouse"
    SPARK = "spark"


class ChildPolicy(StrEnum):
    """What a transformation does when its upstream failed."""

    SKIP = "skip"
    STALE = "stale"
    BLOCK = "block"


class LoadType(StrEnum):
    """How rows reach the target."""

    SCD1 = "scd1"
    SCD2 = "scd2"
    APPEND = "append"


class Increment(StrEnum):
    """What a run reads of the driving sources."""

    ROWS = "rows"
    GROUPS = "groups"
    FULL = "full"


class OnTie(StrEnum):
    """What happens when equal (key, effective time) events differ in content."""

    WARN = "warn"
    ERROR = "error"


class OnDefinitionChange(StrEnum):
    """What happens to a target whose SELECT no longer derives rows as it derived those that are already there."""

    LOAD = "load"
    """New rows follow the new SELECT; Sluice says which rows do not."""
    HOLD = "hold"
    """Nothing is loaded until a person restates the target or accepts its rows."""
    RESTATE = "restate"
    """All rows are derived again after the first load by the new SELECT."""
    ACCEPT = "accept"
    """Rows stay as they are, as if a person had accepted each change."""


class OnBadFile(StrEnum):
    """What happens to the readers of a lake source when a file of it cannot be read, or does not fit the others."""

    LEAVE_OUT = "leave_out"
    """The other files are loaded; the file is read once it was written again."""
    HOLD = "hold"
    """Nothing is loaded from the source until the file is replaced or removed."""


class OnSourceChange(StrEnum):
    """What happens when files of a lake source have new columns, or wider types."""

    ADD = "add"
    """The columns and types become those of the source."""
    HOLD = "hold"
    """These files are not read until the row says `add`."""
    IGNORE = "ignore"
    """New columns are not part of the source; wider types are."""


class OnRemovedFiles(StrEnum):
    """What happens to the rows of a file that is no longer in its lake source."""

    KEEP = "keep"
    """They stay; the gate says how many files are gone."""
    REMOVE = "remove"
    """The next load makes the target what its SELECT yields over the files that are there."""


class OnChange(StrEnum):
    """What happens to loaded rows when a lookup that they were derived with changes, or arrives after them."""

    IGNORE = "ignore"
    """They keep what they were derived with; only later rows see the change."""
    RESTATE = "restate"
    """The driving rows that the change touches are derived again."""


class BackfillOrder(StrEnum):
    """Which part of a large source a first load in chunks reads first."""

    OLDEST = "oldest"
    """History grows from its beginning; new rows follow when it is complete."""
    NEWEST = "newest"
    """The newest chunk first, then new rows as they arrive, and older chunks meanwhile."""

    @property
    def is_ascending(self) -> bool:
        """Whether chunks follow one another by their keys."""
        return self is BackfillOrder.OLDEST


class Trigger(StrEnum):
    """How many driving sources must hold new rows."""

    ANY = "any"
    ALL = "all"


class DeactivatedBy(StrEnum):
    """Who switched a row off after it was declared active; heal reactivates only the framework's rows."""

    FRAMEWORK = "framework"
    OPERATOR = "operator"
