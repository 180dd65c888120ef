"""The checks of `sluice doctor`: is everything installed and configured that a run needs? Each finding has a remedy."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from flows.context import Context
from flows.doctor.finding import CheckFinding, Level
from metadata_sync.errors import SluiceError

_MINIMUM_PYTHON: Final = (3, 11)
_LOW_DISK_BYTES: Final = 1024**3

PINS: Final = (
    ("fastapi", (0, 155), "Prefect 3.8's server does not start with it"),
    ("sqlalchemy", (2, 1), "Prefect 3.8's scheduler creates no runs with it, and logs no error"),
    ("dbt-core", (1, 13), "the macros are not tested with it"),
    ("prefect", (3, 10), "the flow is not tested with it"),
)
"""Package, first version that does not work, and why."""


Check = Callable[[Context], Iterator[CheckFinding]]


def examine(context: Context) -> tuple[CheckFinding, ...]:
    """Run every check. A check that raises becomes a finding; the others still run."""
    return tuple(finding for name, check in CHECKS for finding in _run_check(name, check, context))


def _run_check(name: str, check: Check, context: Context) -> list[CheckFinding]:
    try:
        return list(check(context))
    except SluiceError as error:
        return [CheckFinding(name, Level.FAIL, error.message, error.hint)]
    except Exception as error:  # noqa: BLE001 - one broken check must not stop the others
        return [CheckFinding(name, Level.FAIL, f"{type(error).__name__}: {error}", "Run again with --debug.")]


def _python(_: Context) -> Iterator[CheckFinding]:
    is_new_enough = sys.version_info >= _MINIMUM_PYTHON
    wanted = ".".join(map(str, _MINIMUM_PYTHON))
    yield CheckFinding(
        "python",
        Level.OK if is_new_enough else Level.FAIL,
        f"{platform.python_version()} at {sys.executable}",
        "" if is_new_enough else f"Use Python {wanted} or newer.",
    )


def _packages(_: Context) -> Iterator[CheckFinding]:
    for name, limit, reason in PINS:
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield CheckFinding(
                name, Level.FAIL, "is not installed", "Install the locked dependencies: pip install -r requirements.txt"
            )
            continue
        if _numbers(installed) >= limit:
            below = ".".join(map(str, limit))
            yield CheckFinding(
                name, Level.FAIL, f"{installed}: {reason}", f"Install {name}<{below}, as the lock file does."
            )
        else:
            yield CheckFinding(name, Level.OK, installed)


def _support(context: Context) -> Iterator[CheckFinding]:
    from flows.doctor.support import support
    from flows.spark.settings import BackendName, load_emr_settings, load_spark_settings

    is_on_emr = load_spark_settings(context.project).backend is BackendName.EMR
    release = load_emr_settings(context.project).release_label if is_on_emr else None
    yield from support(release, datetime.now(UTC).date())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def _project(context: Context) -> Iterator[CheckFinding]:
    project = context.project
    yield CheckFinding("project", Level.OK, f"{project.root}, environment {context.settings.environment}")
    for name, path in (("control rows", project.control_dir), ("transformations", project.dbt_dir / "transformations")):
        if not path.is_dir():
            yield CheckFinding(
                name, Level.WARN, f"{path} does not exist", "Create it, or keep the rows in the tables only."
            )


def _versions(context: Context) -> Iterator[CheckFinding]:
    from flows.doctor.versions import compare_versions

    yield from compare_versions(context.project)


def _disk(context: Context) -> Iterator[CheckFinding]:
    for folder in (context.project.state_dir, context.project.generated_dir, context.project.dbt_dir):
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            yield CheckFinding("disk", Level.FAIL, f"{nearest} is not writable", "Change its owner or permissions.")
    free = shutil.disk_usage(context.project.root).free
    level = Level.OK if free > _LOW_DISK_BYTES else Level.WARN
    remedy = "" if level is Level.OK else "Free some space: a load writes temporary files."
    yield CheckFinding("disk", level, f"{free / 1024**3:.1f} GiB free", remedy)


def _profile(context: Context) -> Iterator[CheckFinding]:
    profile = context.profile
    where = f", {profile.database_file}" if profile.is_embedded else ""
    yield CheckFinding("profile", Level.OK, f"target {profile.target} ({profile.type}{where})")


def _control_database(context: Context) -> Iterator[CheckFinding]:
    rows = context.store.read_rows()
    counts = (
        f"{len(rows.sources)} sources, {len(rows.pipelines)} pipelines, {len(rows.transformations)} transformations"
    )
    if rows.transformations:
        yield CheckFinding("control database", Level.OK, counts)
    else:
        yield CheckFinding(
            "control database", Level.WARN, counts, "`sluice control apply` writes dbt_project/control/."
        )


def _warehouse(context: Context) -> Iterator[CheckFinding]:
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
        yield CheckFinding("warehouse", Level.OK, "reachable, with a load log")
    else:
        yield CheckFinding("warehouse", Level.OK, "reachable, nothing loaded yet")


def _lake(context: Context) -> Iterator[CheckFinding]:
    from flows.warehouse.lake.folder import list_folder, source_folder
    from metadata_sync.rows.vocabulary import SourceKind

    if context.profile.dialect != "duckdb":
        return
    for source in context.store.read_rows().sources:
        if source.kind is not SourceKind.LAKE or not source.location:
            continue
        check = f"lake {source.key}"
        try:
            columns = context.columns.source_columns(source) or ()
            ignored = list_folder(source_folder(context.project, source)).ignored
        except SluiceError as error:
            yield CheckFinding(check, Level.FAIL, error.message, error.hint)
        except ValueError as error:
            yield CheckFinding(
                check, Level.FAIL, str(error), f"Land its files, or correct source_control[{source.key}].location."
            )
        else:
            told = f"{len(columns)} columns at {source.location}" + (f"; {ignored}" if ignored else "")
            left_out = context.columns.left_out(source)
            if left_out:
                message = f"{told}; files that do not fit: {len(left_out):,}, e.g. {left_out[0]}"
                yield CheckFinding(check, Level.WARN, message, "Write them again; `sluice lake` shows them all.")
            else:
                yield CheckFinding(check, Level.OK, told)


def _generated(context: Context) -> Iterator[CheckFinding]:
    from metadata_sync.sync.store import sync_store

    report = sync_store(context.store, context.store.read_stored(), context.project, context.columns, check=True)
    if report.drifted:
        message = f"{len(report.drifted)} files differ from the rows"
        yield CheckFinding("generated models", Level.WARN, message, "`sluice sync` writes them; so does the next run.")
    else:
        yield CheckFinding("generated models", Level.OK, f"{len(report.unchanged)} files match the rows")


def _clocks(context: Context) -> Iterator[CheckFinding]:
    from flows.doctor.clocks import examine_clocks

    return examine_clocks(context)


def _role(context: Context) -> Iterator[CheckFinding]:
    from flows.doctor.roles import examine_role

    return examine_role(context)


def _emr(context: Context) -> Iterator[CheckFinding]:
    from flows.doctor.spark import examine_emr

    return examine_emr(context)


def _schedules(context: Context) -> Iterator[CheckFinding]:
    """Check by the decision log that every scheduled pipeline was looked at when it was due."""
    from flows.upkeep.lateness import delays

    now, store = context.now(), context.store
    found = tuple(delays(context, store.usable_rows(), store.latest_loads(), now))
    standing = [item for item in found if item.is_standing_still(now)]
    for item in standing:
        message = f"{item.pipeline.pipeline_id}: no run since {item.due:%Y-%m-%d %H:%M} UTC, {item.missed_count} ticks"
        remedy = f"Check server and workers below; `sluice run {item.pipeline.pipeline_id}` runs it now."
        yield CheckFinding("schedules", Level.WARN, message, remedy)
    if not standing:
        yield CheckFinding("schedules", Level.OK, "every scheduled pipeline had a run within its last two ticks")


def _prefect(context: Context) -> Iterator[CheckFinding]:
    from flows.server.local import running_api_url

    url = running_api_url(context)
    configured = os.environ.get("PREFECT_API_URL")
    if url is not None:
        from flows.doctor.server import examine_server

        yield from examine_server(context, url)
    elif configured:
        remedy = "Start it or correct PREFECT_API_URL; until then runs work without Prefect."
        yield CheckFinding("prefect server", Level.WARN, f"{configured} does not answer", remedy)
    else:
        yield CheckFinding("prefect server", Level.OK, "not running: runs work without Prefect; `sluice up` starts one")


CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("python", _python),
    ("packages", _packages),
    ("support", _support),
    ("project", _project),
    ("versions", _versions),
    ("disk", _disk),
    ("profile", _profile),
    ("control database", _control_database),
    ("warehouse", _warehouse),
    ("warehouse role", _role),
    ("clocks", _clocks),
    ("lake", _lake),
    ("emr", _emr),
    ("generated models", _generated),
    ("schedules", _schedules),
    ("prefect server", _prefect),
)
"""Every check. A fault found by one check may be the cause of faults in later ones."""
