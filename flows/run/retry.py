"""Trying again within a run: which failures, when, and until when. Pure: clock and chance are passed in.

A soft failure is tried again after a pause that grows with each try; others of the run go on meanwhile, and what reads
the failed target waits for it. The pipeline's SLA is the budget: no try begins that would come too late for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from flows.run.model import OutcomeStatus, Retry, TargetOutcome

_GROWTH: Final = 2.0
"""Each pause is so many times the one before."""
_LEAST_SHARE: Final = 0.5
"""Chance takes at most this share off a pause, so that targets that failed together do not come back together."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a run tries.

    Attributes:
        tries: How often a target is given to dbt in one run, the first time included.
        longest_pause_seconds: No pause is longer.
    """

    tries: int
    longest_pause_seconds: float

    def pause_seconds(self, base_seconds: float, tries: int, chance: float) -> float:
        """Return the pause after so many tries.

        Args:
            base_seconds: What the failure's class advises for the first pause.
            tries: How often it was tried.
            chance: In [0, 1).

        >>> [RetryPolicy(5, 60).pause_seconds(5, tries, 0) for tries in (1, 2, 3, 4, 5)]
        [5.0, 10.0, 20.0, 40.0, 60.0]
        """
        longest = min(base_seconds * _GROWTH ** (tries - 1), self.longest_pause_seconds)
        return longest * (1 - _LEAST_SHARE * chance)


@dataclass
class RetryBook:
    """What is going to be tried again in one run.

    Attributes:
        policy: How often and how long.
        deadlines: Target → when its pipeline must be done.
        earlier_tries: Target → how often it failed in this way before this run began.
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
        """Return which try of a target it is when it is built now."""
        return self._waiting[target].number if target in self._waiting else 1

    def last_outcome(self, target: str) -> TargetOutcome | None:
        """Return how a target fared that is tried again; None for a first try."""
        return self._waiting[target].failed if target in self._waiting else None

    def is_due(self, target: str, now: datetime) -> bool:
        """Whether a target need not wait any more, or never had to."""
        return target not in self._waiting or self._waiting[target].due_at <= now

    def seconds_left(self, now: datetime) -> float | None:
        """Return how long the next try is away; None when there is none."""
        if not self._waiting:
            return None
        return max(0.0, (min(retry.due_at for retry in self._waiting.values()) - now).total_seconds())

    def consider(self, outcome: TargetOutcome, now: datetime) -> Retry | None:
        """Plan another try of a target that failed, when it makes sense and there is time; else it has ended so.

        Args:
            outcome: How it fared; its attempts count this run's only.
            now: UTC.
        """
        self._waiting.pop(outcome.target, None)
        retry = self._planned(outcome, now)
        if retry is not None:
            self._waiting[outcome.target] = retry
        return retry

    def _planned(self, outcome: TargetOutcome, now: datetime) -> Retry | None:
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
