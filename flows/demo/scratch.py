"""Start from scratch: put the data of an earlier demo aside, and touch nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import yaml

from flows.context import Context
from flows.demo.landing import LAKE_TABLES
from flows.warehouse.profile import SLUICE_SCHEMA, load_profile
from metadata_sync.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_DATABASE_SUFFIXES: Final = ("", ".wal", "-wal", "-shm")
_MARK_TEXT: Final = (
    "The demo created the control database, the warehouse and the lake in this folder, and may move them away.\n"
)
_ASIDE: Final = "demos"
"""Folder of `.sluice/` that earlier demos are moved to, each into one of its own."""


def begin_from_scratch(context: Context) -> Path | None:
    """Move the control rows, the warehouse and the lake of an earlier demo aside: somebody may have tried things there.

    The file `.sluice/demo` marks the embedded databases as the demo's. Without it they are a user's and stay.

    Returns:
        The folder that holds them now; None when there was no earlier demo.

    Raises:
        ConfigurationError: When the settings name other databases than the embedded ones, or when those hold
            data that no demo wrote, also beside the demo's own.
    """
    warehouse = _embedded_warehouse(context)
    state = context.project.state_dir
    control = state / "control.db"
    mark = state / "demo"
    if not mark.exists() and (warehouse.exists() or (control.exists() and _was_ever_changed(context))):
        raise ConfigurationError(
            f"{state} holds data that the demo did not write, and the demo needs empty databases.",
            "Move that folder away, or run the demo in another clone.",
        )
    others = _made_since(context, warehouse)
    if others:
        raise ConfigurationError(
            f"{state} holds what the demo did not make: {', '.join(others)}. The demo begins with empty databases.",
            f"Keep your work: copy or move {state} away, or run the demo in another clone.",
        )
    was_there = warehouse.exists()
    left = [*_files(warehouse, control), *(state / "lake" / table for table in LAKE_TABLES)]
    aside = _put_aside([path for path in left if path.exists()], context)
    context.project.make_state_dir()
    mark.write_text(_MARK_TEXT)
    return aside if was_there else None


def _put_aside(paths: Sequence[Path], context: Context) -> Path | None:
    """Move files and folders of `.sluice/` into a new folder; None when there are none."""
    if not paths:
        return None
    state = context.project.state_dir
    name = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H%M%SZ")
    taken = len(list((state / _ASIDE).glob(f"{name}*")))
    folder = state / _ASIDE / (f"{name}-{taken}" if taken else name)
    for path in paths:
        place = folder / (path.relative_to(state) if path.is_relative_to(state) else path.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, place)
    return folder


def _embedded_warehouse(context: Context) -> Path:
    profile = load_profile(context.project, context.settings)
    if not profile.is_embedded or context.settings.control_url is not None:
        raise ConfigurationError(
            "The demo works with the embedded databases only, and the settings name others.",
            "Unset SLUICE_ENVIRONMENT, SLUICE_DBT_TARGET and SLUICE_CONTROL_URL, here and in .env.",
        )
    return profile.database_file


def _made_since(context: Context, warehouse: Path) -> list[str]:
    """Return the tables of the warehouse and the rows, of any environment, that are not the demo's."""
    targets, keys = _of_the_demo(context)
    found = set()
    if warehouse.exists():
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            names = connection.execute("select table_schema, table_name from information_schema.tables").fetchall()
        found = {f"{schema}.{table}" for schema, table in names if schema != SLUICE_SCHEMA} - targets
    if (context.project.state_dir / "control.db").exists():
        found |= _keys_of_rows(context) - keys
    return sorted(found)


def _of_the_demo(context: Context) -> tuple[set[str], set[str]]:
    document = yaml.safe_load((context.project.control_dir / "flights.yml").read_text(encoding="utf-8"))
    targets = {f"{row['target_schema']}.{row['target_table']}" for row in document["transformations"]}
    sources = {f"{row['schema']}.{row['table']}" for row in document["sources"]}
    return targets, targets | sources | {row["pipeline_id"] for row in document["pipelines"]}


def _keys_of_rows(context: Context) -> set[str]:
    from sqlalchemy import select

    from metadata_sync.database.tables import pipeline_control, source_control, transformation_control

    named = (
        select(source_control.c.schema, source_control.c.table),
        select(transformation_control.c.target_schema, transformation_control.c.target_table),
    )
    with _control_rows(context) as connection:
        rows = [row for query in named for row in connection.execute(query)]
        pipelines = set(connection.scalars(select(pipeline_control.c.pipeline_id)))
    return {f"{schema}.{table}" for schema, table in rows} | pipelines


def _was_ever_changed(context: Context) -> bool:
    """Tell whether a control database holds a change of any environment; one that cannot be read counts as changed."""
    from sqlalchemy import func, select

    from metadata_sync.database.tables import control_audit

    try:
        with _control_rows(context) as connection:
            return bool(connection.scalar(select(func.count()).select_from(control_audit)))
    except StoreError:
        return True


@contextmanager
def _control_rows(context: Context) -> Iterator[Connection]:
    """Read the control database as it is, without an upgrade."""
    from metadata_sync.database.engine import open_engine, parse_url, reading

    engine = open_engine(parse_url(context.control_url))
    try:
        with reading(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def _files(*databases: Path) -> Iterator[Path]:
    for database in databases:
        yield from (database.with_name(database.name + suffix) for suffix in _DATABASE_SUFFIXES)
