"""Run test files: all of them by one start of dbt, in a project of their own."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.unit_tests.diff import compare_rows
from flows.unit_tests.scratch import Case, Scratch, make_case
from flows.unit_tests.select import SelectOnRows
from metadata_sync.analysis.unit_tests import History, UnitTest, UnitTestFile, input_table
from metadata_sync.errors import ConfigurationError, SluiceError

if TYPE_CHECKING:
    from flows.context import Context
    from flows.run.outcome import NodeResult
    from metadata_sync.rows.model import ControlRows

Say = Callable[[str], None]
"""Takes a line about what is going on."""

_PASSED: Final = frozenset({"success", "pass"})
_SIGNS: Final = "- missing, + not expected, ~ another value"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class Status(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class TestResult:
    """The result of one test.

    Attributes:
        target: The target.
        name: The test.
        kind: `unit_test` (the SELECT) or `history` (the load).
        status: FAILED: other rows than expected; ERROR: it could not be run.
        seconds: What it took beside dbt's start, which all tests share.
        lines: What differs, or why it could not be run.
        hint: What to do.
    """

    __test__ = False  # pytest collects classes of this name

    target: str
    name: str
    kind: str
    status: Status
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    hint: str = ""


@dataclass
class _Played:
    """A history test under way.

    Attributes:
        case: The test.
        tables: The target's rows after each batch so far.
        error: Why it stopped.
        seconds: What it took so far.
    """

    case: Case
    tables: list[list[dict[str, Any]]] = field(default_factory=list)
    error: SluiceError | None = None
    seconds: float = 0.0

    @property
    def history(self) -> History:
        assert isinstance(self.case.test, History)
        return self.case.test

    @property
    def is_over(self) -> bool:
        return self.error is not None or len(self.tables) == len(self.history.batches)


def run_tests(
    context: Context, rows: ControlRows, files: Sequence[UnitTestFile], *, say: Say = lambda _: None
) -> tuple[TestResult, ...]:
    """Run the tests of some files.

    Args:
        context: The project.
        rows: The rows of its targets.
        files: The test files.
        say: Takes lines about the progress.

    Returns:
        One result for each test, in the order of the files.
    """
    tests = [(file, test) for file in files for test in tests_of(file)]
    cases: dict[int, Case] = {}
    results: dict[int, TestResult] = {}
    for number, (file, test) in enumerate(tests, 1):
        try:
            cases[number] = make_case(number, file, test, rows, context)
            for name in cases[number].reads:
                cases[number].types(name)
        except SluiceError as error:
            results[number] = _refused(file, test, error)
    if not cases:
        return tuple(results[number] for number in sorted(results))
    with _scratch(context) as scratch:
        prepared = _prepared(scratch, cases, results)
        results |= _run_unit_tests(scratch, [case for case in prepared if isinstance(case.test, UnitTest)], say)
        played = [_Played(case) for case in prepared if isinstance(case.test, History)]
        _play(scratch, played, say)
        results |= {item.case.number: _judge(scratch, item) for item in played}
    return tuple(results[number] for number in sorted(results))


def play_history(
    context: Context, rows: ControlRows, file: UnitTestFile, history: History
) -> list[list[dict[str, Any]]]:
    """Return the rows of a target after each batch of a history, as its load writes them.

    Raises:
        SluiceError: When a load fails, or the history cannot be played.
    """
    case = make_case(1, file, history, rows, context)
    with _scratch(context) as scratch:
        scratch.add_histories([case])
        played = _Played(case)
        _play(scratch, [played], lambda _: None)
    if played.error is not None:
        raise played.error
    return played.tables


def tests_of(file: UnitTestFile) -> Iterator[UnitTest | History]:
    """Yield the tests of a file: of its SELECT, then of its load."""
    yield from file.unit_tests
    yield from file.histories


class _scratch:  # noqa: N801 - a context manager
    """The scratch project, removed at the end."""

    def __init__(self, context: Context) -> None:
        self._scratch = Scratch(Path(tempfile.mkdtemp(prefix="sluice-test-")).resolve(), context)

    def __enter__(self) -> Scratch:
        return self._scratch

    def __exit__(self, *_: object) -> None:
        self._scratch.close()


def _prepared(scratch: Scratch, cases: Mapping[int, Case], results: dict[int, TestResult]) -> list[Case]:
    """Write the scratch project; a test that cannot be written is refused, and the others go on without it."""
    ready = list(cases.values())
    for kind, add in ((UnitTest, scratch.add_unit_tests), (History, scratch.add_histories)):
        chosen = [case for case in ready if isinstance(case.test, kind)]
        try:
            if chosen:
                add(chosen)
            continue
        except SluiceError:
            pass  # one of them has a fault: each is tried by itself, and the good ones are written again together
        good = []
        for case in chosen:
            try:
                add([case])
                good.append(case)
            except SluiceError as error:
                results[case.number] = _refused(case.file, case.test, error)
        add(good)
        ready = [case for case in ready if case not in chosen or case in good]
    return ready


def _run_unit_tests(scratch: Scratch, cases: Sequence[Case], say: Say) -> dict[int, TestResult]:
    if not cases:
        return {}
    say(f"Running {len(cases)} unit test{'s' if len(cases) > 1 else ''} of SELECTs")
    nodes = {node.name: node for node in scratch.dbt.unit_test()}
    return {case.number: _judged(case, nodes.get(case.unit_test_name)) for case in cases}


def _judged(case: Case, node: NodeResult | None) -> TestResult:
    target, name = case.file.target, case.test.name
    if node is None:
        return TestResult(target, name, "unit_test", Status.ERROR, 0.0, ("dbt did not run it.",))
    if node.status in _PASSED:
        return TestResult(target, name, "unit_test", Status.PASSED, node.seconds)
    lines = _difference(case) if node.status == "fail" else ()
    if lines:
        head = "the SELECT gives other rows than expected:"
        return TestResult(target, name, "unit_test", Status.FAILED, node.seconds, (head, *lines), _SIGNS)
    text = _COLOUR.sub("", node.message).replace(case.unit_test_name, name).replace(f"t{case.number}_", "")
    lines = tuple(line.rstrip() for line in text.splitlines() if line.strip())
    status = Status.FAILED if node.status == "fail" else Status.ERROR
    return TestResult(target, name, "unit_test", status, node.seconds, lines)


def _difference(case: Case) -> tuple[str, ...]:
    """Show a difference that dbt has found as the histories' are shown; empty when it cannot be seen like this."""
    assert isinstance(case.test, UnitTest)
    engine = SelectOnRows(case.select, case.row.name, {name: case.types(name) for name in case.reads})
    engine.fill({input_table(item.input): item.rows for item in case.test.given})
    try:
        return compare_rows(engine.as_written(case.test.expect.rows), engine.result())
    except ConfigurationError:  # a column or a value that does not fit: dbt's own words name it
        return ()


