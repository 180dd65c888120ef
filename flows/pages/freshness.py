"""How old the targets of a pipeline are, against what their rows allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flows.artifacts import escape
from flows.pages.markdown import table
from flows.status import TargetStatus, duration_text

_HEADERS: Final = ("Target", "State", "Age", "Allowed", "Last loaded (UTC)", "Last run")


@dataclass(frozen=True, slots=True)
class Freshness:
    """One target.

    Attributes:
        status: How it stands.
        allowed_seconds: What its row allows; None: anything.
    """

    status: TargetStatus
    allowed_seconds: float | None

    @property
    def is_stale(self) -> bool:
        """Whether it is older than its row allows, or was never loaded though its row allows no age."""
        if self.allowed_seconds is None or not self.status.is_active:
            return False
        return self.status.age_seconds is None or self.status.age_seconds > self.allowed_seconds

    @property
    def word(self) -> str:
        """The state in one word or two."""
        if not self.status.is_active:
            return "switched off"
        if self.status.age_seconds is None:
            return "never loaded"
        return "stale" if self.is_stale else "fresh"


def freshness_page(pipeline_id: str, targets: Sequence[Freshness], now: datetime) -> str:
    """Return the page; the age of a target counts from its last load, for a load that finds nothing new is none.

    Args:
        pipeline_id: The pipeline.
        targets: Its targets.
        now: When this is told, UTC.
    """
    stale = [item.status.target for item in targets if item.is_stale]
    headline = f"{len(stale)} stale ({', '.join(stale)})" if stale else "nothing is stale"
    lines = [f"## {escape(pipeline_id)}: {escape(headline)}", "", f"As of {now:%Y-%m-%d %H:%M:%S} UTC.", ""]
    return "\n".join([*lines, *table(_HEADERS, (_row(item) for item in targets))]) + "\n"


def _row(item: Freshness) -> tuple[object, ...]:
    status = item.status
    return (
        status.target,
        item.word,
        None if status.age_seconds is None else duration_text(status.age_seconds),
        None if item.allowed_seconds is None else duration_text(item.allowed_seconds),
        f"{status.last_success.finished_at:%Y-%m-%d %H:%M:%S}" if status.last_success else None,
        status.last.status if status.last else None,
    )
