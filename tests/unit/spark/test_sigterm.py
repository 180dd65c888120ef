"""A SIGTERM ends a process in order: after its cluster is closed, whole, and once."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from flows.spark.backend import Bill, JobEnd
from flows.spark.jobs import SparkJob
from flows.spark.sigterm import closing_on_sigterm


def get_sigterm() -> None:
    assert callable(signal.getsignal(signal.SIGTERM)), "somebody handles it"
    signal.raise_signal(signal.SIGTERM)


@dataclass
class Rented:
    """A cluster; a SIGTERM may come while it is closed."""

    comes_late: bool = False
    log: list[str] = field(default_factory=list)
    bill: Bill = field(default_factory=lambda: Bill("test", None, None, 1, datetime(2026, 1, 1, tzinfo=UTC)))
    links: str = ""

    def run(self, jobs: Sequence[SparkJob]) -> Mapping[str, JobEnd]:
        self.log.append("run")
        return {}

    def close(self) -> None:
        if self.comes_late:
            get_sigterm()
        self.log.append("closed")


@pytest.mark.parametrize("when", ["work", "close", "never"])
def test_sigterm_ends_the_process_after_the_cluster_is_closed(when: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    rented = Rented(comes_late=when == "close")

    def work() -> None:
        with closing_on_sigterm(lambda: rented) as cluster:
            cluster.run([])
            if when == "work":
                get_sigterm()
        rented.log.append("went on")

    if when == "never":
        work()
        assert rented.log == ["run", "closed", "went on"]
    else:
        with pytest.raises(SystemExit) as ended:
            work()
        assert ended.value.code == 143
        assert rented.log == ["run", "closed"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_while_a_cluster_is_asked_for_is_no_sudden_end() -> None:
    def ask() -> Rented:
        get_sigterm()
        return Rented()

    with pytest.raises(SystemExit), closing_on_sigterm(ask):
        pytest.fail("it was not to be had")