def _play(scratch: Scratch, played: Sequence[_Played], say: Say) -> None:
    """Play the batches of all histories side by side: dbt runs once for the first batch of each, then the second."""
    batch = 0
    while current := [item for item in played if not item.is_over]:
        say(f"Loading batch {batch + 1} of {len(current)} histor{'ies' if len(current) > 1 else 'y'}")
        _play_batch(scratch, current, batch)
        batch += 1


def _play_batch(scratch: Scratch, current: Sequence[_Played], batch: int) -> None:
    began = time.monotonic()
    for item in current:
        try:
            scratch.land(item.case, batch, item.history.batches[batch].rows)
        except SluiceError as error:
            item.error = error
    going = [item for item in current if item.error is None]
    models = [
        model.model_name
        for item in going
        for model in (*(item.case.named(row.name) for row in item.case.played), item.case.target)
    ]
    if not models:
        return
    nodes = {node.name: node for node in scratch.dbt.run(models, variables={"SLUICE_CHANGE_TOKENS": "{}"})}
    for item in going:
        node = nodes.get(item.case.target.model_name)
        if node is None or node.status not in _PASSED:
            item.error = _failed_load(item, batch, node)
        else:
            item.tables.append(scratch.table(item.case))
    for item in current:
        item.seconds += (time.monotonic() - began) / len(current)


def _failed_load(item: _Played, batch: int, node: NodeResult | None) -> SluiceError:
    text = "dbt did not run it" if node is None else node.message.replace(f"t{item.case.number}_", "")
    return ConfigurationError(f"The load of batch {batch + 1} failed: {' '.join(text.split())}")


def _judge(scratch: Scratch, played: _Played) -> TestResult:
    file, history = played.case.file, played.history
    result = TestResult(file.target, history.name, "history", Status.PASSED, played.seconds)
    try:
        for number, (batch, actual) in enumerate(zip(history.batches, played.tables, strict=False), 1):
            lines = compare_rows(_expected(scratch, played.case, batch.expect), actual)
            if lines:
                note = f" ({batch.note})" if batch.note else ""
                head = f"after batch {number}{note} the table has other rows than expected:"
                return _with(result, Status.FAILED, (head, *lines), _SIGNS)
    except SluiceError as error:
        return _refused(file, history, error)
    if played.error is not None:
        return _refused(file, history, played.error)
    return result


def _expected(scratch: Scratch, case: Case, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return expected rows as the table stores them, with the columns that the test names."""
    named = {name for row in rows for name in row}
    stored = scratch.as_stored(case, rows)
    return [{name: value for name, value in row.items() if name in named} for row in stored]


def _with(result: TestResult, status: Status, lines: tuple[str, ...], hint: str) -> TestResult:
    return TestResult(result.target, result.name, result.kind, status, result.seconds, lines, hint)


def _refused(file: UnitTestFile, test: UnitTest | History, error: SluiceError) -> TestResult:
    kind = "unit_test" if isinstance(test, UnitTest) else "history"
    return TestResult(file.target, test.name, kind, Status.ERROR, 0.0, (error.message,), error.hint)
