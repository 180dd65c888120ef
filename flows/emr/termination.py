"""Ending a cluster in every way out of a process that it can see: return, exception, Ctrl-C, and SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from flows.emr.cluster import Cluster

_EXIT_CODE: Final = 128 + signal.SIGTERM


@contextmanager
def closing_on_sigterm(cluster: Cluster) -> Iterator[Cluster]:
    """Close a cluster at the end; a SIGTERM that nobody else handles becomes an orderly exit meanwhile.

    Schedulers and containers stop a process with SIGTERM, and kill it half a minute later.
    """
    with closing(cluster), _sigterm_as_exit():
        yield cluster


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_EXIT_CODE))
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
