"""Close a cluster at every exit of the process: return, exception, Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from flows.spark.backend import Cluster

_EXIT_CODE: Final = 128 + signal.SIGTERM


@contextmanager
def closing_on_sigterm(start: Callable[[], Cluster]) -> Iterator[Cluster]:
    """Start a cluster and close it at the end. Inside the block a SIGTERM without another handler raises SystemExit.

    Schedulers and containers stop a process with SIGTERM, and kill it half a minute later. A SIGTERM during the close
    takes effect after it.
    """
    with _sigterm_as_exit() as sigterm:
        cluster = start()
        try:
            yield cluster
        finally:
            sigterm.waits = True
            cluster.close()
        if sigterm.has_come:
            sys.exit(_EXIT_CODE)


@dataclass
class _Sigterm:
    waits: bool = False
    has_come: bool = False

    def __call__(self, *_: object) -> None:
        self.has_come = True
        if not self.waits:
            sys.exit(_EXIT_CODE)


@contextmanager
def _sigterm_as_exit() -> Iterator[_Sigterm]:
    sigterm = _Sigterm()
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, sigterm)
    try:
        yield sigterm
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
