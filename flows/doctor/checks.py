"""The check-up: is everything there that a run needs, and does it fit together? Each finding names its remedy."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from flows.context import Context
from flows.doctor.finding import Finding, Level
from metadata_sync.errors import SluiceError

_MINIMUM_PYTHON: Final = (3, 11)
_LOW_DISK_BYTES: Final = 1024**3

PINS: Final = (
    ("fastapi", (0, 155), "Prefect 3.8's server does not start with it"),
    ("sqlalchemy", (2, 1), "Prefect 3.8's scheduler never creates a run with it, and says nothing"),
    ("dbt-core", (1, 13), "the macros are not tested with it"),
    ("prefect", (3, 10), "the flow is not tested with it"),
)
"""Package, first version that does not work, and why."""


Check = Callable[[Context], Iterator[Finding]]


def examine(context: Context) -> tuple[Finding, ...]:
    """Do every check; one that breaks is itself a finding and hinders no other."""
    return tuple(finding for name, check in CHECKS for finding in _guarded(name, check, context))


def _guarded(name: str, check: Check, context: Context) -> list[Finding]:
    try:
        return list(check(context))
    except SluiceError as error:
        return [Finding(name, Level.FAIL, error.message, error.hint)]
    except Exception as error:  # noqa: BLE001 - a check-up must come to its end whatever is broken
        return [Finding(name, Level.FAIL, f"{type(error).__name__}: {error}", "Run again with --debug.")]


def _python(_: Context) -> Iterator[Finding]:
    is_new_enough = sys.version_info >= _MINIMUM_PYTHON
    wanted = ".".join(map(str, _MINIMUM_PYTHON))
    yield Finding(
        "python",
        Level.OK if is_new_enough else Level.FAIL,
        f"{platform.python_version()} at {sys.executable}",
        "" if is_new_enough else f"Use Python {wanted} or newer.",
    )


def _packages(_: Context) -> Iterator[Finding]:
    for name, limit, reason in PINS:
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield Finding(name, Level.FAIL, "is not installed", "Install the locked dependencies: `make install`.")
            continue
        if _numbers(installed) >= limit:
            below = ".".join(map(str, limit))
            yield Finding(name, Level.FAIL, f"{installed}: {reason}", f"Install {name}<{below}, as the lock file does.")
        else:
            yield Finding(name, Level.OK, installed)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _project(context: Context) -> Iterator[Finding]:
    project = context.project
    yield Finding("project", Level.OK, f"{project.root}, environment {context.settings.environment}")
    for name, path in (("control rows", project.control_dir), ("transformations", project.dbt_dir / "transformations")):
        if not path.is_dir():
            yield Finding(name, Level.WARN, f"{path} does not exist", "Create it, or keep the rows in the tables only.")


def _disk(context: Context) -> Iterator[Finding]:
    for folder in (context.project.state_dir, context.project.generated_dir, context.project.dbt_dir):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            yield Finding("disk", Level.FAIL, f"{nearest} is not writable", "Change its owner or permissions.")
    free = shutil.disk_usage(context.project.root).free
    level = Level.OK if free > _LOW_DISK_BYTES else Level.WARN
    remedy = "" if level is Level.OK else "Free some space: a load writes temporary files."
    yield Finding("disk", level, f"{free / 1024**3:.1f} GiB free", remedy)


def _profile(context: Context) -> Iterator[Finding]:
    profile = context.profile
    where = f", {profile.database_file}" if profile.is_embedded else ""
    yield Finding("profile", Level.OK, f"target {profile.target} ({profile.type}{where})")


def _control_database(context: Context) -> Iterator[Finding]:
    rows = context.store.read_rows()
    counts = (
        f"{len(rows.sources)} sources, {len(rows.pipelines)} pipelines, {len(rows.transformations)} transformations"
    )
    if rows.transformations:
        yield Finding("control database", Level.OK, counts)
    else:
        yield Finding("control database", Level.WARN, counts, "`sluice control apply` writes dbt_project/control/.")


def _warehouse(context: Context) -> Iterator[Finding]:
    from sqlglot import exp

    from flows.warehouse.connection import open_warehouse
    from flows.warehouse.profile import SLUICE_SCHEMA

    profile = context.profile
    warehouse = open_warehouse(profile, wait_seconds=0)
    try:
        tables = warehouse.query(
            exp.select("table_name")
            .from_("information_schema.tables")
            .where(exp.column("table_schema").eq(profile.physical_schema(SLUICE_SCHEMA)))
        )
    finally:
        warehouse.close()
    if ("load_log",) in [tuple(row) for row in tables]:
        yield Finding("warehouse", Level.OK, "reachable, with a load log")
    else:
        yield Finding("warehouse", Level.OK, "reachable, nothing loaded yet")


def _lake(context: Context) -> Iterator[Finding]:
    from flows.warehouse.columns import lake_columns
    from flows.warehouse.lake import resolve_folder
    from metadata_sync.rows.vocabulary import SourceKind

    if context.profile.dialect != "duckdb":
        return
    for source in context.store.read_rows().sources:
        if source.kind is not SourceKind.LAKE or not source.location:
            continue
        check = f"lake {source.key}"
        try:
            columns = lake_columns(resolve_folder(context.project, source.location))
        except ValueError as error:
            yield Finding(
                check, Level.FAIL, str(error), f"Land its files, or mend source_control[{source.key}].location."
            )
        else:
            yield Finding(check, Level.OK, f"{len(columns)} columns at {source.location}")


def _generated(context: Context) -> Iterator[Finding]:
    from metadata_sync.sync.sync import sync

    report = sync(context.store.read_rows(), context.project, context.columns, check=True)
    if report.drifted:
        message = f"{len(report.drifted)} files are out of step with the rows"
        yield Finding(
            "generated models", Level.WARN, message, "`sluice sync` writes them; the next run does so itself."
        )
    else:
        yield Finding("generated models", Level.OK, f"{len(report.unchanged)} files in step")


def _clocks(context: Context) -> Iterator[Finding]:
    from flows.doctor.clocks import examine_clocks

    return examine_clocks(context)


def _emr(context: Context) -> Iterator[Finding]:
    from flows.doctor.spark import examine_emr

    return examine_emr(context)


def _prefect(context: Context) -> Iterator[Finding]:
    from flows.server.local import running_api_url

    url = running_api_url(context)
    configured = os.environ.get("PREFECT_API_URL")
    if url is not None:
        from flows.doctor.server import examine_server

        yield from examine_server(context, url)
    elif configured:
        remedy = "Start it or mend PREFECT_API_URL; until then runs go on without Prefect."
        yield Finding("prefect server", Level.WARN, f"{configured} does not answer", remedy)
    else:
        yield Finding("prefect server", Level.OK, "not running: runs go on without Prefect; `sluice up` starts one")


CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("python", _python),
    ("packages", _packages),
    ("project", _project),
    ("disk", _disk),
    ("profile", _profile),
    ("control database", _control_database),
    ("warehouse", _warehouse),
    ("clocks", _clocks),
    ("lake", _lake),
    ("emr", _emr),
    ("generated models", _generated),
    ("prefect server", _prefect),
)
"""Every check, in the order in which one may explain the next."""
