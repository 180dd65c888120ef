"""dbt in this process: parse once, build the selected models, return a result per node. dbt's log file is masked."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from flows.dbt.masking import mask_log
from flows.dbt.time_limit import TimeLimit
from flows.run.outcome import FAILED, NodeResult
from flows.warehouse.profile import Profile, dbt_environment
from metadata_sync.errors import HardRunError
from metadata_sync.project import Project
from metadata_sync.settings import Settings

logger = logging.getLogger(__name__)

_MACRO_STACK: Final = re.compile(r"\n\s*> in macro ")


class DbtRunner:
    """Runs dbt on one project for one environment.

    Args:
        project: The project.
        settings: The environment.
        profile: Its target.
    """

    def __init__(self, project: Project, settings: Settings, profile: Profile) -> None:
        self._project = project
        self._profile = profile
        self._environment = dbt_environment(project, settings)
        self._load_timeout_seconds = settings.load_timeout_seconds if profile.is_embedded else 0
        self._manifest: Any = None
        mask_log()

    def build(
        self,
        models: Sequence[str],
        *,
        tested: Sequence[str] = (),
        unbuilt: Iterable[str],
        untested: Iterable[str] = (),
        variables: Mapping[str, str],
        callbacks: Sequence[Callable[[Any], None]],
    ) -> tuple[NodeResult, ...]:
        """Build exactly these models with their data tests, and run only the data tests of other models.

        Args:
            models: Names of dbt models.
            tested: Models that exist already: only their data tests run.
            unbuilt: Models without a table yet: tests that read one of them are excluded.
            untested: Models that hold only a part of their history: tests that read one of them are excluded.
            variables: Environment variables that macros read while they execute.
            callbacks: Called with each of dbt's events, on dbt's threads.

        Returns:
            One result per node that dbt ran or skipped.

        Raises:
            HardRunError: When the project cannot be parsed or dbt stops before its first node.
            KeyboardInterrupt: When the user interrupts dbt.
        """
        with _variables({**self._environment, **variables}), self._connected():
            manifest = self._parsed()
            excluded = _tests_of(manifest, set(untested) | set(unbuilt) - {*models, *tested})
            selected = [*models, *_tests_of(manifest, set(tested))]
            if not selected:
                return ()
            arguments = ["build", "--exclude-resource-type", "unit_test", "--select", *selected]
            return self._invoke([*arguments, *(["--exclude", *excluded] if excluded else [])], callbacks)

    def run(
        self, models: Sequence[str], *, variables: Mapping[str, str], callbacks: Sequence[Callable[[Any], None]] = ()
    ) -> tuple[NodeResult, ...]:
        """Run exactly these models without their data tests; otherwise as `build`."""
        with _variables({**self._environment, **variables}), self._connected():
            self._parsed()
            return self._invoke(["run", "--select", *models], callbacks)

    def run_empty(self, models: Sequence[str]) -> tuple[NodeResult, ...]:
        """Run models over empty sources: compiles them, checks columns and types, loads nothing, logs nothing.

        Args:
            models: Names of dbt models, active or not.

        Raises:
            HardRunError: When the project cannot be parsed or dbt stops before its first node.
        """
        with _variables({**self._environment, "SLUICE_PROBE": "1"}), self._connected():
            self._parsed()
            return self._invoke(["run", "--empty", "--select", *models], ())

    def _invoke(self, arguments: Sequence[str], callbacks: Sequence[Callable[[Any], None]]) -> tuple[NodeResult, ...]:
        from dbt.cli.main import dbtRunner

        command = [arguments[0], *self._options(), "--no-write-json", *arguments[1:]]
        limit = TimeLimit(self._load_timeout_seconds)
        with limit.watching():
            result: Any = dbtRunner(manifest=self._manifest, callbacks=[limit.hear, *callbacks]).invoke(command)
        _raise_interrupt(result.exception)
        if result.result is None:
            raise HardRunError(f"dbt stopped: {_explain(result.exception)}", "See dbt's log file for details.")
        nodes = (_node_result(item) for item in result.result.results)
        return tuple(replace(node, message=limit.explain(node)) for node in nodes)

    def compile(self, models: Sequence[str], *, variables: Mapping[str, str]) -> dict[str, str]:
        """Compile models, which sets their windows, and write nothing.

        Args:
            models: Names of dbt models.
            variables: Environment variables that macros read while they execute.

        Returns:
            The compiled SELECT by the model's name.

        Raises:
            HardRunError: When the project cannot be parsed or a model cannot be compiled.
            KeyboardInterrupt: When the user interrupts dbt.
        """
        from dbt.cli.main import dbtRunner

        with _variables({**self._environment, **variables}), self._connected():
            manifest = self._parsed()
            arguments = ["compile", *self._options(), "--no-write-json", "--quiet", "--select", *models]
            result: Any = dbtRunner(manifest=manifest).invoke(arguments)
        _raise_interrupt(result.exception)
        failed = [item for item in getattr(result.result, "results", ()) if str(item.status) in FAILED]
        if result.result is None or failed:
            reason = without_macro_stack(failed[0].message or "") if failed else _explain(result.exception)
            raise HardRunError(f"dbt cannot compile: {reason}", "See dbt's log file for details.")
        return {item.node.name: str(item.node.compiled_code) for item in result.result.results}

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._disconnect()

    def _parsed(self) -> Any:
        """Return the manifest; the project is parsed once per run, and every wave uses the same manifest."""
        if self._manifest is None:
            from dbt.cli.main import dbtRunner

            result = dbtRunner().invoke(["parse", *self._options(), "--no-write-json"])
            _raise_interrupt(result.exception)
            if result.result is None:
                raise HardRunError(
                    f"dbt cannot read the project: {_explain(result.exception)}", "Correct the file that it names."
                )
            self._manifest = result.result
        return self._manifest

    def _options(self) -> list[str]:
        return [
            *["--project-dir", str(self._project.dbt_dir), "--profiles-dir", str(self._project.root)],
            *["--target", self._profile.target, "--log-level", "none", "--log-level-file", "debug"],
        ]

    def _disconnect(self) -> None:
        """Close dbt's connections: on DuckDB an open connection blocks every other process."""
        from dbt.adapters import factory

        adapters: Any = factory
        adapters.cleanup_connections()
        adapters.reset_adapters()
        if self._profile.is_embedded:
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            manager: Any = DuckDBConnectionManager
            manager.close_all_connections()


