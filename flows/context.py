"""The context of every command and flow: project, settings, control database, columns of the warehouse."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from metadata_sync.project import Project, find_project

if TYPE_CHECKING:
    from flows.warehouse.connection import Warehouse
    from flows.warehouse.kept import Kept
    from flows.warehouse.profile import Profile
    from metadata_sync.analysis.protocols import WarehouseColumns
    from metadata_sync.control.apply import ChangeContext
    from metadata_sync.database import ControlStore
    from metadata_sync.database.journals.entries import SourceShape
    from metadata_sync.rows.model import ControlRows
    from metadata_sync.settings import Settings

ENVIRONMENT_NOTE: Final = "environment.json"
"""File of an environment's folder: what it was made from."""


@dataclass(frozen=True)
class Context:
    """One process's view of one project in one environment.

    Attributes:
        project: Folders and files of the project.
        settings: Values from `SLUICE_*` and `.env`.
        who: The person or role on whose behalf changes are audited.
        clock: Returns the current instant, with its zone; None: the shared clock of the control database.
    """

    project: Project
    settings: Settings
    who: str
    clock: Callable[[], datetime] | None = None

    def __post_init__(self) -> None:
        allowed = self.project.allowed_functions | self.settings.functions
        object.__setattr__(self, "project", replace(self.project, allowed_functions=allowed))

    def now(self) -> datetime:
        """Return the current instant."""
        return self.clock() if self.clock is not None else self.store.now()

    @cached_property
    def store(self) -> ControlStore:
        """The control database of this environment, opened (and created or migrated) at first use."""
        from metadata_sync.database import ControlStore

        return ControlStore.open(self.control_url, self.settings.environment)

    @property
    def control_url(self) -> str:
        """The address of the control database."""
        from metadata_sync.settings import control_database_url

        return control_database_url(self.project, self.settings)

    @cached_property
    def profile(self) -> Profile:
        """The warehouse's connection: the environment's target in profiles.yml."""
        from flows.warehouse.profile import load_profile

        return load_profile(self.project, self.settings)

    @property
    def change_context(self) -> ChangeContext:
        """What a change of rows in the name of this process needs."""
        from metadata_sync.control.apply import ChangeContext

        return ChangeContext(project=self.project, store=self.store, columns=self.columns, who=self.who)

    @property
    def file_places(self) -> tuple[str, ...]:
        """Folders and prefixes that the embedded warehouse may read: those of the current sources."""
        return self.places_of(self.store.lake_locations()) if self.profile.is_embedded else ()

    @property
    def usd_per_hour(self) -> float | None:
        """Price of the warehouse for an hour; None: it has none, or nobody has told it."""
        return self.settings.redshift_usd_per_hour if self.profile.type == "redshift" else None

    def places_of(self, locations: Iterable[str]) -> tuple[str, ...]:
        """Return folders and prefixes that the embedded warehouse may read for these sources."""
        from flows.warehouse.connection import file_places

        return file_places(self.project, self.settings, locations) if self.profile.is_embedded else ()

    @cached_property
    def columns(self) -> WarehouseColumns:
        """Columns and types in the warehouse."""
        from flows.warehouse.columns import open_columns

        return open_columns(self.project, self.settings, self._source_shapes, self.session)

    @cached_property
    def session(self) -> Kept[Warehouse] | None:
        """The read-only session of a server, for all that this process asks; None: the warehouse is a file.

        A file is opened for each reader, because no other process can write it meanwhile.
        """
        from flows.warehouse.connection import open_warehouse
        from flows.warehouse.kept import MOST_IDLE_SECONDS, Kept

        profile, settings = self.profile, self.settings
        if profile.is_embedded:
            return None
        open_session = partial(
            open_warehouse,
            profile,
            wait_seconds=settings.lock_wait_seconds,
            timeout_seconds=settings.statement_timeout_seconds,
        )
        return Kept(open_session, most_idle_seconds=MOST_IDLE_SECONDS)

    def connected(self) -> AbstractContextManager[None]:
        """Keep the session open inside the block, once something has opened it. It holds no transaction and no lock."""
        return nullcontext() if self.session is None else self.session.keep()

    def _source_shapes(self) -> Mapping[str, SourceShape]:
        """Return the columns of lake sources as runs have accepted them; none when the control database is not open.

        Commands that read only files neither create nor migrate it: `validate` runs in CI of another version.
        """
        return self.store.source_shapes() if "store" in self.__dict__ else {}


def load_context() -> Context:
    """Find the project from the current folder and read its settings.

    Raises:
        ConfigurationError: When there is no project or a setting is wrong.
    """
    from metadata_sync.settings import load_settings

    project = find_project()
    project.close_state_dir()
    project, settings = of_environment(project, load_settings(project))
    return Context(project=project, settings=settings, who=_current_user())


def of_environment(project: Project, settings: Settings) -> tuple[Project, Settings]:
    """Return project and settings as the environment has them that `sluice env create` made; else as they are.

    Args:
        project: The project.
        settings: The settings of the process, with the environment's name.
    """
    home = environment_home(project, settings.environment)
    note = home / ENVIRONMENT_NOTE
    if not note.is_file():
        return project, settings
    import json

    target = json.loads(note.read_text(encoding="utf-8"))["dbt_target"]
    quiet: dict[str, Any] = {"alert_channel": None, "job_group_channels": {}, "control_url": None, "duckdb_path": None}
    return replace(project, home=home), settings.model_copy(update={**quiet, "dbt_target": target})


def environment_home(project: Project, environment: str) -> Path:
    """Return the folder of an environment that `sluice env create` makes."""
    return project.state_dir / "environments" / environment


def _current_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry in the password database, as in some containers
        return "unknown"


@contextmanager
def reading(context: Context, profile: Profile, rows: ControlRows | None = None) -> Iterator[Warehouse]:
    """Open the warehouse to read; on a server, inside `connected`, it stays open for the next reader.

    Args:
        context: The project.
        profile: The target.
        rows: Rows whose sources are read before they are applied; those of the control database by default.
    """
    from flows.warehouse.connection import open_warehouse

    if context.session is not None and profile == context.profile:
        with context.session.use() as session:
            yield session
        return
    settings = context.settings
    named = None if rows is None else [source.location for source in rows.sources if source.location]
    places = context.file_places if named is None else context.places_of(named)
    warehouse = open_warehouse(
        profile,
        wait_seconds=settings.lock_wait_seconds,
        timeout_seconds=settings.statement_timeout_seconds,
        file_places=places,
    )
    try:
        yield warehouse
    finally:
        warehouse.close()
