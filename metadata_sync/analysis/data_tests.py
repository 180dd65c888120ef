"""Data tests of a column list: known tests with typed arguments, written so that dbt evaluates nothing.

dbt evaluates what stands in a test: a config may replace tables, a name becomes a file, text becomes Jinja and SQL.
So a row names a known test and gives it plain values; this module writes them. Known are dbt's own four tests and those
that the project declares in `dbt_project/data_tests.yml`, with the type of each argument.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from metadata_sync.analysis.declared_tests import OWN_TESTS, Argument, Signature
from metadata_sync.problems import Problem, did_you_mean, listed
from metadata_sync.rows.model import Column, ControlRows, TransformationRow
from metadata_sync.rows.names import TableName, is_identifier
from metadata_sync.rows.resolve import added_columns
from metadata_sync.text import escape_jinja

ACCEPTED_VALUES: Final = "accepted_values"
_SEVERITIES: Final = ("warn", "error")
_PROPERTIES: Final = ("name", "description", "config", "arguments")
_MAX_VALUES: Final = 10_000
_MAX_TEXT: Final = 10_000

_EVALUATED: Final = re.compile(r"\s*(env_var|ref|var|source|doc)\s*\(.*", re.DOTALL)
"""Text that dbt evaluates as Jinja in a test's argument although no braces are around it."""
_JINJA_MARK: Final = re.compile(r"\{[{%#]|[}%#]\}")


