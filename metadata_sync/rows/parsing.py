"""Parse untyped values of a file, a table or a command line to a typed row and its faults."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from metadata_sync.errors import Fault
from metadata_sync.problems import did_you_mean
from metadata_sync.rows.forms import form_problem, keys_at, missing_remedy
from metadata_sync.rows.model import ControlRow

MAX_WHOLE: Final = 2**63 - 1
MAX_SHOWN: Final = 200
"""Maximum characters of a value in a message."""

_UNSTORABLE_CHARACTER: Final = re.compile("[\x00\ud800-\udfff]")

_BRANCHES: Final = frozenset({"str", "int", "datetime"})
"""Parts of a place that name a type that a value may have, and no key."""

Row = TypeVar("Row", bound=ControlRow)


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Row]):
    """A typed row and the faults of its values.

    Attributes:
        row: The row; faulty columns have their defaults, so that the row can be validated further. None when a faulty
            column has no default.
        faults: All faults.
    """

    row: Row | None
    faults: tuple[Fault, ...]


@cache
def column_names(row_type: type[ControlRow]) -> tuple[str, ...]:
    """Return the columns of a control table, as named in YAML and in the database."""
    return tuple(field.alias or name for name, field in row_type.model_fields.items())


def parse_row(row_type: type[Row], values: Mapping[str, Any], key: str, where: str = "") -> Parsed[Row]:
    """Parse a typed row.

    Args:
        row_type: The row's type, one per control table.
        values: Column → value; other columns get their defaults.
        key: The row's key for messages; it may be invalid.
        where: File and line of the values, e.g. `control/flights.yml:12`.

    Returns:
        The row and its faults.
    """
    place = f" ({where})" if where else ""
    faults = [_unknown_column(row_type, key, name, place) for name in values if name not in column_names(row_type)]
    known = {name: value for name, value in values.items() if name in column_names(row_type)}
    unstorable = [name for name, value in known.items() if not _is_storable(value)]
    faults += [_unstorable(row_type, key, name, known.pop(name), place) for name in unstorable]
    row, errors = _validate(row_type, known)
    guessed = {fault.remedy for fault in faults}
    faults += [
        fault
        for fault in _typed_faults(row_type, key, errors, place)
        if fault.rule != "missing_value" or f"Did you mean {fault.column!r}?" not in guessed
    ]
    if row is None:
        bad = {str(error["loc"][0]) for error in errors if error["loc"]}
        row, _ = _validate(row_type, {name: value for name, value in known.items() if name not in bad})
    return Parsed(row, tuple(faults))


def parse_stored_row(row_type: type[Row], values: Mapping[str, Any]) -> Row | None:
    """Parse a row that the database has stored, or return None; `parse_row` then returns the faults.

    Stored values have been through JSON, so one validation is enough.

    Args:
        row_type: The row's type, one per control table.
        values: Column → value.
    """
    try:
        return row_type.model_validate(values)
    except ValidationError:
        return None


def key_of(row_type: type[ControlRow], values: Mapping[str, Any]) -> str:
    """Return a row's key, with a question mark for missing parts."""
    return ".".join(str(values.get(name, "?"))[:MAX_SHOWN] for name in row_type.key_columns)


def shown(value: Any) -> str | None:
    """Return a value for a message, shortened; None stays None."""
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text)} characters)"


def _validate(row_type: type[Row], values: Mapping[str, Any]) -> tuple[Row | None, list[ErrorDetails]]:
    try:
        row = row_type.model_validate(dict(values))
        # Through JSON, as it will be stored: a date in a list of tests becomes text.
        return row_type.model_validate(row.model_dump(mode="json", by_alias=True, exclude_unset=True)), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _is_storable(value: Any) -> bool:
    """Tell whether both databases can store a value: text without NUL, integers of 64 bits, finite numbers."""
    try:
        return all(_is_storable_leaf(leaf) for leaf in _leaves(value))
    except (RecursionError, PydanticSerializationError):
        return False


def _is_storable_leaf(leaf: object) -> bool:
    if isinstance(leaf, str):
        return _UNSTORABLE_CHARACTER.search(leaf) is None
    if isinstance(leaf, bool) or not isinstance(leaf, int):
        return not isinstance(leaf, bytes) and not (isinstance(leaf, float) and not math.isfinite(leaf))
    return -MAX_WHOLE <= leaf <= MAX_WHOLE


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from _leaves(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _unknown_column(row_type: type[ControlRow], key: str, name: str, place: str) -> Fault:
    guess = did_you_mean(name, column_names(row_type))
    return Fault(
        table=row_type.control_table,
        key=key,
        column=shown(name),
        value=None,
        rule="unknown_column",
        message=f"There is no such column{place}.",
        remedy=guess or f"Columns are: {', '.join(column_names(row_type))}.",
    )


def _unstorable(row_type: type[ControlRow], key: str, name: str, value: Any, place: str) -> Fault:
    return Fault(
        table=row_type.control_table,
        key=key,
        column=name,
        value=shown(value),
        rule="unstorable_value",
        message=f"Holds a NUL, half a surrogate pair, bytes, or a number beyond 64 bits{place}.",
        remedy="Write plain text or an ordinary number.",
    )


def _typed_fault(row_type: type[ControlRow], key: str, error: ErrorDetails, place: str) -> Fault:
    column = _path(error["loc"])
    known = _words(error)
    value = shown(error["input"])
    if error["type"] == "missing":
        rule, message, value = "missing_value", f"A value is required{place}.", None
        remedy = missing_remedy(row_type, error["loc"])
    elif error["type"] == "extra_forbidden":
        rule, message, value = "unknown_key", f"There is no such key{place}.", None
        keys = keys_at(row_type, error["loc"][:-1])
        remedy = did_you_mean(str(error["loc"][-1]), keys) or f"The keys here are: {', '.join(keys)}."
    elif known:
        rule, message = "unknown_word", f"Is none of: {', '.join(known)}{place}."
        remedy = did_you_mean(str(error["input"]), known) or "Use one of these words."
    else:
        said, remedy = form_problem(error)
        rule, message = "wrong_type", f"{said}{place}."
    return Fault(row_type.control_table, key, column, value, rule, message, remedy)


def _words(error: ErrorDetails) -> list[str]:
    if error["type"] != "enum":
        return []
    expected = str(error.get("ctx", {}).get("expected", ""))
    return [word.strip(" '") for word in expected.replace(" or ", ", ").split(",")]


def _typed_faults(row_type: type[ControlRow], key: str, errors: Sequence[ErrorDetails], place: str) -> list[Fault]:
    """Return the faults of a row's values: one for each value, and none for what a misspelled key leaves open."""
    faults = [_typed_fault(row_type, key, error, place) for error in errors]
    misspelled = {
        (fault.column or "").rpartition(".")[0] + "." + fault.remedy.removeprefix("Did you mean '").removesuffix("'?")
        for fault in faults
        if fault.rule == "unknown_key"
    }
    kept: dict[str | None, Fault] = {}
    for fault in faults:
        if fault.rule != "missing_value" or fault.column not in misspelled:
            kept.setdefault(fault.column, fault)
    return list(kept.values())


def _path(location: tuple[int | str, ...]) -> str:
    """Return the path of a value in a row, e.g. `dependencies[0].table`, without pydantic's union branches."""
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        elif (step.isidentifier() and step not in _BRANCHES) or not text:
            text += f".{step}" if text else step
    return shown(text) or ""
