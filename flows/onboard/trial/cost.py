"""What loads of a target will take, from a trial load and what its data showed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flows.onboard.model import Proposal
    from flows.onboard.trial.trial import Tried

_HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Load:
    """A load to come.

    Attributes:
        rows: Rows that it reads, about.
        seconds: How long it takes at most: the trial's time, and in proportion where it reads more.
        usd: Dollars at the warehouse's price; None: the price is not known.
    """

    rows: int
    seconds: float
    usd: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a target will take.

    Attributes:
        first: Its first load.
        later: A load after it, of one landing; None: the data are one landing, so that nobody knows what comes.
    """

    first: Load
    later: Load | None


def forecast(proposal: Proposal, tried: Tried, usd_per_hour: float | None) -> Forecast:
    """Return what the loads of a target will take.

    Args:
        proposal: What was proposed.
        tried: What its trial load showed.
        usd_per_hour: Price of the warehouse.
    """
    facts = proposal.facts
    landings = facts.landing_counts
    is_whole = any(choice.setting == "increment" and choice.value == "full" for choice in proposal.choices)
    first = _load(facts.row_count, tried, usd_per_hour)
    if is_whole:
        return Forecast(first, first)
    if len(landings) < 2:  # noqa: PLR2004
        return Forecast(first, None)
    return Forecast(first, _load(sum(landings) // len(landings), tried, usd_per_hour))


def _load(rows: int, tried: Tried, usd_per_hour: float | None) -> Load:
    seconds = tried.seconds * max(1.0, rows / max(1, tried.row_count))
    return Load(rows, seconds, None if usd_per_hour is None else seconds / _HOUR * usd_per_hour)