def _tests_of(manifest: Any, models: Set[str]) -> list[str]:
    """Return the data tests that read one of these models."""
    ids = {unique_id for unique_id, node in manifest.nodes.items() if node.name in models}
    return [
        node.name
        for node in manifest.nodes.values()
        if node.resource_type == "test" and not ids.isdisjoint(node.depends_on.nodes)
    ]


def _node_result(item: Any) -> NodeResult:
    times = [timing for timing in item.timing if timing.name == "execute" and timing.completed_at]
    return NodeResult(
        unique_id=item.node.unique_id,
        kind=str(item.node.resource_type),
        name=item.node.name,
        status=str(item.status),
        message=without_macro_stack(item.message or ""),
        seconds=float(item.execution_time or 0.0),
        started_at=_utc(times[0].started_at) if times else None,
        finished_at=_utc(times[0].completed_at) if times else None,
        parents=tuple(item.node.depends_on.nodes) if hasattr(item.node, "depends_on") else (),
    )


def without_macro_stack(message: str) -> str:
    r"""Return dbt's message without the stack of macros; the log file has the stack.

    >>> without_macro_stack("Compilation Error\n  no key\n  \n  > in macro raise_error (x.sql)")
    'Compilation Error\n  no key'
    """
    return _MACRO_STACK.split(message, maxsplit=1)[0].strip()


def _utc(instant: datetime | None) -> datetime | None:
    if instant is None or instant.tzinfo is not None:
        return instant
    return instant.replace(tzinfo=UTC)


def _raise_interrupt(error: BaseException | None) -> None:
    """Raise a Ctrl-C that dbt caught, so that an interrupted run does not count as failed."""
    if isinstance(error, KeyboardInterrupt):
        raise error


def _explain(error: BaseException | None) -> str:
    return str(error).strip() if error is not None else "no error message"


@contextmanager
def _variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
