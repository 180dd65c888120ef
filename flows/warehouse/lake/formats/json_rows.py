"""Records of JSON files: one object per line, or one array of objects, as a file's first character tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final, NoReturn

from flows.warehouse.lake.formats.nested import NestedType, nested_type, shaped
from flows.warehouse.lake.formats.rows import Kind, Record, TellBad
from metadata_sync.rows.model import SourceRow

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_SHOWN: Final = 2_000


class Number(str):
    """A number, as the file writes it: no digit is lost."""

    __slots__ = ()


class JsonRows:
    """Reads one JSON file; see `RowReader`.

    Args:
        source: The source.
    """

    def __init__(self, source: SourceRow) -> None:
        self.names: list[str] = []
        self.kinds: list[Kind] = []
        self._places: dict[str, int] = {}
        self._nested: dict[str, NestedType] = {}
        for column in source.columns:
            type_ = nested_type(column.type)
            if type_ is not None:
                self._nested[column.name.lower()] = type_

    def records(self, text: IO[str], tell_bad: TellBad) -> Iterator[Record]:
        """Yield the objects of a file."""
        for line, found, source in self._values(text, tell_bad):
            if not isinstance(found, dict):
                tell_bad(line, f"it is {_what(found)}, and no object", source[:_SHOWN])
                continue
            try:
                yield line, self._record(found)
            except ValueError as error:
                tell_bad(line, str(error), source[:_SHOWN])

    def _values(self, text: IO[str], tell_bad: TellBad) -> Iterator[tuple[int, Any, str]]:
        lines = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        for number, line in lines:
            if line.lstrip().startswith("["):
                yield from _elements(number, line + text.read())
                return
            yield from _line(number, line, tell_bad)
            break
        for number, line in lines:
            yield from _line(number, line, tell_bad)

    def _record(self, found: dict[str, Any]) -> list[str | None]:
        values: list[str | None] = [None] * len(self.names)
        for name, value in found.items():
            place = self._places.get(name)
            if place is None:
                place = self._new_place(name)
                if place == len(values):
                    values.append(None)
            if value is None:
                continue
            if values[place] is not None:
                raise ValueError(f"an object names the field {self.names[place]!r} twice, in other letters")
            kind, values[place] = self._text(place, value)
            self.kinds[place] |= kind
        return values

    def _new_place(self, name: str) -> int:
        """Return the place of a name that was not met before; case does not count."""
        if not name.strip():
            raise ValueError("one of its fields has no name")
        folded = name.lower()
        place = self._places.setdefault(folded, len(self.names))
        if place == len(self.names):
            self.names.append(name)
            self.kinds.append(Kind.NONE)
        self._places[name] = place
        return place

    def _text(self, place: int, value: Any) -> tuple[Kind, str]:
        declared = self._nested.get(self.names[place].lower()) if self._nested else None
        if declared is not None:
            return Kind.NESTED, json_text(shaped(value, declared, self.names[place]))
        if isinstance(value, Number):
            return Kind.NUMBER, str(value)
        if isinstance(value, str):
            return Kind.STRING, value
        if isinstance(value, bool):
            return Kind.BOOLEAN, "true" if value else "false"
        return Kind.NESTED, json_text(value)


def _line(number: int, line: str, tell_bad: TellBad) -> Iterator[tuple[int, Any, str]]:
    try:
        yield number, _DECODER.decode(line), line.rstrip("\r\n")
    except (ValueError, RecursionError) as error:
        tell_bad(number, f"it is no JSON: {_message(error)}", line.rstrip("\r\n")[:_SHOWN])


def _elements(first_line: int, text: str) -> Iterator[tuple[int, Any, str]]:
    """Yield the elements of an array, each with its line.

    Raises:
        ValueError: When the text is not one array: the rest of it cannot be told apart.
    """
    line, counted = first_line, 0
    at = _skip(text, text.index("[") + 1)
    if text[at : at + 1] == "]":
        at += 1
    else:
        while True:
            line, counted = line + text.count("\n", counted, at), at
            try:
                value, end = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"its array breaks off in line {line}: {_message(error)}") from error
            yield line, value, text[at:end]
            at = _skip(text, end)
            mark = text[at : at + 1]
            at = _skip(text, at + 1)
            if mark == "]":
                break
            if mark != ",":
                raise ValueError(f"its array breaks off in line {line + text.count(chr(10), counted, at)}")
    if _skip(text, at) != len(text):
        raise ValueError("more follows its array")


def _skip(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _message(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no value of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a field twice")
    return found


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=_refuse_constant
)


def json_text(value: Any) -> str:
    """Return a parsed value as JSON again, numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{json_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _what(value: Any) -> str:
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, list):
        return "an array"
    return "null" if value is None else "a string" if isinstance(value, str) else "a boolean"
