"""An environment without copies: what changed is loaded in schemas of its own, the rest is read where another has it.

On a server its tables are `<name>_<schema>`, and everything else is read by name. On DuckDB its file has views of the
other one, which is attached read-only. SELECTs, rows, watermarks, log and incidents are in a folder of its own, so that
with folder and schemas nothing is left.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.context import ENVIRONMENT_NOTE, Context, environment_home, of_environment
from flows.environments.base_file import ATTACHED, beside_base
from flows.environments.build import load
from flows.environments.inputs import Input, inputs_of, rows_of, rows_reading
from flows.environments.place import drop_named, refusal, schemas_like
from flows.environments.project_copy import copy_files
from flows.environments.samples import Cut, Sample, copy_samples
from flows.run.leases import lease_texts
from flows.warehouse.file_lock import warehouse_lock
from flows.warehouse.profile import SLUICE_SCHEMA, read_yaml
from metadata_sync.errors import HardRunError, RequestError
from metadata_sync.rows.model import ControlRows
from metadata_sync.rows.names import TableName, is_slug, quote_identifier

if TYPE_CHECKING:
    from flows.run.model import RunSummary
    from metadata_sync.project import Project

DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that was made from another one.

    Attributes:
        name: Its name.
        base: The environment that everything else is read from.
        dbt_target: The target of profiles.yml that both use.
        targets: What is loaded in it.
        schemas: Its schemas on a server; none on DuckDB.
        created_at: When it was made, UTC.
        expires_at: When the next `env create` removes it, UTC.
    """

    name: str
    base: str
    dbt_target: str
    targets: tuple[str, ...]
    schemas: tuple[str, ...]
    created_at: datetime
    expires_at: datetime

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return now >= self.expires_at


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment to be made.

    Attributes:
        name: Its name.
        rows: All rows of the project, as files have them for the base environment.
        targets: What is loaded in it.
        cut: Which rows of what they read; None: all, read where they are.
        days: Days until it expires.
    """

    name: str
    rows: ControlRows
    targets: frozenset[TableName]
    cut: Cut | None = None
    days: int = DAYS


def find_environments(project: Project) -> tuple[Environment, ...]:
    """Return the environments of a project's folder, by name."""
    folder = environment_home(project, "x").parent
    return tuple(_read(note) for note in sorted(folder.glob(f"*/{ENVIRONMENT_NOTE}")))


def find_environment(project: Project, name: str) -> Environment:
    """Return an environment by its name.

    Raises:
        RequestError: When there is none.
    """
    known = {item.name: item for item in find_environments(project)}
    if name not in known:
        listed = ", ".join(known) or "none"
        raise RequestError(f"There is no environment {name!r} that was made here.", f"There are: {listed}.")
    return known[name]


def create(base: Context, wanted: Wanted) -> tuple[RunSummary, tuple[Sample, ...]]:
    """Make an environment, and load its targets; when that cannot begin, nothing is left of it.

    Args:
        base: The project in the environment that everything else is read from; it is never written.
        wanted: The environment.

    Returns:
        The load, in which targets may have failed, and what was copied.

    Raises:
        RequestError: When its name is taken or is none.
        HardRunError: When a table is missing that it reads, or the server lets this role make no schemas.
    """
    now = datetime.now(UTC)
    for item in find_environments(base.project):
        if item.has_expired(now):
            drop(base, item)
    _refuse(base, wanted)
    home = environment_home(base.project, wanted.name)
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        home.mkdir()
    except FileExistsError as error:
        raise _taken(wanted.name) from error
    inputs = inputs_of(wanted.rows, wanted.targets, base.profile)
    environment = Environment(
        wanted.name,
        base.settings.environment,
        base.profile.target,
        tuple(sorted(map(str, wanted.targets))),
        () if base.profile.is_embedded else tuple(_schemas(wanted, inputs)),
        now,
        now + timedelta(days=wanted.days),
    )
    try:
        return _fill(base, environment, wanted, inputs)
    except BaseException:
        drop(base, environment)
        raise


def drop(base: Context, environment: Environment) -> None:
    """Remove an environment: its schemas or its file, its rows, log and incidents.

    Args:
        base: The project in an environment of the same warehouse.
        environment: The environment.

    Raises:
        SoftRunError: When the warehouse does not answer; then it is all still there.
        HardRunError: When the warehouse refuses.
    """
    drop_named(base, environment.schemas)
    shutil.rmtree(environment_home(base.project, environment.name), ignore_errors=True)


def refuse_running(context: Context, environment: Environment) -> None:
    """Refuse an environment whose targets a run is loading now.

    Raises:
        RequestError: When there is one.
    """
    if not environment_home(context.project, environment.name).joinpath(".sluice", "control.db").exists():
        return
    own = opened(context, environment)
    try:
        held = lease_texts(own.store)
    finally:
        own.store.close()
    if held:
        target, run = next(iter(held.items()))
        raise RequestError(f"{environment.name} is running: {target} is being loaded by {run}.", "Wait until it ends.")


