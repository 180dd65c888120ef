"""Test files: rows that a target's SELECT and load are tried on, one file a target in `dbt_project/unit_tests/`.

A file holds two kinds of tests. `unit_tests` are dbt's own, in dbt's words: given rows of the sources, the SELECT
yields these rows. `sluice sync` copies them beside the model, so that `dbt test` and `dbt build` run them too.
`histories` are Sluice's: batches of source rows in the order in which they land, and the table after each batch.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from metadata_sync.errors import ConfigurationError
from metadata_sync.problems import did_you_mean, listed
from metadata_sync.project import Project
from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.text import escape_jinja

FOLDER: Final = "unit_tests"
"""Folder of the test files, below the dbt project; dbt does not look into it."""

Row = Mapping[str, Any]
"""A row of a table: column → value."""

_INPUT: Final = re.compile(
    r"""\s*(?:source\(\s*(['"])(?P<schema>\w+)\1\s*,\s*(['"])(?P<table>\w+)\3\s*\)|"""
    r"""ref\(\s*(['"])(?P<model>\w+)\5\s*\))\s*"""
)
_MADE: Final = re.compile(r"\A# Made by `sluice test create`[^\n]*\n# Not edited since while this is its hash: (\w+)\n")
_HASH_LENGTH: Final = 16


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Given(_Strict):
    """The rows of one table that a SELECT reads: `input` is dbt's `source('schema', 'table')` or `ref('model')`."""

    input: str
    rows: tuple[dict[str, Any], ...] = ()

    @field_validator("input")
    @classmethod
    def _is_input(cls, value: str) -> str:
        input_table(value)
        return value


class Expected(_Strict):
    """The rows that a SELECT yields, in any order; columns that no row names are not compared."""

    rows: tuple[dict[str, Any], ...]


class UnitTest(_Strict):
    """A unit test of dbt."""

    name: str
    model: str
    description: str = ""
    given: tuple[Given, ...] = ()
    expect: Expected


class Batch(_Strict):
    """Rows that land together, and the table after the load that reads them.

    Attributes:
        note: What this batch shows.
        rows: Source → rows. Of a source with an incremental key they are added to what landed before; of any other they
            replace it.
        expect: The rows of the target, in any order.
    """

    note: str = ""
    rows: dict[str, tuple[dict[str, Any], ...]] = {}
    expect: tuple[dict[str, Any], ...] = ()


class History(_Strict):
    """A history test: events in, history out."""

    name: str
    description: str = ""
    batches: tuple[Batch, ...]


class UnitTestFile(_Strict):
    """A test file.

    Attributes:
        target: The target, `schema.table`.
        columns: Table → its columns with their types in DuckDB, for all tables that rows are given of.
        unit_tests: Tests of the SELECT.
        histories: Tests of the load.
    """

    target: str
    columns: dict[str, dict[str, str]] = {}
    unit_tests: tuple[UnitTest, ...] = ()
    histories: tuple[History, ...] = ()


def input_table(text: str) -> TableName:
    """Return the table that an input of a unit test names.

    >>> str(input_table("source('lake', 'flights')")), str(input_table("ref('dwh__fact_flight')"))
    ('lake.flights', 'dwh.fact_flight')

    Raises:
        ValueError: When it is neither a source nor a model of Sluice.
    """
    found = _INPUT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is neither source('schema', 'table') nor ref('schema__table')")
    if found["model"] is None:
        return TableName(found["schema"], found["table"])
    schema, between, table = found["model"].partition("__")
    if not between:
        raise ValueError(f"{text!r} is no model of Sluice: their names are schema__table")
    return TableName(schema, table)


def test_file_path(project: Project, target: TableName) -> Path:
    """Return the path of a target's test file, whether it exists or not."""
    return project.dbt_dir / FOLDER / f"{target}.yml"


test_file_path.__test__ = False  # type: ignore[attr-defined] # pytest collects functions of this name


def find_test_files(project: Project) -> tuple[Path, ...]:
    """Return the project's test files, sorted."""
    folder = project.dbt_dir / FOLDER
    return tuple(sorted((*folder.glob("*.yml"), *folder.glob("*.yaml"))))


def read_test_file(path: Path, project: Project) -> UnitTestFile:
    """Read a test file.

    Raises:
        ConfigurationError: When it cannot be read or is none; the message names file and place.
    """
    import yaml

    shown = path.relative_to(project.root)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{shown} cannot be read: {error}.", "Correct the file, or delete it.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{shown}:{mark.line + 1}" if mark is not None else str(shown)
        reason = getattr(error, "problem", None) or "it is no YAML"
        raise ConfigurationError(f"{place} is not YAML: {reason}.", "Correct the line or the one above it.") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{shown} holds no test.", "Write one, or delete the file.")
    try:
        found = UnitTestFile.model_validate(document)
    except ValidationError as error:
        raise _not_a_test(shown, document, error) from error
    _check(shown, found)
    return found


read_test_file.__test__ = False  # type: ignore[attr-defined] # pytest collects functions of this name


def is_untouched(text: str) -> bool:
    """Tell whether a test file's text is as `sluice test create` wrote it: no person has changed it since."""
    found = _MADE.match(text)
    return found is not None and found[1] == _hash(text[found.end() :])


def marked(body: str, origin: str) -> str:
    """Return the text of a test file, with the head that `is_untouched` reads.

    Args:
        body: The YAML.
        origin: Where its rows come from.
    """
    head = f"# Made by `sluice test create` from {origin}. Read it, edit it, commit it.\n"
    return f"{head}# Not edited since while this is its hash: {_hash(body)}\n{body}"


def marked_again(text: str) -> str:
    """Return the text of a test file whose names were changed by a command, not by a person."""
    made = _MADE.match(text)
    assert made is not None, "only for files that `sluice test create` made"
    body = text[made.end() :]
    return text[: made.start(1)] + _hash(body) + text[made.end(1) : made.end()] + body


def dbt_unit_tests(project: Project, target: TableName, dialect: str) -> list[dict[str, Any]]:
    """Return a target's unit tests as dbt reads them; none when its file is missing or faulty.

    dbt would refuse the whole project for a faulty test: `sluice test` says what is wrong with it. dbt asks the
    warehouse for the types of given rows; on DuckDB the lake's tables are files, so there the types are written out.
    """
    path = test_file_path(project, target)
    if not path.exists():
        return []
    try:
        found = read_test_file(path, project)
    except ConfigurationError:
        return []
    if found.target != str(target):
        return []
    documents = [dbt_document(test) for test in found.unit_tests]
    if dialect == "duckdb":
        for document, test in zip(documents, found.unit_tests, strict=True):
            document["given"] = [_with_types(item, found.columns) for item in test.given]
    return documents


def _with_types(item: Given, columns: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    types = columns.get(str(input_table(item.input)))
    named = {name for row in item.rows for name in row}
    if not types or not named.issubset(types):
        return {"input": item.input, "rows": [_escaped(row) for row in item.rows]}
    return {"input": item.input, "format": "sql", "rows": escape_jinja(rows_select(types, item.rows))}


def rows_select(types: Mapping[str, str], rows: Sequence[Row]) -> str:
    """Return a few rows as a SELECT: one branch for each, every value cast to its type; none without rows."""
    selects = [
        "select "
        + ", ".join(
            f"cast({_literal(row.get(name))} as {type_}) as {quote_identifier(name)}" for name, type_ in types.items()
        )
        for row in rows or ({},)
    ]
    return "\nunion all ".join(selects) + ("" if rows else " where 1 = 0")


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"


def dbt_document(test: UnitTest) -> dict[str, Any]:
    """Return a unit test as dbt reads it: texts of rows are data, so their braces are escaped."""
    document: dict[str, Any] = {"name": test.name, "model": test.model}
    if test.description:
        document["description"] = escape_jinja(test.description)
    document["given"] = [{"input": item.input, "rows": [_escaped(row) for row in item.rows]} for item in test.given]
    document["expect"] = {"rows": [_escaped(row) for row in test.expect.rows]}
    return document


def _escaped(row: Row) -> dict[str, Any]:
    return {name: escape_jinja(value) if isinstance(value, str) else value for name, value in row.items()}


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:_HASH_LENGTH]


def _check(shown: Path, found: UnitTestFile) -> None:
    """Refuse names that point to nothing: dbt, or the load, would tell of them in other words and later."""
    try:
        target = TableName.parse(found.target)
    except ValueError:
        raise ConfigurationError(
            f"{shown}: target: {found.target!r} is no name of a table.", "Write it as schema.table."
        ) from None
    for test in found.unit_tests:
        if test.model != target.model_name:
            raise ConfigurationError(
                f"{shown}: unit test {test.name!r} is about model {test.model!r}.", f"Write model: {target.model_name}"
            )
    names = [*(test.name for test in found.unit_tests), *(history.name for history in found.histories)]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ConfigurationError(f"{shown}: two tests are named {doubled[0]!r}.", "Give each a name of its own.")
    if not names:
        raise ConfigurationError(f"{shown} holds no test.", "Add unit_tests: or histories:, or delete the file.")
    for history in found.histories:
        if not history.batches:
            raise ConfigurationError(f"{shown}: history {history.name!r} has no batches.", "Add one, or delete it.")


def _not_a_test(shown: Path, document: Mapping[str, Any], error: ValidationError) -> ConfigurationError:
    first = error.errors()[0]
    place = " → ".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
    return ConfigurationError(f"{shown}: {place}: {_reason(first)}", _remedy(first, document))


def _reason(found: Any) -> str:
    match found["type"]:
        case "extra_forbidden":
            return "there is no such key."
        case "missing":
            return "it is missing."
        case "value_error":
            return f"{found['ctx']['error']}."
        case _:
            given = found["input"]
            return f"{given!r} does not belong here." if not isinstance(given, dict | list) else "it has another form."


def _remedy(found: Any, document: Mapping[str, Any]) -> str:
    loc = [part for part in found["loc"] if isinstance(part, str)]
    if found["type"] == "extra_forbidden":
        keys = _keys_at(loc[:-1])
        return did_you_mean(loc[-1], keys) or f"The keys here: {listed(keys)}."
    shape = {
        "columns": "columns: {schema.table: {column: type}}",
        "given": "given: [{input: source('schema', 'table'), rows: [{column: value}]}]",
        "expect": "expect: {rows: [{column: value}]}; of a batch: expect: [{column: value}]",
        "rows": "of a batch: rows: {schema.table: [{column: value}]}",
    }
    known = next((shape[part] for part in reversed(loc) if part in shape), "")
    return f"Write {known}" if known else f"Compare it with the form in the documentation ({', '.join(document)})."


def _keys_at(loc: list[str]) -> list[str]:
    """Return the keys of the part of a test file that stands at a place."""
    part: type[BaseModel] = UnitTestFile
    parts: dict[str, type[BaseModel]] = {
        "unit_tests": UnitTest,
        "histories": History,
        "batches": Batch,
        "given": Given,
        "expect": Expected,
    }
    for name in loc:
        part = parts.get(name, part)
    return list(part.model_fields)


def given_rows(file: UnitTestFile) -> Iterator[tuple[str, Row]]:
    """Yield every row that a test file gives, with its table."""
    for test in file.unit_tests:
        for item in test.given:
            yield from ((str(input_table(item.input)), row) for row in item.rows)
    for history in file.histories:
        for batch in history.batches:
            for table, rows in batch.rows.items():
                yield from ((table, row) for row in rows)
