"""dbt by hand, with what Sluice knows filled in: project, profiles, target, environment, change tokens."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from flows.context import Context
from flows.dbt.masking import mask_log, mask_results
from flows.warehouse.profile import Profile, dbt_environment
from metadata_sync.errors import ConfigurationError, SluiceError

logger = logging.getLogger(__name__)

_SUCCESS: Final = 0
_FAILED: Final = 1
_UNUSABLE: Final = 2


def run_dbt(context: Context, arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run dbt in this process, its output untouched.

    Args:
        context: The project.
        arguments: What the person typed.
        variables: Environment variables that macros read while they execute.

    Returns:
        dbt's exit code: 0 done, 1 a node failed, 2 dbt could not do it.

    Raises:
        ConfigurationError: When a target is named that is another environment's.
    """
    completed = complete_arguments(context, context.profile, arguments)
    os.environ.update({**dbt_environment(context.project, context.settings), **variables})
    from dbt.cli.main import dbtRunner

    mask_log()
    began = time.time()
    result: Any = dbtRunner().invoke(completed)
    mask_results(_target_dir(context, arguments), since=began)
    if result.exception is not None:
        return _UNUSABLE
    return _SUCCESS if result.success else _FAILED


def complete_arguments(context: Context, profile: Profile, arguments: Sequence[str]) -> list[str]:
    """Append what is missing to dbt's arguments.

    Raises:
        ConfigurationError: When a target is named that is another environment's.
    """
    target = _value_of(arguments, ("--target", "-t"))
    if target is not None and target != profile.target:
        raise ConfigurationError(
            f"--target {target} contradicts environment {context.settings.environment!r}, whose target is "
            f"{profile.target!r}: rows of one environment would load another one's tables.",
            f"Leave --target out, or set SLUICE_ENVIRONMENT={target}.",
        )
    completed = list(arguments)
    if completed[0].startswith("-"):  # dbt's own --help and --version
        return completed
    filled_in = (
        (("--project-dir",), str(context.project.dbt_dir)),
        (("--profiles-dir",), str(context.project.root)),
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
    """Return the change token of every driving source without an incremental key, as the gate would see it now.

    Args:
        context: The project; its rows name the sources.

    Returns:
        Token by source; a source that cannot be asked is left out, which the macros take for changed.
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
    warehouse = open_warehouse(context.profile, wait_seconds=context.settings.lock_wait_seconds)
    try:
        answers = Prober(context.project, warehouse, datetime.now(UTC)).ask(questions)
    finally:
        warehouse.close()
    return {question.source.key: probe.newest for question, probe in answers.items()}


def passthrough_variables(context: Context) -> dict[str, str]:
    """Return the change tokens as dbt's macros read them; without a control database there are none.

    A project may be used with hand-written models alone, so trouble with rows must not stop dbt; it is logged.
    """
    from flows.run.outcome import tokens_variable

    try:
        return tokens_variable(current_tokens(context))
    except SluiceError as error:
        logger.warning("dbt.change_tokens_unknown error=%s", error)
        return {}


def _value_of(arguments: Iterable[str], names: Sequence[str]) -> str | None:
    given = list(arguments)
    for place, argument in enumerate(given):
        for name in names:
            if argument == name:
                return given[place + 1] if place + 1 < len(given) else ""
            if name.startswith("--") and argument.startswith(f"{name}="):
                return argument.partition("=")[2]
    return None
