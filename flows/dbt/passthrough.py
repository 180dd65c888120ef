"""`sluice dbt`: run dbt by hand with project, profiles, target, environment and change tokens filled in."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from flows.context import Context
from flows.dbt.package import link_package
from flows.dbt.sessions import count_in_utc
from flows.warehouse.profile import Profile, dbt_environment
from metadata_sync.errors import ConfigurationError, SluiceError
from metadata_sync.redact import redact, redact_text

logger = logging.getLogger(__name__)

_DBT_LOG: Final = logging.getLogger("file_log")
"""The logger of dbt's log file. dbt replaces its handler in each invocation, but keeps its filters."""
_SUCCESS: Final = 0
_FAILED: Final = 1
_UNUSABLE: Final = 2


def run_dbt(context: Context, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run dbt in this process; its output is not changed.

    Args:
        context: The project.
        arguments: dbt's command line.
        variables: Environment variables that macros read while they execute.

    Returns:
        dbt's exit code: 0 success, 1 a node failed, 2 dbt itself failed.

    Raises:
        ConfigurationError: When the arguments name the target of another environment.
    """
    completed = complete_arguments(context, context.profile, arguments)
    os.environ.update({**dbt_environment(context.project, context.settings), **variables})
    link_package(context.project)
    from dbt.cli.main import dbtRunner

    count_in_utc(context.profile)
    _DBT_LOG.addFilter(_mask_record)
    began = time.time()
    result: Any = dbtRunner().invoke(completed)
    mask_results(_target_dir(context, arguments), since=began)
    if result.exception is not None:
        return _UNUSABLE
    return _SUCCESS if result.success else _FAILED


def _mask_record(record: logging.LogRecord) -> bool:
    record.msg = redact_text(str(record.msg))
    return True


def complete_arguments(context: Context, profile: Profile, arguments: Sequence[str]) -> list[str]:
    """Append the missing project, profiles and target options to dbt's arguments.

    Raises:
        ConfigurationError: When the arguments name the target of another environment.
    """
    target = _value_of(arguments, ("--target", "-t"))
    if target is not None and target != profile.target:
        raise ConfigurationError(
            f"--target {target} contradicts environment {context.settings.environment!r}, whose target is "
            f"{profile.target!r}: rows of one environment would load another one's tables.",
            f"Leave --target out, or set SLUICE_ENVIRONMENT={target}.",
        )
    from dbt.cli.main import cli

    completed = list(arguments)
    if not any(word in cli.commands for word in arguments):  # dbt's own --help and --version
        return completed
    filled_in = (
        (("--project-dir",), str(context.project.dbt_dir)),
        (("--profiles-dir",), str(context.project.profiles_file.parent)),
        (("--target", "-t"), profile.target),
    )
    for names, value in filled_in:
        if _value_of(arguments, names) is None:
            completed += [names[0], value]
    return completed


def _target_dir(context: Context, arguments: Sequence[str]) -> Path:
    named = _value_of(arguments, ("--target-path",)) or os.environ.get("DBT_TARGET_PATH", "target")
    return context.project.dbt_dir / named


def current_tokens(context: Context) -> dict[str, str | None]:
    """Return the change token of every driving source without an incremental key, as the gate would read it now.

    Args:
        context: The project; its rows name the sources.

    Returns:
        Token by source. A source that cannot be read has no token; the macros then treat it as changed.
    """
    from flows.gate.probe import Prober, Question
    from flows.warehouse.connection import open_warehouse
    from metadata_sync.rows.resolve import is_active, resolve_dependencies

    rows = context.store.read_rows()
    names = {
        item.name
        for row in rows.transformations
        if is_active(row, rows)
        for item in resolve_dependencies(row, rows)
        if item.is_driving and not item.is_managed and item.incremental_key is None
    }
    questions = [Question(source, None, 0, None) for name in sorted(names) if (source := rows.source(name)) is not None]
    if not questions:
        return {}
    warehouse = open_warehouse(
        context.profile, wait_seconds=context.settings.lock_wait_seconds, file_places=context.file_places
    )
    try:
        answers = Prober(context.project, warehouse, datetime.now(UTC)).ask(questions)
    finally:
        warehouse.close()
    return {question.source.key: probe.newest for question, probe in answers.items()}


def refuse_unfinished_renaming(context: Context) -> None:
    """Refuse to load by hand while a renaming is not finished: a model of the old name would make a new table.

    Raises:
        ConfigurationError: When a renaming was interrupted or is under way.
    """
    for entry in context.store.lifecycle(unfinished_only=True):
        if entry.new_target is not None:
            hint = f"Finish it: sluice rename {entry.target} {entry.new_target}."
            raise ConfigurationError(f"Not finished yet: {entry}.", hint)


def passthrough_variables(context: Context) -> dict[str, str]:
    """Return change tokens and files of lake sources as dbt's macros read them; without a control database none.

    A project may have hand-written models only, so an error in the rows is logged and does not stop dbt.
    """
    from flows.run.outcome import tokens_variable
    from flows.warehouse.lake.variable import files_variable

    try:
        rows = context.store.read_rows()
        files = files_variable(context, rows, rows.transformations, f"dbt-{uuid4().hex[:8]}")
        return tokens_variable(current_tokens(context)) | files
    except SluiceError as error:
        logger.warning("dbt.change_tokens_unknown error=%s", error)
        return {}


def _value_of(arguments: Iterable[str], names: Sequence[str]) -> str | None:
    words = list(arguments)
    for place, argument in enumerate(words):
        for name in names:
            if argument == name:
                return words[place + 1] if place + 1 < len(words) else ""
            if name.startswith("--") and argument.startswith(f"{name}="):
                return argument.partition("=")[2]
    return None


def mask_results(target_dir: Path, since: float) -> None:
    """Mask secrets in dbt's result files: warehouses quote values in their error messages.

    Args:
        target_dir: dbt's target folder.
        since: Start of the run, seconds since the epoch; older files belong to another run.
    """
    for name in ("run_results.json", "sources.json"):
        path = target_dir / name
        if path.is_file() and path.stat().st_mtime >= since:
            path.write_text(json.dumps(redact(json.loads(path.read_text()))))
