"""Retries within a run: which failures, when, and until when. Pure: clock and chance are passed in.

A soft failure is tried again after a pause that grows with each try. Readers of the failed target wait; the other
targets of the run go on. The pipeline's SLA is the budget: a try that would start after it is not made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from flows.run.model import OutcomeStatus, Retry, TargetOutcome

_GROWTH: Final = 2.0
"""Factor from one pause to the next."""
_LEAST_SHARE: Final = 0.5
"""Largest random share taken off a pause (jitter), so that targets that failed together retry at different times."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a run tries.

    Attributes:
        tries: How often dbt builds a target in one run at most, the first try included.
        longest_pause_seconds: Upper limit of a pause.
    """

    tries: int
    longest_pause_seconds: float

    def pause_seconds(self, base_seconds: float, tries: int, chance: float) -> float:
        """Return the pause after a number of tries.

        Args:
            base_seconds: First pause that the failure's class advises.
            tries: Number of tries so far.
            chance: Random number in [0, 1).

        >>> [RetryPolicy(5, 60).pause_seconds(5, tries, 0) for tries in (1, 2, 3, 4, 5)]
        [5.0, 10.0, 20.0, 40.0, 60.0]
        """
        longest = min(base_seconds * _GROWTH ** (tries - 1), self.longest_pause_seconds)
        return longest * (1 - _LEAST_SHARE * chance)


@dataclass
class RetryBook:
    """The planned retries of one run.

    Attributes:
        policy: Number of tries and length of pauses.
        deadlines: Target → end of its pipeline's SLA.
        earlier_tries: Target → how often it failed in the same way before this run.
        chance: Returns a number in [0, 1).
    """

    policy: RetryPolicy
    deadlines: Mapping[str, datetime]
    earlier_tries: Mapping[str, int]
    chance: Callable[[], float]
    _waiting: dict[str, Retry] = field(default_factory=dict)

    @property
    def waiting(self) -> frozenset[str]:
        """Targets whose next try is still to come."""
        return frozenset(self._waiting)

    def tries_of(self, target: str) -> int:
        """Return the number of the try if the target is built now."""
        return self._waiting[target].number if target in self._waiting else 1

    def last_outcome(self, target: str) -> TargetOutcome | None:
        """Return the outcome of the previous try; None for a first try."""
        return self._waiting[target].failed if target in self._waiting else None

    def is_due(self, target: str, now: datetime) -> bool:
        """Whether a target's pause is over, or it has none."""
        return target not in self._waiting or self._waiting[target].due_at <= now

    def seconds_left(self, now: datetime) -> float | None:
        """Return the seconds until the next try; None when no try is planned."""
        if not self._waiting:
            return None
        return max(0.0, (min(retry.due_at for retry in self._waiting.values()) - now).total_seconds())

    def drop(self, target: str) -> None:
        """Make no other try of a target."""
        self._waiting.pop(target, None)

    def consider(self, outcome: TargetOutcome, now: datetime) -> Retry | None:
        """Plan another try of a failed target if the failure is soft and there is time; else return None.

        Args:
            outcome: Its outcome; `attempts` counts the tries of this run only.
            now: UTC.
        """
        self.drop(outcome.target)
        retry = self._plan(outcome, now)
        if retry is not None:
            self._waiting[outcome.target] = retry
        return retry

    def _plan(self, outcome: TargetOutcome, now: datetime) -> Retry | None:
        verdict, target = outcome.verdict, outcome.target
        if outcome.status is not OutcomeStatus.FAILED or verdict is None:
            return None
        is_soft = verdict.is_soft(outcome.attempts + self.earlier_tries.get(target, 0))
        if not is_soft or outcome.attempts >= self.policy.tries:
            return None
        pause = self.policy.pause_seconds(verdict.advice.wait_seconds, outcome.attempts, self.chance())
        due_at = now + timedelta(seconds=pause)
        if due_at > self.deadlines[target]:
            return None
        return Retry(target, outcome.attempts + 1, self.policy.tries, pause, due_at, outcome)
