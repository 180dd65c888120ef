"""Make a target's test file from rows of the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from flows.context import reading
from flows.unit_tests.batches import BatchMaker
from flows.unit_tests.mask import Mask, mask_key, personal_columns
from flows.unit_tests.run import Status, play_history, run_tests
from flows.unit_tests.sample import Sample, Sampler
from flows.unit_tests.scratch import landing_key
from flows.unit_tests.select import (
    SelectOnRows,
    first_difference,
    not_portable,
    parsed,
    warehouse_result,
)
from metadata_sync.analysis.catalog import Catalog
from metadata_sync.analysis.select_file import read_select
from metadata_sync.analysis.unit_tests import (
    Batch,
    Expected,
    Given,
    History,
    UnitTest,
    UnitTestFile,
    is_untouched,
    marked,
    test_file_path,
)
from metadata_sync.errors import ConfigurationError
from metadata_sync.files import replace_file
from metadata_sync.problems import Problem
from metadata_sync.rows.resolve import is_view
from metadata_sync.rows.vocabulary import Increment

if TYPE_CHECKING:
    from flows.context import Context
    from flows.warehouse.connection import Warehouse
    from metadata_sync.rows.model import ControlRows, TransformationRow
    from metadata_sync.rows.names import TableName

MOST_ROWS: Final = 20
_WIDTH: Final = 1_000


@dataclass(frozen=True, slots=True)
class CreatedTest:
    """A test file that was written.

    Attributes:
        path: Its path, from the project's root.
        given: Table → number of frozen rows.
        batches: Notes of the history's batches; empty for a materialized view, which has no history.
        masked: Columns whose values were masked, `schema.table.column`.
        notes: What a person should know of the choice.
    """

    path: str
    given: Mapping[str, int]
    batches: tuple[str, ...]
    masked: tuple[str, ...]
    notes: tuple[str, ...]


def create_test(
    context: Context, rows: ControlRows, row: TransformationRow, *, limit: int = MOST_ROWS, force: bool = False
) -> CreatedTest:
    """Freeze rows that a target's SELECT reads, and what they give, into its test file.

    The file is written at the end, whole, after its tests have passed once.

    Args:
        context: Project and environment, whose warehouse or lake is read.
        rows: The rows.
        row: The target.
        limit: The most rows of a table.
        force: Replace a file that a person has written or changed.

    Raises:
        ConfigurationError: When the file is a person's, there are no rows, or the SELECT does not run on DuckDB or
            gives other rows there.
        RunError: When the warehouse cannot be read.
    """
    path = test_file_path(context.project, row.name)
    _keep_edited(path, context, force=force)
    select = parsed(_select_text(context, row), context.columns.dialect, row.name)
    catalog = Catalog(rows, context.project, context.columns)
    with context.columns.connected(), reading(context, context.profile, rows) as warehouse:
        sample = Sampler(context, catalog, row, select, warehouse, limit=limit).read()
        mask, unresolved = _mask(context, catalog)
        sample.rows = {name: mask.rows(name, found) for name, found in sample.rows.items()}
        engine = SelectOnRows(sample.text, row.name, sample.types)
        engine.fill(sample.rows)
        expected = engine.result()
        if not context.profile.is_embedded:
            _compare(select, warehouse, sample, expected, row)
    file, notes = _file(context, catalog.rows, row, sample, engine)
    _check(context, rows, file)
    _write(path, _yaml(file), context)
    if unresolved:
        notes.append(
            f"the columns of {', '.join(map(str, unresolved))} could not be followed: look for personal values yourself"
        )
    return CreatedTest(
        path=str(path.relative_to(context.project.root)),
        given={str(name): len(found) for name, found in sample.rows.items()},
        batches=tuple(batch.note for history in file.histories for batch in history.batches),
        masked=_masked(mask, sample),
        notes=tuple(notes),
    )


def _select_text(context: Context, row: TransformationRow) -> str:
    text = read_select(row, context.project)
    if isinstance(text, Problem):
        raise ConfigurationError(f"The SELECT of {row.name} cannot be read: {text.message}", text.remedy)
    return text


def _keep_edited(path: Path, context: Context, *, force: bool) -> None:
    if force or not path.exists() or is_untouched(path.read_text(encoding="utf-8", errors="replace")):
        return
    shown = path.relative_to(context.project.root)
    raise ConfigurationError(
        f"{shown} was written or changed by a person, and would be lost.",
        "Pass --force to replace it, or move it away first.",
    )


def _mask(context: Context, catalog: Catalog) -> tuple[Mask, tuple[TableName, ...]]:
    columns, unresolved = personal_columns(catalog)
    return Mask(mask_key(context.project) if columns else b"", columns), unresolved


def _masked(mask: Mask, sample: Sample) -> tuple[str, ...]:
    return tuple(sorted(str(item) for item in mask.columns if item.column in sample.types.get(item.table, {})))


def _compare(select: Any, warehouse: Warehouse, sample: Sample, expected: Any, row: TransformationRow) -> None:
    """Refuse a SELECT that gives other rows on DuckDB than in the warehouse: its tests would prove nothing."""
    theirs = warehouse_result(select, warehouse, sample.warehouse_types, sample.rows)
    difference = first_difference([tuple(found.values()) for found in expected], theirs)
    if difference is not None:
        raise not_portable(
            row.name,
            f"on the same rows it does not give what {select.dialect} gives. The first row apart: {difference}",
        )


def _file(
    context: Context,
    rows: ControlRows,
    row: TransformationRow,
    sample: Sample,
    engine: SelectOnRows,
) -> tuple[UnitTestFile, list[str]]:
    """Return the test file with its expected rows, and notes."""
    given = tuple(Given(input=_input(rows, name), rows=tuple(found)) for name, found in sample.rows.items())
    unit_test = UnitTest(
        name=f"{row.name.model_name}_rows",
        model=row.name.model_name,
        given=given,
        expect=Expected(rows=tuple(engine.result())),
    )
    columns = {str(name): dict(types) for name, types in sample.types.items()}
    file = UnitTestFile(target=str(row.name), columns=columns, unit_tests=(unit_test,))
    if is_view(row, rows):
        return file, list(sample.notes)
    key = None if row.increment is Increment.FULL else landing_key(row, rows, sample.driving)
    if key is None and rows.transformation(sample.driving) is not None and row.increment is not Increment.FULL:
        batches, notes = _of_upstream(sample), []
    else:
        maker = BatchMaker(row, rows, sample, engine, key)
        batches, notes = maker.make(), maker.notes
    history = History(name=f"{row.name.model_name}_history", batches=batches)
    tables = play_history(context, rows, file, history)
    played = tuple(
        batch.model_copy(update={"expect": tuple(table)}) for batch, table in zip(batches, tables, strict=True)
    )
    history = history.model_copy(update={"batches": played})
    return file.model_copy(update={"histories": (history,)}), [*sample.notes, *notes]


def _of_upstream(sample: Sample) -> tuple[Batch, ...]:
    """Two batches of a managed source: its rows have no landing time that SELECTs see, so they come as they are."""
    given = sample.rows[sample.driving]
    others = {str(name): tuple(found) for name, found in sample.rows.items() if name != sample.driving}
    middle = (len(given) + 1) // 2
    first = Batch(note="first load", rows={**others, str(sample.driving): tuple(given[:middle])})
    second = Batch(note="what the upstream loads next", rows={str(sample.driving): tuple(given[middle:])})
    return (first, second) if given[middle:] else (first,)


def _input(rows: ControlRows, name: TableName) -> str:
    if rows.transformation(name) is not None:
        return f"ref('{name.model_name}')"
    return f"source('{name.schema}', '{name.table}')"


def _check(context: Context, rows: ControlRows, file: UnitTestFile) -> None:
    """Run the tests once before they are written: a test that fails from the beginning helps nobody."""
    for result in run_tests(context, rows, [file]):
        if result.status is not Status.PASSED:
            raise ConfigurationError(
                f"{file.target}: the test {result.name} does not give the same rows twice: {' '.join(result.lines)}",
                "A SELECT that depends on the time of day, on chance, or on the order in which doubles are added "
                "cannot be frozen: cast such sums to decimal, or take such columns out of the SELECT.",
            )


def _write(path: Path, body: str, context: Context) -> None:
    text = marked(body, f"environment {context.settings.environment}")
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}.", "Make the folder writable. Nothing was written."
        ) from error


class _Row(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's
        return True


_Dumper.add_representer(
    _Row, lambda dumper, row: dumper.represent_mapping("tag:yaml.org,2002:map", row.items(), flow_style=True)
)


def _yaml(file: UnitTestFile) -> str:
    """Return a test file's YAML: a row on a line."""
    document: dict[str, Any] = {
        "target": file.target,
        "columns": {name: _Row(types) for name, types in file.columns.items()},
        "unit_tests": [
            {
                "name": test.name,
                "model": test.model,
                "given": [{"input": item.input, "rows": _lines(item.rows)} for item in test.given],
                "expect": {"rows": _lines(test.expect.rows)},
            }
            for test in file.unit_tests
        ],
    }
    if file.histories:
        document["histories"] = [
            {
                "name": history.name,
                "batches": [
                    {
                        "note": batch.note,
                        "rows": {name: _lines(rows) for name, rows in batch.rows.items()},
                        "expect": _lines(batch.expect),
                    }
                    for batch in history.batches
                ],
            }
            for history in file.histories
        ]
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[_Row]:
    return [_Row(row) for row in rows]
