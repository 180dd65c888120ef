"""The checks of a pull request that need no warehouse: rows, SQL, the change itself, tests of targets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from flows.impact.plan import Impact, plan_impact
from flows.impact.text import kind_of, lines_of, uncommitted_line
from flows.lint.checks import lint
from flows.lint.files import find_files
from metadata_sync.analysis.offline import OfflineColumns
from metadata_sync.analysis.unit_tests import FOLDER, find_test_files, read_test_file
from metadata_sync.control.bundle import read_project
from metadata_sync.control.check import check_files
from metadata_sync.control.policies import FILE as POLICIES
from metadata_sync.control.policies import Severity, find_broken, read_policies
from metadata_sync.errors import Fault, SluiceError

if TYPE_CHECKING:
    from flows.ci.build import BuildRequest, BuildResult
    from flows.context import Context

Say = Callable[[str], None]


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def sign(self) -> str:
        """One letter for it."""
        return {Status.PASSED: "✓", Status.FAILED: "✗", Status.SKIPPED: "–"}[self]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file that a check tells about; its level is `error`, `warning` or `note`."""

    file: str
    line: int
    rule: str
    message: str
    level: str = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: What is checked.
        status: How it ended.
        summary: One sentence.
        lines: What it found.
        places: Lines of files among these.
        seconds: How long it took.
        built: What it loaded and compared; None: nothing.
    """

    name: str
    status: Status
    summary: str
    lines: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    seconds: float = 0.0
    built: BuildResult | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """All checks of a pull request.

    Attributes:
        checks: In their order.
        impact: What the change does; None: it was not compared.
    """

    checks: tuple[Check, ...]
    impact: Impact | None = None

    @property
    def built(self) -> BuildResult | None:
        """What was loaded and compared; None: nothing was."""
        return next((check.built for check in self.checks if check.built is not None), None)

    @property
    def has_failed(self) -> bool:
        """Whether a check failed."""
        return any(check.status is Status.FAILED for check in self.checks)


def run_checks(
    context: Context, ref: str | None, say: Say = lambda _: None, build: BuildRequest | None = None
) -> Checked:
    """Check the project as a pull request is checked.

    Args:
        context: The project; neither its warehouse nor its control database is asked, but for what is built.
        ref: The commit or branch to compare with; None: nothing is compared.
        say: Told each check as it begins.
        build: What is loaded and compared in a place of its own; None: nothing.
    """
    impact: list[Impact] = []
    steps: dict[str, Callable[[], Check]] = {
        "rows and SELECTs": lambda: _rows(context),
        "policies": lambda: _policies(context),
        "SQL on Redshift": lambda: _lint(context),
        "change": lambda: _change(context, ref, impact),
        "tests of targets": lambda: _tests(context, say),
    }
    found = [_timed(name, step, say) for name, step in steps.items()]
    first = impact[0] if impact else None
    if build is not None:
        found.append(_timed("rows of targets", lambda: _build(context, found, first, build, say), say))
    return Checked(tuple(found), first)


def _build(context: Context, before: Sequence[Check], impact: Impact | None, request: BuildRequest, say: Say) -> Check:
    """Load what changed and compare it; not where rows have faults, for no run would load them."""
    from flows.ci.build import build_changes
    from flows.ci.built_text import lines_of_built, summary_of

    if before[0].status is Status.FAILED or impact is None:
        return Check("", Status.SKIPPED, "nothing was built: rows and SELECTs have faults, or could not be compared.")
    result = build_changes(context, impact, request, say)
    status = Status.FAILED if result.has_failed else Status.PASSED
    places = tuple(_built_places(result))
    return Check("", status, summary_of(result), tuple(lines_of_built(result)), places, built=result)


def _built_places(result: BuildResult) -> Iterator[Place]:
    """Yield the SELECTs whose target could not be loaded, and as notes those whose rows differ."""
    from flows.ci.built_text import state_of

    for item in result.targets:
        is_same = item.error is None and (item.diff is None or item.diff.is_empty)
        if item.file is not None and not is_same:
            level = "note" if item.error is None else "error"
            yield Place(item.file, 1, "build", f"{item.target}: {state_of(item)}", level)


def _timed(name: str, step: Callable[[], Check], say: Say) -> Check:
    say(f"Checking {name}…")
    began = time.monotonic()
    try:
        found = step()
    except SluiceError as error:
        found = Check(name, Status.FAILED, str(error), tuple(map(str, getattr(error, "faults", ()))))
    return replace(found, name=name, seconds=time.monotonic() - began)


def _rows(context: Context) -> Check:
    columns = OfflineColumns(context.profile.dialect)
    checked = check_files(context.project, context.settings.environment, columns)
    rows = checked.bundle.rows
    count = len(rows.sources) + len(rows.pipelines) + len(rows.transformations)
    faults = checked.faults
    if not faults:
        return Check("", Status.PASSED, f"{count} rows: no fault found; columns of sources were not looked up.")
    summary = f"{_counted(len(faults), 'fault')} in {_counted(count, 'row')}."
    return Check(
        "", Status.FAILED, summary, tuple(map(str, faults)), tuple(place for fault in faults for place in _place(fault))
    )


def _place(fault: Fault, level: str = "error") -> Iterator[Place]:
    """Yield the line of a fault, if it has one."""
    file, _, line = (fault.place or "").rpartition(":")
    if line.isdigit():
        yield Place(file, int(line), fault.rule, f"{fault.message} {fault.remedy}".strip(), level)


def _policies(context: Context) -> Check:
    policies = read_policies(context.project)
    if not policies:
        return Check(
            "", Status.SKIPPED, f"there is no {(context.project.dbt_dir / POLICIES).relative_to(context.project.root)}."
        )
    bundle = read_project(context.project, context.settings.environment)
    broken = list(find_broken(bundle.rows, policies, context.project))
    levels = ["error" if item.policy.severity is Severity.ERROR else "warning" for item in broken]
    found = list(zip(bundle.located(item.fault for item in broken), levels, strict=True))
    lines = tuple(f"{fault}" if level == "error" else f"warning: {fault}" for fault, level in found)
    places = tuple(place for fault, level in found for place in _place(fault, level))
    failed = levels.count("error")
    told = _counted(len(broken) - failed, "warning")
    summary = f"{_counted(len(policies), 'policy')}: {_counted(failed, 'fault')}, {told}."
    return Check("", Status.FAILED if failed else Status.PASSED, summary, lines, places)


def _lint(context: Context) -> Check:
    if context.profile.dialect != "redshift":
        return Check("", Status.SKIPPED, f"the warehouse is {context.profile.dialect}.")
    result = lint(find_files(context.project, ()))
    lines = [f"{item.path}:{item.finding.line}: {item.finding.message}" for item in result.findings]
    places = [
        Place(
            item.path,
            item.finding.line,
            item.finding.rule,
            f"{item.finding.message} {item.finding.remedy}",
            item.finding.severity.value,
        )
        for item in result.findings
    ]
    status = Status.FAILED if result.error_count else Status.PASSED
    summary = f"{result.statement_count} statements, {result.error_count} of which Redshift would refuse."
    return Check("", status, summary, tuple(lines), tuple(places))


def _change(context: Context, ref: str | None, found: list[Impact]) -> Check:
    if ref is None:
        return Check("", Status.SKIPPED, "there is nothing to compare with: --against origin/main.")
    columns = OfflineColumns(context.profile.dialect)
    impact = plan_impact(context, ref, columns)
    found.append(impact)
    lines = tuple(_lines(impact))
    status = Status.FAILED if impact.is_broken else Status.PASSED
    told = f" {uncommitted_line(impact)}" if impact.uncommitted else ""
    return Check("", status, f"{_counted(len(impact.effects), 'row')} changed against {ref}.{told}", lines)


def _lines(impact: Impact) -> Iterator[str]:
    for effect in impact.effects:
        yield f"{effect.change.key}: {kind_of(effect)}"
        yield from (f"  {line}" for line in lines_of(effect))


def _counted(count: int, noun: str) -> str:
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count} {noun if count == 1 else many}"


def _tests(context: Context, say: Say) -> Check:
    from flows.unit_tests.run import Status as TestStatus
    from flows.unit_tests.run import run_tests

    folder = context.project.dbt_dir / FOLDER
    paths = find_test_files(context.project)
    if not paths:
        return Check("", Status.SKIPPED, f"there is no test in {folder.relative_to(context.project.root)}.")
    project = context.project
    rows = read_project(project, context.settings.environment).rows
    results = run_tests(context, rows, [read_test_file(path, project) for path in paths], say=say)
    failed = [item for item in results if item.status is not TestStatus.PASSED]
    lines = [f"{item.target} {item.name}: {line}" for item in failed for line in (*item.lines, item.hint) if line]
    status = Status.FAILED if failed else Status.PASSED
    return Check("", status, f"{len(results) - len(failed)} of {len(results)} passed.", tuple(lines))