@dataclass(frozen=True, slots=True)
class TestScope:
    """What a data test of a row may refer to.

    Attributes:
        row: The transformation whose column is tested.
        rows: All rows of the environment.
        dialect: The warehouse's SQL, as sqlglot names it.
        declared: The tests that the project declares, by name.
        functions: Functions that the team allows beside the known ones.
    """

    __test__ = False  # pytest collects classes of this name

    row: TransformationRow
    rows: ControlRows
    dialect: str
    declared: Mapping[str, Signature] = field(default_factory=dict)
    functions: Collection[str] = ()

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Every test that the row may name."""
        return {**self.declared, **OWN_TESTS}


def test_document(test: str | Mapping[str, Any], scope: TestScope) -> dict[str, Any] | str | None:
    """Write a data test as dbt reads it; None when the test is refused (`data_test_problems` says why)."""
    reading = _Reading.of(test, scope)
    if reading.problems:
        return None
    written = {**reading.properties, **({"arguments": reading.arguments} if reading.arguments else {})}
    return {reading.name: written} if written else reading.name


test_document.__test__ = False  # type: ignore[attr-defined] # pytest collects functions of this name


def data_test_problems(column: Column, scope: TestScope) -> Iterator[Problem]:
    """Find what is wrong with the data tests of one column."""
    seen: list[object] = []
    for test in column.tests:
        reading = _Reading.of(test, scope)
        for problem in reading.problems:
            message = f"A test of {column.name}: {problem.message}"
            yield Problem(problem.rule, message, problem.remedy, problem.value)
        identity = (reading.name, reading.arguments, reading.properties.get("name"))
        if not reading.problems and identity in seen:
            message = f"A test of {column.name}: {reading.name} stands twice with the same arguments."
            yield Problem("column_test", message, "Keep one of them.", reading.name)
        seen.append(identity)


class _Reading:
    """One data test while it is read: what dbt gets, and what is wrong.

    Args:
        name: Name of the test.
        scope: What it may refer to.
    """

    def __init__(self, name: str, scope: TestScope) -> None:
        self.name = name
        self.arguments: dict[str, Any] = {}
        self.properties: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._scope = scope

    @classmethod
    def of(cls, test: str | Mapping[str, Any], scope: TestScope) -> _Reading:
        """Read a test as the row holds it: a name, or a mapping of one name to its arguments and properties."""
        if not isinstance(test, str) and len(test) != 1:
            reading = cls(", ".join(map(str, test)), scope)
            reading._refuse("it is not the name of one test.", "Write not_null, or a mapping of one name.")
            return reading
        name, given = (test, None) if isinstance(test, str) else next(iter(test.items()))
        reading = cls(name, scope)
        signature = scope.signatures.get(name)
        if signature is None:
            guess = did_you_mean(name, scope.signatures)
            remedy = f"Use one of {listed(scope.signatures)}, or declare it in dbt_project/data_tests.yml."
            reading._refuse(f"{name!r} is not a known data test.", guess or remedy)
        elif given is not None and not isinstance(given, Mapping):
            reading._refuse(f"{name} is not followed by a mapping.", "Write {argument: value}, or the name alone.")
        else:
            reading._read(signature, dict(given or {}))
        return reading

    def _refuse(self, message: str, remedy: str, value: object = None) -> None:
        shown = self.name if value is None else str(value)
        self.problems.append(Problem("column_test", message, remedy, shown))

    def _read(self, signature: Signature, given: dict[str, Any]) -> None:
        self._read_properties({name: given.pop(name) for name in _PROPERTIES[:-1] if name in given})
        nested = given.pop("arguments", None) or {}
        if not isinstance(nested, Mapping):
            self._refuse("arguments is not a mapping.", "Write arguments: {name: value}.")
            return
        arguments = {**given, **nested}
        for name in arguments.keys() - signature.arguments.keys():
            known = listed(signature.arguments) or "no arguments"
            remedy = did_you_mean(str(name), signature.arguments) or f"{self.name} takes {known}."
            self._refuse(f"{self.name} takes no argument {str(name)!r}.", remedy, name)
        for name, argument in signature.arguments.items():
            if name in arguments:
                self._read_argument(name, argument, arguments[name])
            elif argument.is_required:
                self._refuse(f"{self.name} needs the argument {name}.", f"Add {name}: a {argument.shown}.")
        if self.name == ACCEPTED_VALUES and not self.problems:
            self._check_unquoted(arguments)

    def _check_unquoted(self, arguments: Mapping[str, Any]) -> None:
        """Text among values that dbt does not quote would be SQL."""
        if arguments.get("quote", True) is False and any(isinstance(value, str) for value in arguments["values"]):
            remedy = "Leave quote out, or list numbers and booleans only."
            self._refuse("values without quotes hold text, which would run as SQL.", remedy)

    def _read_properties(self, given: Mapping[str, Any]) -> None:
        name, description, config = given.get("name"), given.get("description"), given.get("config") or {}
        if name is not None:
            self._read_name(name)
        if description is not None and not isinstance(description, str):
            self._refuse("its description is not text.", "Put the description in quotes.")
        elif description:
            self.properties["description"] = escape_jinja(description)
        if not isinstance(config, Mapping):
            self._refuse("its config is not a mapping.", "Write config: {severity: warn}.")
        elif config:
            self._read_config(config)

    def _read_name(self, name: object) -> None:
        if not isinstance(name, str) or not is_identifier(name):
            remedy = "Use lower case letters, digits and '_', at most 63, not a digit first."
            self._refuse("its name is not a valid name.", remedy, name)
            return
        full = f"{self._scope.row.name.model_name}__{name}"
        if any(full == row.name.model_name for row in self._scope.rows.transformations):
            self._refuse(f"its name would be {full}, like that of a model.", "Choose another name.", name)
        self.properties["name"] = full

    def _read_config(self, config: Mapping[str, Any]) -> None:
        for key in config.keys() - {"severity", "where"}:
            remedy = "Only severity and where may be set in a row; set others in dbt_project.yml, under data_tests."
            self._refuse(f"its config holds {str(key)!r}.", remedy, key)
        written: dict[str, Any] = {}
        severity, where = config.get("severity"), config.get("where")
        if severity is not None and severity not in _SEVERITIES:
            self._refuse(f"its severity is none of {listed(_SEVERITIES)}.", "Write warn or error.", severity)
        elif severity is not None:
            written["severity"] = severity
        if where is not None and self._is_condition(where):
            written["where"] = where.replace("\\", "\\\\")  # dbt pastes it into a string of Jinja
        self.properties["config"] = written

    def _is_condition(self, where: object) -> bool:
        if not isinstance(where, str) or _JINJA_MARK.search(where) or len(where) > _MAX_TEXT:
            self._refuse("its where is not one condition.", "Write one plain condition over the columns.", "where")
            return False
        from metadata_sync.sql.expressions import delete_when_problems

        row = self._scope.row
        columns = [column.name for column in (*row.column_list, *added_columns(row, self._scope.rows, row.column_list))]
        problems = delete_when_problems(where, self._scope.dialect, columns, self._scope.functions)
        for problem in problems:
            self._refuse(f"where: {problem.message}", problem.remedy, where)
        return not problems

    def _read_argument(self, name: str, argument: Argument, value: object) -> None:
        if not argument.is_list:
            self._set(name, argument, value)
        elif not isinstance(value, list | tuple) or not value or len(value) > _MAX_VALUES:
            self._refuse(f"{name} is not a {argument.shown}.", f"Write {name}: [first, second].", name)
        else:
            items = [self._written(name, argument, item) for item in value]
            if None not in items:
                self.arguments[name] = items

    def _set(self, name: str, argument: Argument, value: object) -> None:
        written = self._written(name, argument, value)
        if written is not None:
            self.arguments[name] = written

    def _written(self, name: str, argument: Argument, value: object) -> Any:
        """Return an argument's value as dbt gets it, or None when it is refused."""
        kind = argument.kind
        if kind == "table":
            return self._relation(name, value)
        if not argument.accepts(value):
            self._refuse(f"{name} is not a {argument.shown}.", f"Write a {kind} as {name}.", value)
            return None
        if not isinstance(value, str) or kind == "column":
            return value
        if _EVALUATED.fullmatch(value) or len(value) > _MAX_TEXT:
            self._refuse(f"{name} holds an expression that dbt would evaluate.", "Write plain values.", value)
            return None
        text = sql_text(value, self._scope.dialect)
        return escape_jinja(text if self.name == ACCEPTED_VALUES else f"'{text}'")

    def _relation(self, name: str, value: object) -> str | None:
        """Turn `schema.table` into dbt's ref or source."""
        try:
            table = TableName.parse(str(value))
        except ValueError:
            self._refuse(f"{name} is not schema.table.", "Write the name of a source or of a target.", value)
            return None
        rows = self._scope.rows
        if rows.transformation(table) is not None:
            return f"ref('{table.model_name}')"
        if rows.source(table) is not None:
            return f"source('{table.schema}', '{table.table}')"
        known = [row.key for row in (*rows.sources, *rows.transformations)]
        remedy = did_you_mean(str(table), known) or "Declare it under sources or transformations."
        self._refuse(f"{name} names {table}, which is neither a source nor a target.", remedy, value)
        return None


def sql_text(text: str, dialect: str) -> str:
    r"""Escape text for the inside of an SQL string literal; the macro `literal` does the same.

    >>> sql_text("O'Hare", "duckdb"), sql_text("a\\b", "redshift")
    ("O''Hare", 'a\\\\b')
    """
    escaped = text.replace("'", "''")
    return escaped.replace("\\", "\\\\") if dialect == "redshift" else escaped