def opened(context: Context, environment: Environment) -> Context:
    """Return the project in an environment, as a process with `SLUICE_ENVIRONMENT` set to its name has it."""
    settings = context.settings.model_copy(update={"environment": environment.name})
    project, settings = of_environment(replace(context.project, home=None), settings)
    return Context(project, settings, context.who, context.clock)


def _refuse(base: Context, wanted: Wanted) -> None:
    if environment_home(base.project, base.settings.environment).exists():
        raise RequestError(f"{base.settings.environment} was itself made from another one.", "Name that one: --from.")
    if not is_slug(wanted.name) or wanted.name in {"prod", base.settings.environment}:
        raise RequestError(f"{wanted.name!r} cannot be its name.", "Name it in lower case: env create pr_123.")
    if environment_home(base.project, wanted.name).exists():
        raise _taken(wanted.name)
    taken = schemas_like(base, f"{wanted.name}_")
    if taken:
        raise RequestError(f"The warehouse has schemas of that name: {', '.join(taken)}.", "Choose another name.")
    refused = refusal(base)
    if refused is not None:
        raise HardRunError(f"An environment needs schemas of its own. {refused}")


def _taken(name: str) -> RequestError:
    return RequestError(f"There is an environment {name} already.", f"Drop it first: sluice env drop {name}")


def _schemas(wanted: Wanted, inputs: Mapping[TableName, Input]) -> Iterator[str]:
    """Yield the schemas that it has on a server."""
    yield from sorted({f"{wanted.name}_{name.schema}" for name in wanted.targets})
    yield f"{wanted.name}_{SLUICE_SCHEMA}"
    if wanted.cut is not None:
        yield from sorted({f"{wanted.name}_in_{name.schema}" for name in inputs})


def _fill(
    base: Context, environment: Environment, wanted: Wanted, inputs: dict[TableName, Input]
) -> tuple[RunSummary, tuple[Sample, ...]]:
    home = environment_home(base.project, environment.name)
    _write(home / ENVIRONMENT_NOTE, environment)  # first: what was begun can be dropped by its name
    copy_files(base.project, base.project, replace(base.project, home=home), wanted.rows.sources)
    if base.profile.is_embedded and wanted.cut is None:
        _attach(base, home)
    own = opened(base, environment)
    samples: tuple[Sample, ...] = ()
    try:
        if wanted.cut is not None:
            inputs, samples = copy_samples(base, own, inputs, f"{environment.name}_in_", wanted.cut)
        elif base.profile.is_embedded:
            _make_views(base, own, [item for item in inputs.values() if not item.is_of_files])
        wait_seconds = base.settings.lock_wait_seconds
        with warehouse_lock(base.project, base.profile, command="env create", wait_seconds=wait_seconds):
            return load(own, rows_reading(rows_of(wanted.rows, wanted.targets), inputs)), samples
    finally:
        if "store" in own.__dict__:
            own.store.close()


def _attach(base: Context, home: Path) -> None:
    """Write a profile of which connections read the base environment's file, too."""
    import yaml

    document: Any = read_yaml(base.project.profiles_file)
    attached = {"path": str(base.profile.database_file), "alias": ATTACHED, "read_only": True}
    output = document[base.profile.name]["outputs"][base.profile.target]
    output["attach"] = [*(output.get("attach") or ()), attached]
    (home / "profiles.yml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _make_views(base: Context, own: Context, inputs: Sequence[Input]) -> None:
    if not inputs:
        return
    with beside_base(base, own.profile.database_file, [item.name for item in inputs]) as connection:
        for item in inputs:
            schema, table = quote_identifier(item.name.schema), quote_identifier(item.name.table)
            connection.execute(f"create schema if not exists {schema}")
            select = f"select * from {ATTACHED}.{schema}.{table}"  # noqa: S608 - quoted names
            connection.execute(f"create view {schema}.{table} as {select}")


def _write(note: Path, environment: Environment) -> None:
    values: dict[str, Any] = asdict(environment)
    values |= {name: values[name].isoformat() for name in ("created_at", "expires_at")}
    note.write_text(json.dumps(values, indent=1), encoding="utf-8")


def _read(note: Path) -> Environment:
    values = json.loads(note.read_text(encoding="utf-8"))
    instants = {name: datetime.fromisoformat(values[name]) for name in ("created_at", "expires_at")}
    lists: dict[str, Iterable[str]] = {name: tuple(values[name]) for name in ("targets", "schemas")}
    return Environment(**{**values, **instants, **lists})
