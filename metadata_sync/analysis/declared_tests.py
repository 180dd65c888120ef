"""The data tests that rows may name: dbt's own, and those of `dbt_project/data_tests.yml`, each with typed arguments.

data_tests:
in_range:                       # the project's macro {% test in_range(model, column_name, minimum, unit) %}
minimum: number
unit: text, optional          # a text argument arrives as an SQL literal, quotes included
dbt_utils.not_constant: {}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from metadata_sync.errors import ConfigurationError
from metadata_sync.problems import listed
from metadata_sync.project import Project
from metadata_sync.rows.names import is_identifier

FILE_NAME: Final = "data_tests.yml"
"""Below `dbt_project/`: whoever may change macros declares tests there; rows cannot."""

KINDS: Final = ("text", "number", "boolean", "scalar", "column", "table")
_TYPE: Final = re.compile(rf"(list of )?({'|'.join(KINDS)})(, optional)?")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_GIVEN_BY_DBT: Final = frozenset({"model", "column_name"})


@dataclass(frozen=True, slots=True)
class Argument:
    """The type of one argument of a data test.

    Attributes:
        kind: One of `KINDS`; scalar is text, a number or a boolean.
        is_list: Whether it takes a list of them.
        is_required: Whether it must be given.
    """

    kind: str
    is_list: bool = False
    is_required: bool = True

    @property
    def shown(self) -> str:
        """The type in words."""
        return f"list of {self.kind}" if self.is_list else self.kind

    def accepts(self, value: object) -> bool:
        """Tell whether one value is of the kind; tables are looked up by whoever asks."""
        if self.kind == "boolean":
            return isinstance(value, bool)
        if self.kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        if self.kind == "column":
            return isinstance(value, str) and is_identifier(value)
        return isinstance(value, str) or (self.kind == "scalar" and isinstance(value, int | float))


@dataclass(frozen=True, slots=True)
class Signature:
    """What a data test takes, beside the model and the column.

    Attributes:
        arguments: Type by name.
    """

    arguments: Mapping[str, Argument] = field(default_factory=dict)


OWN_TESTS: Final[Mapping[str, Signature]] = {
    "not_null": Signature(),
    "unique": Signature(),
    "accepted_values": Signature(
        {"values": Argument("scalar", is_list=True), "quote": Argument("boolean", is_required=False)}
    ),
    "relationships": Signature({"to": Argument("table"), "field": Argument("column")}),
}
"""dbt's own generic tests."""


def read_declared_tests(project: Project) -> dict[str, Signature]:
    """Read the tests that a project declares; none when there is no file.

    Raises:
        ConfigurationError: When the file does not declare tests as it should.
    """
    path = project.dbt_dir / FILE_NAME
    if not path.is_file():
        return {}
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", "Correct the file.") from error
    tests = document.get("data_tests") if isinstance(document, dict) else None
    if not isinstance(tests, dict) or len(document) != 1:
        raise ConfigurationError(f"{path} does not hold one mapping `data_tests`.", "See docs/transformations.md.")
    return {str(name): _signature(str(path), str(name), given) for name, given in tests.items()}


def _signature(path: str, name: str, given: object) -> Signature:
    if not _NAME.fullmatch(name) or name in OWN_TESTS:
        raise ConfigurationError(f"{path} declares {name!r}.", "Name a test of the project or of a package.", name)
    if not isinstance(given or {}, dict):
        raise ConfigurationError(f"{path}: {name} is not a mapping of arguments.", "Write {} for none.", name)
    arguments: dict[str, Argument] = {}
    for argument, type_ in dict(given or {}).items():  # type: ignore[call-overload] # a mapping, as was just checked
        match = _TYPE.fullmatch(str(type_))
        if match is None or not is_identifier(str(argument)) or argument in _GIVEN_BY_DBT:
            remedy = f"Write a type of {listed(KINDS)}, `list of` one, and `, optional` behind it."
            raise ConfigurationError(f"{path}: {name} declares {argument!r} as {type_!r}.", remedy, name)
        many, kind, optional = match.groups()
        arguments[str(argument)] = Argument(kind, is_list=bool(many), is_required=not optional)
    return Signature(arguments)
