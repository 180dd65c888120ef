"""Policies of a team: what its rows must say beyond what Sluice itself demands, in `policies.yml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metadata_sync.analysis.unit_tests import test_file_path
from metadata_sync.errors import ConfigurationError, Fault
from metadata_sync.problems import did_you_mean, listed
from metadata_sync.project import Project
from metadata_sync.rows.model import ControlRow, ControlRows, PipelineRow, SourceRow, TransformationRow

FILE: Final = "policies.yml"

_ROWS: Final[Mapping[str, type[ControlRow]]] = {
    "sources": SourceRow,
    "pipelines": PipelineRow,
    "transformations": TransformationRow,
}
_DERIVED: Final = {
    "owner": "Its pipeline has no owner.",
    "column_tests": "None of its columns has a data test.",
    "column_descriptions": "Not every column of it has a description.",
    "unit_test": "It has no test file.",
}
"""What a transformation can be asked for beside its own columns, and what it lacks then."""


class Severity(StrEnum):
    """What breaking a policy does to `sluice ci`."""

    ERROR = "error"
    WARN = "warn"


class Policy(BaseModel):
    """One policy.

    Attributes:
        name: What it is called in messages.
        rows: `sources`, `pipelines` or `transformations`.
        where: Column → value or list of values: the rows that it holds for; empty: all.
        require: Columns that must say something.
        allow: Column → the values that it may have.
        matches: Column → regular expression that its whole text must match.
        at_most: Column → greatest number.
        severity: `error` fails `sluice ci`, `warn` is told.
        reason: Why, for the person who breaks it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    rows: str
    where: dict[str, Any] = {}
    require: tuple[str, ...] = ()
    allow: dict[str, list[Any]] = {}
    matches: dict[str, str] = {}
    at_most: dict[str, float] = {}
    severity: Severity = Severity.ERROR
    reason: str = ""

    @property
    def columns(self) -> Iterator[str]:
        """All columns that it names."""
        yield from (*self.where, *self.require, *self.allow, *self.matches, *self.at_most)


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that breaks a policy."""

    policy: Policy
    fault: Fault


def read_policies(project: Project) -> tuple[Policy, ...]:
    """Read the team's policies; none when there is no such file.

    Raises:
        ConfigurationError: When the file cannot be read, or a policy says what no row has.
    """
    path = project.dbt_dir / FILE
    if not path.exists():
        return ()
    shown = path.relative_to(project.root)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{shown} cannot be read: {' '.join(str(error).split())}.", "Correct it.") from error
    listed_policies = document.get("policies") if isinstance(document, dict) else None
    if not isinstance(listed_policies, list) or set(document) != {"policies"}:
        raise ConfigurationError(f"{shown} has no list `policies:` alone.", "Write policies: [{name: …, rows: …}].")
    return tuple(_policy(item, f"{shown}, policy {number}") for number, item in enumerate(listed_policies, 1))


def _policy(given: Any, place: str) -> Policy:
    values = dict(given) if isinstance(given, dict) else given
    if isinstance(values, dict) and isinstance(values.get("require"), str):
        values["require"] = [values["require"]]
    try:
        policy = Policy.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        hint = did_you_mean(str(first["loc"][0]), Policy.model_fields) if first["loc"] else ""
        raise ConfigurationError(f"{place}: {where}: {first['msg']}.", hint or "Correct it.") from error
    if policy.rows not in _ROWS:
        raise ConfigurationError(f"{place}: rows: {policy.rows!r} is none of {', '.join(_ROWS)}.", "Correct it.")
    _refuse_unknown(policy, place)
    return policy


def _refuse_unknown(policy: Policy, place: str) -> None:
    known = [*_columns(_ROWS[policy.rows]), *(_DERIVED if policy.rows == "transformations" else ())]
    unknown = next((name for name in policy.columns if name not in known), None)
    if unknown is not None:
        hint = did_you_mean(unknown, known) or f"They have: {listed(sorted(known), limit=60)}."
        raise ConfigurationError(f"{place}: {policy.rows} have no {unknown!r}.", hint)
    if not (policy.require or policy.allow or policy.matches or policy.at_most):
        raise ConfigurationError(f"{place} demands nothing.", "Add require, allow, matches or at_most.")
    for column, pattern in policy.matches.items():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigurationError(
                f"{place}: matches.{column} is no regular expression: {error}.", "Correct it."
            ) from error


def _columns(row_type: type[ControlRow]) -> Mapping[str, str]:
    """Return column → field of a kind of row."""
    return {field.alias or name: name for name, field in row_type.model_fields.items()}


def find_broken(rows: ControlRows, policies: Sequence[Policy], project: Project) -> Iterator[Broken]:
    """Yield the rows that break a policy.

    Args:
        rows: All rows of the environment.
        policies: The policies.
        project: The project, for its test files.
    """
    for policy in policies:
        for row in getattr(rows, policy.rows):
            values = _Values(row, rows, project)
            if all(_is_one_of(values[column], wanted) for column, wanted in policy.where.items()):
                for column, message in _broken_demands(policy, values):
                    remedy = policy.reason or f"The policy {policy.name!r} of {FILE} demands it."
                    fault = Fault(row.control_table, row.key, column, None, f"policy: {policy.name}", message, remedy)
                    yield Broken(policy, fault)


class _Values:
    """What a row says, by column."""

    def __init__(self, row: ControlRow, rows: ControlRows, project: Project) -> None:
        self._row = row
        self._rows = rows
        self._project = project
        self._fields = _columns(type(row))

    def has_column(self, column: str) -> bool:
        """Whether the row itself has a column."""
        return column in self._fields

    def __getitem__(self, column: str) -> Any:
        row = self._row
        if column in self._fields:
            return getattr(row, self._fields[column])
        assert isinstance(row, TransformationRow)
        if column == "owner":
            pipeline = self._rows.pipeline(row.pipeline_id)
            return pipeline.owner if pipeline is not None else None
        if column == "column_tests":
            return any(item.tests for item in row.column_list)
        if column == "column_descriptions":
            return bool(row.column_list) and all(item.description for item in row.column_list)
        return test_file_path(self._project, row.name).exists()


def _broken_demands(policy: Policy, values: _Values) -> Iterator[tuple[str, str]]:
    for column in policy.require:
        if values[column] in (None, "", (), False):
            yield column, f"It has no {column}." if values.has_column(column) else _DERIVED[column]
    for column, allowed in policy.allow.items():
        if not _is_one_of(values[column], allowed):
            yield column, f"It is {values[column]}, and only {', '.join(map(str, allowed))} are allowed."
    for column, pattern in policy.matches.items():
        if re.fullmatch(pattern, str(values[column] or "")) is None:
            yield column, f"It is {str(values[column] or '')!r}, which does not match {pattern}."
    for column, most in policy.at_most.items():
        value = values[column]
        if not isinstance(value, int | float | Decimal) or value > most:
            yield column, f"It is {'not set' if value is None else value}, and at most {most:g} is allowed."


def _is_one_of(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, or one of them; words compare as YAML writes them."""
    wanted_list = wanted if isinstance(wanted, list) else [wanted]
    return any(value == item or (item is not None and str(value) == str(item)) for item in wanted_list)
