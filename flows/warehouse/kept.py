"""Resources that are opened at their first use and stay open between uses: one session serves a whole run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from metadata_sync.errors import HardRunError

MOST_IDLE_SECONDS: Final = 60.0
"""How long a session may wait between two uses. Firewalls forget longer ones without a word, and a query over such a
session hangs; a login costs less."""

_BROKEN: Final = ("FatalException", "InternalException")
"""DuckDB's errors after which a database answers no more."""


class _Closable(Protocol):
    def close(self) -> None: ...


_Resource = TypeVar("_Resource", bound=_Closable)


class Kept(Generic[_Resource]):
    """A resource that is opened at its first use and closed at the end of the outermost `keep`.

    An error that leaves its state unknown closes it too; the next use opens it again. A statement that was refused and
    a file that cannot be read leave it as it is.

    Args:
        open_: Opens the resource.
        most_idle_seconds: A resource that was not used for longer is opened again; None: it never grows stale.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        open_: Callable[[], _Resource],
        *,
        most_idle_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_
        self._most_idle_seconds = most_idle_seconds
        self._clock = clock
        self._resource: _Resource | None = None
        self._keepers = 0
        self._users = 0
        self._used_at = 0.0

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Keep the resource open between uses inside the block."""
        self._keepers += 1
        try:
            yield
        finally:
            self._keepers -= 1
            if not self._keepers:
                self.close()

    @contextmanager
    def use(self) -> Iterator[_Resource]:
        """Yield the resource, opened if necessary."""
        with self.keep():
            if self._is_stale():
                self.close()
            if self._resource is None:
                self._resource = self._open()
            self._users += 1
            try:
                yield self._resource
            except BaseException as error:
                if not _is_explained(error):
                    self.close()
                raise
            finally:
                self._users -= 1
                self._used_at = self._clock()

    def _is_stale(self) -> bool:
        if self._users or self._most_idle_seconds is None:
            return False
        return self._clock() - self._used_at > self._most_idle_seconds

    def close(self) -> None:
        """Close the resource; the next use opens it again."""
        resource, self._resource = self._resource, None
        if resource is not None:
            resource.close()


def _is_explained(error: BaseException) -> bool:
    """Whether an error is about what was asked, and leaves the resource as it is."""
    return isinstance(error, HardRunError | ValueError) and type(error.__cause__).__name__ not in _BROKEN
