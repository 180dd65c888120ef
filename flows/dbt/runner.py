"""dbt in this process: parse once, build the selected models, return a result per node."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from flows.dbt.kept_manifest import KeptManifest
from flows.dbt.log_file import LogFile
from flows.dbt.package import link_package
from flows.dbt.sessions import count_in_utc
from flows.dbt.time_limit import TimeLimit
from flows.run.outcome import FAILED, Compiled, NodeResult
from flows.warehouse.profile import Profile, dbt_environment
from metadata_sync.errors import HardRunError
from metadata_sync.project import Project
from metadata_sync.settings import Settings

logger = logging.getLogger(__name__)

_OPERATION_ERRORS: Final = {"RunningOperationCaughtError", "RunningOperationUncaughtError"}
_CHECKING_TEST: Final = "valid_history"
"""The package's data test that makes several checks."""
_MACRO_STACK: Final = re.compile(r"\n\s*> in macro ")


class DbtRunner:
    """Runs dbt on one project for one environment.

    Args:
        project: The project.
        settings: The environment.
        profile: Its target.
        scope: Names of all models that will be asked for: dbt then gets the part of its manifest that they need, when
            the last parse still holds. None: dbt parses the project.
    """

    def __init__(
        self, project: Project, settings: Settings, profile: Profile, scope: Iterable[str] | None = None
    ) -> None:
        self._project = project
        self._profile = profile
        self._environment = dbt_environment(project, settings)
        self._load_timeout_seconds = settings.load_timeout_seconds if profile.is_embedded else 0
        self._manifest: Any = None
        self._scope = None if scope is None else frozenset(scope)
        self._cut_for: Set[str] | None = None
        self._kept = KeptManifest(project, profile)
        self._log = LogFile(project.dbt_dir / "logs")

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
        with self._prepared(variables, {*models, *tested}) as manifest:
            unready = set(untested) | set(unbuilt) - {*models, *tested}
            excluded = _tests_of(manifest, unready, among={*models, *tested})
            selected = [*models, *_tests_of(manifest, set(tested))]
            if not selected:
                return ()
            arguments = ["build", "--exclude-resource-type", "unit_test", "--select", *selected]
            return self._invoke([*arguments, *(["--exclude", *excluded] if excluded else [])], callbacks)

    def run(
        self, models: Sequence[str], *, variables: Mapping[str, str], callbacks: Sequence[Callable[[Any], None]] = ()
    ) -> tuple[NodeResult, ...]:
        """Run exactly these models without their data tests; otherwise as `build`."""
        with self._prepared(variables, models):
            return self._invoke(["run", "--select", *models], callbacks)

    def run_empty(self, models: Sequence[str], variables: Mapping[str, str]) -> tuple[NodeResult, ...]:
        """Run models over empty sources: compiles them, checks columns and types, loads nothing, logs nothing.

        Args:
            models: Names of dbt models, active or not.
            variables: More environment variables of dbt.

        Raises:
            HardRunError: When the project cannot be parsed or dbt stops before its first node.
        """
        with self._prepared({**variables, "SLUICE_PROBE": "1"}, models):
            return self._invoke(["run", "--empty", "--select", *models], ())

    def _invoke(self, arguments: Sequence[str], callbacks: Sequence[Callable[[Any], None]]) -> tuple[NodeResult, ...]:
        limit = TimeLimit(self._load_timeout_seconds)
        with limit.watching():
            result = self._call(arguments, limit.hear, *callbacks)
        if result.result is None:
            raise HardRunError(f"dbt stopped: {_explain(result.exception)}", "See dbt's log file for details.")
        items = result.result.results
        nodes = (_node_result(item) for item in items)
        explained = tuple(replace(node, message=limit.explain(node)) for node in nodes)
        return tuple(self._with_failed_checks(node, item) for node, item in zip(explained, items, strict=True))

    def _with_failed_checks(self, node: NodeResult, item: Any) -> NodeResult:
        """Add to a failed test of several checks which of them failed, for how many rows, with examples of keys."""
        about = getattr(item.node, "test_metadata", None)
        if node.status != "fail" or about is None or about.name != _CHECKING_TEST:
            return node
        told: list[str] = []

        def hear(event: Any) -> None:
            if event.info.name == "JinjaLogInfo":
                told.append(event.info.msg)

        arguments = json.dumps({"select_sql": item.node.compiled_code})
        self._call(["run-operation", "sluice.failed_checks", "--args", arguments], hear)
        return replace(node, message=" ".join([node.message, *told]))

    def _call(self, arguments: Sequence[str], *callbacks: Callable[[Any], None]) -> Any:
        """Run one command of dbt on the manifest, if there is one yet; its events go to the log file as well."""
        from dbt.cli.main import dbtRunner

        count_in_utc(self._profile)
        runner = dbtRunner(manifest=self._manifest, callbacks=[self._log.hear, *callbacks])
        result = runner.invoke([arguments[0], *self._options(), "--no-write-json", *arguments[1:]])
        _raise_interrupt(result.exception)
        return result

    def unit_test(self) -> tuple[NodeResult, ...]:
        """Run every unit test of the project; otherwise as `build`."""
        with self._prepared({}):
            return self._invoke(["test", "--select", "test_type:unit"], ())

    def operate(self, macro: str, arguments: Mapping[str, Any]) -> None:
        """Run a macro of Sluice as an operation.

        Args:
            macro: Its name, without the package.
            arguments: Its arguments, JSON-ready.

        Raises:
            HardRunError: When the project cannot be parsed, or the macro failed.
            KeyboardInterrupt: When the user interrupts dbt.
        """
        with self._prepared({}):
            reasons: list[str] = []  # dbt tells an operation's error in an event only

            def hear(event: Any) -> None:
                if event.info.name in _OPERATION_ERRORS:
                    reasons.append(without_macro_stack(event.data.exc))

            result = self._call(["run-operation", "--quiet", f"sluice.{macro}", "--args", json.dumps(arguments)], hear)
        if not result.success:
            reason = " ".join("".join(reasons).split()) or _explain(result.exception)
            raise HardRunError(f"dbt cannot run {macro}: {reason}", "See dbt's log file for details.")

    def compile(self, models: Sequence[str], *, variables: Mapping[str, str]) -> Compiled:
        """Compile models, which sets their windows, and write nothing.

        Args:
            models: Names of dbt models.
            variables: Environment variables that macros read while they execute.

        Returns:
            The compiled SELECTs, and the errors of models that cannot be compiled.

        Raises:
            HardRunError: When the project cannot be parsed, or dbt cannot compile at all.
            KeyboardInterrupt: When the user interrupts dbt.
        """
        found = Compiled()
        with self._prepared(variables, models):
            if len(models) > 1 and not self._compile(models, found):
                return found  # dbt's compile stops at the first error: otherwise each model on its own
            for model in models:
                reason = self._compile([model], found)
                if reason and f" in model {model} " not in reason:
                    raise HardRunError(f"dbt cannot compile: {reason}", "See dbt's log file for details.")
                if reason:
                    found.errors[model] = f"dbt cannot compile: {reason} See dbt's log file for details."
        return found

    def _compile(self, models: Sequence[str], found: Compiled) -> str:
        """Compile models in one call, add their SELECTs, and return dbt's error or nothing."""
        result = self._call(["compile", "--quiet", "--select", *models])
        results = getattr(result.result, "results", ())
        failed = [item for item in results if str(item.status) in FAILED]
        if result.result is None or failed:
            return without_macro_stack(failed[0].message or "") if failed else _explain(result.exception)
        found.sql.update({item.node.name: str(item.node.compiled_code) for item in results})
        return ""

    @contextmanager
    def _prepared(self, variables: Mapping[str, str], models: Iterable[str] | None = None) -> Iterator[Any]:
        """Get a manifest, then set what macros read while they execute; in the end close connections and log.

        dbt parses each file again that reads a variable which has changed since the last run, so the variables of a
        run are set only after the project was parsed.

        Args:
            variables: What macros read while they execute.
            models: The models that the manifest must hold; None: all of the project.
        """
        with _variables(self._environment), self._log.open():
            try:
                manifest = self._manifest_for(models)
                with _variables(variables):
                    yield manifest
            finally:
                self._disconnect()

    def _manifest_for(self, models: Iterable[str] | None) -> Any:
        """Return a manifest that holds these models: once per run, and every wave uses the same one."""
        wanted = None if models is None else frozenset(models)
        is_enough = self._cut_for is None or (wanted is not None and wanted <= self._cut_for)
        if self._manifest is None or not is_enough:
            link_package(self._project)
            self._manifest = self._cut_for = None
            if self._scope is None:
                self._manifest = self._parse()
            else:
                self._find_manifest(None if wanted is None else wanted | self._scope)
        return self._manifest

    def _find_manifest(self, models: Set[str] | None) -> None:
        """Take the part of the last parse's manifest, or parse the project and keep its manifest."""
        inputs = self._kept.observe()
        if models is not None:
            self._manifest, self._cut_for = self._kept.cut(inputs, models), models
        if self._manifest is None:
            self._manifest, self._cut_for = self._parse(), None
            self._kept.keep(self._manifest, inputs)

    def _parse(self) -> Any:
        """Let dbt parse the project, and return its whole manifest."""
        result = self._call(["parse"])
        if result.result is None:
            raise HardRunError(
                f"dbt cannot read the project: {_explain(result.exception)}", "Correct the file that it names."
            )
        return result.result

    def _options(self) -> list[str]:
        return [
            *["--project-dir", str(self._project.dbt_dir), "--profiles-dir", str(self._project.profiles_file.parent)],
            *["--target", self._profile.target, "--log-level", "none", "--log-level-file", "none"],
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


def _tests_of(manifest: Any, models: Set[str], among: Set[str] | None = None) -> list[str]:
    """Return the data tests that read one of these models, and one of `among` when it is given.

    dbt compares each name that is excluded with each node, so only tests that it would select are named.
    """
    ids, others = _ids_of(manifest, models), None if among is None else _ids_of(manifest, among)
    return [
        node.name
        for node in manifest.nodes.values()
        if node.resource_type == "test"
        and not ids.isdisjoint(node.depends_on.nodes)
        and (others is None or not others.isdisjoint(node.depends_on.nodes))
    ]


def _ids_of(manifest: Any, models: Set[str]) -> set[str]:
    return {unique_id for unique_id, node in manifest.nodes.items() if node.name in models}


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
        parents=tuple(getattr(getattr(item.node, "depends_on", None), "nodes", ())),  # a seed depends on macros only
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
    """Return the message of the exception that ended dbt; exceptions that stop a thread from outside have none.

    >>> _explain(ValueError("no such file"))
    'no such file'
    """
    if error is None:
        return "no error message"
    return str(error).strip() or (
        f"{type(error).__name__}: the run was stopped from outside. A signal or a person cancelled it, or Prefect did, "
        "because its server was away for longer than the lease of the run's slot. What was committed is kept."
    )


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
