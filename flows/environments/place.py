"""The name of a place, and the end of its schemas.

On DuckDB a place is a folder with a file of its own. On a server it is schemas that begin with its name, which holds
the time at which they were made. A place whose process was killed is removed by the next one: at once where the folder
of its process is at hand, else when its time is a day ago.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from flows.context import reading
from flows.process import ProcessIdentity, process_space
from flows.warehouse.writes import run_writes
from metadata_sync.errors import HardRunError
from metadata_sync.rows.names import quote_identifier

if TYPE_CHECKING:
    from flows.context import Context

_TIME: Final = "%Y%m%d%H%M"
_NAME: Final = re.compile(r"(?:ci|trial)_(\d{12})_[0-9a-f]{4}_")
_FORGOTTEN: Final = timedelta(days=1)
"""Age at which schemas belong to a process that was killed elsewhere."""

_OWN_SCHEMAS: Final = (
    "select nspname from pg_catalog.pg_namespace where pg_catalog.pg_get_userbyid(nspowner) = current_user "
    "order by nspname"
)
"""Nobody may drop those of another role."""

_FOLDER: Final = "place-"
_OWNER: Final = "owner.json"


@dataclass(frozen=True, slots=True)
class Place:
    """A place that is removed at its end.

    Attributes:
        name: What its schemas on a server begin with, without the last `_`.
        folder: Its folder, for copies of the project.
    """

    name: str
    folder: Path

    @property
    def prefix(self) -> str:
        """What its schemas on a server begin with."""
        return f"{self.name}_"


@contextmanager
def open_place(context: Context, kind: str) -> Iterator[Place]:
    """Make a place, and remove it with all that was made in it; first those of processes that were killed.

    Args:
        context: The project, in the environment that its warehouse is reached by.
        kind: What it is for: `ci` or `trial`.

    Raises:
        SoftRunError: When the warehouse does not answer.
        HardRunError: When it lets this role make or drop no schemas.
    """
    remove_killed(context)
    context.project.make_state_dir()
    name = f"{kind}_{datetime.now(UTC):{_TIME}}_{secrets.token_hex(2)}"
    owner = {"name": name, "space": process_space(), **asdict(ProcessIdentity.of(os.getpid()))}
    with _exits_on_sigterm():
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=context.project.state_dir)).resolve()
        try:
            (folder / _OWNER).write_text(json.dumps(owner), encoding="utf-8")
            yield Place(name, folder)
        finally:
            drop_schemas(context, f"{name}_")
            shutil.rmtree(folder, ignore_errors=True)


def refusal(context: Context) -> str | None:
    """Return why a server lets this role make no schemas; None when it does."""
    if context.profile.is_embedded:
        return None
    schema = f"trial_{datetime.now(UTC):{_TIME}}_{secrets.token_hex(2)}_probe"
    try:
        run_writes(context.profile, [f"create schema {schema}", f"drop schema {schema}"])
    except HardRunError as error:
        return error.message
    return None


def remove_killed(context: Context) -> None:
    """Remove the places of processes of this folder that run no more, and a day later those of any other one."""
    dead = [(folder, name) for folder, name in _owned(context) if name is not None]
    for schema in schemas_like(context, ""):
        made = _NAME.match(schema)
        if made is None:
            continue
        age = datetime.now(UTC) - datetime.strptime(made[1], _TIME).replace(tzinfo=UTC)
        if age > _FORGOTTEN or any(schema.startswith(f"{name}_") for _, name in dead):
            drop_named(context, [schema])
    for folder, _ in dead:
        shutil.rmtree(folder, ignore_errors=True)


def drop_schemas(context: Context, prefix: str) -> None:
    """Drop the schemas of a server that begin with a prefix; nothing on DuckDB."""
    drop_named(context, schemas_like(context, prefix))


def schemas_like(context: Context, prefix: str) -> list[str]:
    """Return this role's schemas of a server that begin with a prefix; none on DuckDB."""
    if context.profile.is_embedded:
        return []
    with reading(context, context.profile) as warehouse:
        found = warehouse.query(_OWN_SCHEMAS)
    return [str(schema) for (schema,) in found if str(schema).startswith(prefix)]


def drop_named(context: Context, schemas: Sequence[str]) -> None:
    """Drop some schemas of a server, with all that is in them."""
    if schemas:
        run_writes(context.profile, [f"drop schema if exists {quote_identifier(name)} cascade" for name in schemas])


def _owned(context: Context) -> Iterator[tuple[Path, str | None]]:
    """Yield folders of places, and the name of those whose process has ended."""
    for folder in sorted(context.project.state_dir.glob(f"{_FOLDER}*")):
        try:
            owner = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # it is being made or removed right now
            continue
        is_dead = owner["space"] == process_space() and not ProcessIdentity(owner["pid"], owner["started"]).is_alive()
        yield folder, owner["name"] if is_dead else None


@contextmanager
def _exits_on_sigterm() -> Iterator[None]:
    """Leave the block at a SIGTERM as at the end of the process, so that the place is removed: CI systems send it."""
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
