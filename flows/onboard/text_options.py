"""How a text file is written, read off its beginning: encoding, delimiter, decimal sign, dates. Pure but for `look`."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import lzma
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from metadata_sync.rows.model import FormatOptions

_DELIMITERS: Final = (";", "\t", "|")
_BEGINNING: Final = 8_000_000
"""Bytes of a file that are looked at for its encoding."""
_RECORDS: Final = 2_000
"""Records that are looked at for numbers and dates."""

_PACKED: Final[tuple[tuple[bytes, Callable[..., Any]], ...]] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
)
_WIDE: Final = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WESTERN: Final = "cp1252"

_WITH_COMMA: Final = re.compile(r"-?(?:0|[1-9][0-9]*),[0-9]+")
_WITH_POINT: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_DAY: Final = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})\2([0-9]{4})(?: ([0-9]{1,2}:[0-9]{2})(:[0-9]{2})?)?")
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T].*)?")
_MONTHS: Final = 12


_SURE: Final = 0.95
_GUESSED: Final = 0.6


@dataclass(frozen=True, slots=True)
class Written:
    """How a text file is written.

    Attributes:
        options: The options that say so.
        confidence: From 0 to 1.
        evidence: Why.
    """

    options: FormatOptions
    confidence: float
    evidence: str


def look(path: Path) -> Written | None:
    """Return how a CSV file is written; None: as it is expected without any option.

    Args:
        path: The file, which may be packed.
    """
    with path.open("rb") as file:
        head = file.read(8)
    unpack = next((unpack for magic, unpack in _PACKED if head.startswith(magic)), None)
    with path.open("rb") if unpack is None else unpack(path, "rb") as file:
        beginning = file.read(_BEGINNING)
    options = options_of(beginning)
    if options is None:
        return None
    if options.encoding != _WESTERN:
        return Written(options, _SURE, f"as the beginning of {path.name} is written")
    shown = _first_word_beyond_ascii(beginning)
    return Written(
        options, _GUESSED, f"{path.name} is no UTF-8; as Western Windows wrote it, it says {shown!r}: look at it"
    )


def _first_word_beyond_ascii(beginning: bytes) -> str:
    found = re.search(rb"[\w\x80-\xff]*[\x80-\xff][\w\x80-\xff]*", beginning)
    return "" if found is None else found[0].decode(_WESTERN)


def options_of(beginning: bytes) -> FormatOptions | None:
    r"""Return how a CSV file is written, by its first bytes; None: as it is expected without any option.

    >>> options_of(b"id;v\n1;1,5\n2;2,25\n").model_dump(exclude_defaults=True)
    {'delimiter': ';', 'decimal': ','}
    >>> options_of("name\nJosé\n".encode("cp1252")).encoding
    'cp1252'
    >>> options_of(b"id,day\n1,2024-01-31\n") is None
    True
    """
    encoding = encoding_of(beginning)
    text = beginning.decode(encoding or "utf-8", errors="replace").removeprefix("\ufeff")
    delimiter = delimiter_of(text)
    columns = _columns(text, delimiter or ",")
    found = {
        "delimiter": delimiter,
        "encoding": encoding,
        "decimal": "," if delimiter and _has_decimal_commas(columns) else None,
        **_date_formats(columns),
    }
    told = {name: value for name, value in found.items() if value is not None}
    return FormatOptions.model_validate(told) if told else None


def encoding_of(beginning: bytes) -> str | None:
    """Return the encoding of a text that is not UTF-8: by its mark, else the one of Western Windows, if it fits."""
    wide = next((name for mark, name in _WIDE if beginning.startswith(mark)), None)
    if wide is not None:
        return wide
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return _WESTERN if b"\0" not in beginning and _is_western(beginning) else None
    return None


def _is_western(beginning: bytes) -> bool:
    try:
        beginning.decode(_WESTERN)
    except UnicodeDecodeError:
        return False
    return True


def delimiter_of(text: str) -> str | None:
    r"""Return what separates the fields of a text whose header has no comma; None: a comma, or there is one column.

    >>> delimiter_of("id;name\n1;x\n"), delimiter_of("id,a|b\n"), delimiter_of("id\n1|2\n"), delimiter_of("a|b\n")
    (';', None, None, '|')
    """
    lines = [re.sub(r'"[^"]*"', "", line) for line in text[:100_000].splitlines()[:2]]
    if not lines or "," in lines[0]:
        return None
    counts = {sign: {line.count(sign) for line in lines} for sign in _DELIMITERS}
    found = [sign for sign, numbers in counts.items() if len(numbers) == 1 and numbers != {0}]
    return found[0] if len(found) == 1 else None


def _columns(text: str, delimiter: str) -> list[list[str]]:
    """Return the values of each column in the first records, without those that are empty."""
    records = csv.reader(text.splitlines()[: _RECORDS + 1], delimiter=delimiter)
    try:
        header = next(records, [])
        columns: list[list[str]] = [[] for _ in header]
        for record in records:
            for place, value in enumerate(record[: len(header)]):
                if value.strip():
                    columns[place].append(value.strip())
    except csv.Error:  # a field beyond the module's limit: the load tells what is wrong with it
        return []
    return columns


def _has_decimal_commas(columns: Iterable[Sequence[str]]) -> bool:
    """Whether some column holds numbers such as 1,5, and none numbers such as 1.5."""
    all_of = [{_kind(value) for value in values} for values in columns if values]
    return any("comma" in kinds and kinds <= {"comma", "whole"} for kinds in all_of) and not any(
        "point" in kinds and kinds <= {"point", "whole"} for kinds in all_of
    )


def _kind(value: str) -> str:
    if _WITH_COMMA.fullmatch(value):
        return "comma"
    if _WITH_POINT.fullmatch(value):
        return "point"
    return "whole" if re.fullmatch(r"-?(?:0|[1-9][0-9]*)", value) else "text"


def _date_formats(columns: Iterable[Sequence[str]]) -> dict[str, str | None]:
    """Return the forms of dates and timestamps, where all that are no ISO 8601 have the same one beyond doubt."""
    forms: dict[str, set[str | None]] = {"date_format": set(), "timestamp_format": set()}
    for values in columns:
        if values and all(_ISO.fullmatch(value) for value in values):
            forms["timestamp_format" if ":" in values[0] else "date_format"].add(None)
            continue
        days = [_DAY.fullmatch(value) for value in values]
        found = [day for day in days if day is not None]
        if found and len(found) == len(days):
            forms["timestamp_format" if found[0][5] else "date_format"].add(_form(found))
    return {name: next(iter(found)) if len(found) == 1 else None for name, found in forms.items()}


def _form(days: Sequence[re.Match[str]]) -> str | None:
    """Return the form of a column's dates; None: which number is the month is not certain, or they differ."""
    signs = {(day[2], bool(day[5]), bool(day[6])) for day in days}
    if len(signs) != 1:
        return None
    sign, has_time, has_seconds = next(iter(signs))
    is_day_first = sign == "." or any(int(day[1]) > _MONTHS for day in days)
    is_month_first = any(int(day[3]) > _MONTHS for day in days)
    if is_day_first == is_month_first:
        return None
    date = sign.join(("%d", "%m", "%Y") if is_day_first else ("%m", "%d", "%Y"))
    return date + (" %H:%M" if has_time else "") + (":%S" if has_seconds else "")
