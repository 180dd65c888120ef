"""What form a value of a row has: what to say of another one, in the words of who writes the YAML."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from metadata_sync.rows.model import ControlRow

_DEPENDENCY: Final = "{table: shop.orders, driving: true}"
_EXAMPLES: Final = {
    "dependencies": _DEPENDENCY,
    "column_list": "{name: city, type: varchar(50)}",
    "columns": "{city: varchar, changed_at: timestamp}",
    "tests": "not_null",
    "format_options": '{delimiter: ";"}',
    "backfill_start": "2024-01-31 00:00:00",
}
"""A value of a column, or an element of a list, as it is written."""

_LIMITS: Final = {
    "greater_than_equal": ("Is less than {ge}", "at least {ge}"),
    "greater_than": ("Is not more than {gt}", "more than {gt}"),
    "less_than_equal": ("Is more than {le}", "at most {le}"),
    "less_than": ("Is not less than {lt}", "less than {lt}"),
}


def form_problem(error: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong with the form of a value, and the remedy.

    Args:
        error: What the validator says.

    Returns:
        The problem without its full stop, and a sentence.
    """
    kind, given, name = error["type"], error["input"], _name(error["loc"])
    if kind in _LIMITS:
        message, remedy = _LIMITS[kind]
        context = error.get("ctx", {})
        return message.format_map(context), f"Write a number of {remedy.format_map(context)}."
    if _is_in_union(error["loc"]) or kind.startswith(("datetime", "date_")):
        return _of_union(name)
    for beginnings, say in _FORMS:
        if kind.startswith(beginnings):
            return say(name, given)
    return "Has not the form of this column", f"Write {_example(name)}" if name in _EXAMPLES else "Correct the value."


def missing_remedy(row_type: type[ControlRow], location: Sequence[int | str]) -> str:
    """Return how a missing value is written.

    >>> from metadata_sync.rows.model import TransformationRow
    >>> missing_remedy(TransformationRow, ("load_type",))
    'Write load_type: with one of scd1, scd2, append.'
    >>> missing_remedy(TransformationRow, ("dependencies", 0, "driving"))
    'Write driving: true or driving: false, as in {table: shop.orders, driving: true}'
    """
    name = _name(location)
    annotation = _annotation(row_type, location)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return f"Write {name}: with one of {', '.join(annotation)}."
    wanted = f"{name}: true or {name}: false" if annotation is bool else f"{name}: with a value"
    parent = str(location[0])
    return (
        f"Write {wanted}, as in {_EXAMPLES[parent]}"
        if len(location) > 1 and parent in _EXAMPLES
        else f"Write {wanted}."
    )


def keys_at(row_type: type[ControlRow], location: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys of the part of a row that stands at a place.

    >>> from metadata_sync.rows.model import TransformationRow
    >>> keys_at(TransformationRow, ("column_list", 0))
    ('name', 'type', 'description', 'tests', 'tags')
    """
    found = _model(_annotation(row_type, location)) or row_type
    return tuple(field.alias or name for name, field in found.model_fields.items())


def _annotation(row_type: type[BaseModel], location: Iterable[int | str]) -> Any:
    """Return the type of the part at a place."""
    current: Any = row_type
    for step in location:
        model = _model(current)
        if isinstance(step, str) and model is not None:
            field = next((item for name, item in model.model_fields.items() if step in (name, item.alias)), None)
            current = None if field is None else field.annotation
    return current


def _model(annotation: Any) -> type[BaseModel] | None:
    """Return the model in a type: of a list its elements', of a choice the one that is a model."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, typing.Union, types.UnionType):
        return next(filter(None, map(_model, typing.get_args(annotation))), None)
    return None


def _name(location: Sequence[int | str]) -> str:
    names = [step for step in location if isinstance(step, str) and step.isidentifier() and step not in ("str", "int")]
    return names[-1] if names else ""


def _is_in_union(location: Sequence[int | str]) -> bool:
    return len(location) > 1 and str(location[-1]).startswith(("str", "dict", "datetime", "int"))


def _of_union(name: str) -> tuple[str, str]:
    if name == "tests":
        return (
            "Is neither the name of a test nor a mapping",
            "Write tests: [not_null], or tests: [{accepted_values: {values: [a, b]}}]",
        )
    return "Is neither a time nor a whole number", f"Write {name}: {_EXAMPLES.get(name, '7')}, or a number"


def _of_text(name: str, given: Any) -> tuple[str, str]:
    if isinstance(given, list | tuple | dict):
        return f"Is {_called(given)}, and one text belongs here", f"Write {name}: with one text."
    if given is None:
        return "Is empty, and a text belongs here", f"Write {name}: with a text."
    return f"Is {_called(given)}, and a text belongs here", f'Put it in quotes: {name}: "{given}"'


def _called(given: Any) -> str:
    if isinstance(given, bool):
        return "true or false to YAML"
    if isinstance(given, int | float):
        return "a number"
    if isinstance(given, dict):
        return "a mapping"
    if isinstance(given, list | tuple):
        return "a list"
    return "empty" if given is None else "a single word" if isinstance(given, str) else "a date or a time"


def _elements(name: str, given: Any) -> str:
    """Return the value as elements of a list."""
    if name == "dependencies":
        table = given if isinstance(given, str) and "." in given else "shop.orders"
        return f"{{table: {table}, driving: true}}"
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    return ", ".join(part.strip() for part in str(given).split(",")) if isinstance(given, str) else "first, second"


def _example(name: str) -> str:
    return _EXAMPLES.get(name, f"{name}: {{key: value}}")


def _of_list(name: str, given: Any) -> tuple[str, str]:
    return "Is one value, and a list belongs here", f"Write {name}: [{_elements(name, given)}]"


def _of_bool(name: str, _: Any) -> tuple[str, str]:
    return "Is neither true nor false", f"Write {name}: true, or {name}: false"


def _of_number(name: str, _: Any) -> tuple[str, str]:
    return "Is not a whole number", f"Write it without a unit and without a fraction: {name}: 120"


def _of_mapping(name: str, given: Any) -> tuple[str, str]:
    return f"Is {_called(given)}, and a mapping belongs here", f"Write {_example(name)}"


_FORMS: Final = (
    (("tuple", "list"), _of_list),
    (("bool",), _of_bool),
    (("string",), _of_text),
    (("int", "decimal", "finite", "float"), _of_number),
    (("model", "dict", "mapping"), _of_mapping),
)
"""How the validator's words for a wrong form begin, and what to say."""
