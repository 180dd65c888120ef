"""Text files as they come, each with what is to be read of it; and sources that hold those which are written alike."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from flows.warehouse.lake.folder import list_folder, source_folder
from flows.warehouse.lake.footers import FooterMemory
from flows.warehouse.lake.shape import KnownShape, LakeColumns, LakeFooters, known_shape
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow

IDS = {"id": "bigint", "name": "varchar"}
ROWS = [(1, "x"), (2, "y")]


@dataclass(frozen=True)
class Awkward:
    """A file, and what is expected of it.

    Attributes:
        content: Its bytes.
        rows: The rows that are read of it.
        rejects: Words of the reasons of its lines that cannot be read.
        error: Words of why nothing of it can be read.
        columns: Declared columns.
        options: Of the source.
    """

    content: bytes | str
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    rejects: list[str] = field(default_factory=list)
    error: str = ""
    columns: dict[str, str] = field(default_factory=lambda: IDS)
    options: dict[str, Any] = field(default_factory=dict)
    format: str = "csv"

    def source(self, location: str = "lake/sales") -> SourceRow:
        """Return a source of such files."""
        return SourceRow.model_validate(
            {
                "schema": "lake",
                "table": "sales",
                "kind": "lake",
                "format": self.format,
                "location": location,
                "columns": self.columns,
                "format_options": self.options or None,
            }
        )


PLAIN = "id,name\n1,x\n2,y\n"
TYPED = {"d": "date", "t": "timestamp", "m": "decimal(9,2)", "b": "boolean", "f": "double"}
AWKWARD = {
    "plain": Awkward(PLAIN, ROWS),
    "windows line breaks": Awkward(PLAIN.replace("\n", "\r\n"), ROWS),
    "old Macintosh line breaks": Awkward(PLAIN.replace("\n", "\r"), ROWS),
    "mixed line breaks": Awkward("id,name\r\n1,x\n2,y\r\n", ROWS),
    "no line break at the end": Awkward(PLAIN.rstrip(), ROWS),
    "empty lines": Awkward("\n\nid,name\n\n1,x\n\n\n2,y\n\n", ROWS),
    "byte order mark": Awkward(b"\xef\xbb\xbf" + PLAIN.encode(), ROWS),
    "quoted header, blanks around names": Awkward('"id", name \n1,x\n2,y\n', ROWS),
    "other order of columns": Awkward("name,ID\nx,1\ny,2\n", [("x", 1), ("y", 2)]),
    "missing column": Awkward("id\n1\n", [(1,)]),
    "quoted line breaks and quotes": Awkward(
        'id,name\r\n1,"a\r\nb"\r\n2,"say ""hi"", twice"\r\nbad,"c\n\nd"\r\n3,z\r\n4\r\n',
        [(1, "a\r\nb"), (2, 'say "hi", twice'), (3, "z")],
        ["line 5: id does not cast to bigint: bad", "line 9: it has 1 fields, and 2 columns are expected"],
    ),
    "too few and too many fields": Awkward(
        "id,name\n1\n2,y\n3,z,\n", [(2, "y")], ["line 2: it has 1 fields", "line 4: it has 3 fields"]
    ),
    "trailing total": Awkward("id,name\n1,x\n2,y\nTOTAL 2\n", ROWS, ["line 4: it has 1 fields"]),
    "end-of-file sign of DOS": Awkward(PLAIN + "\x1a", ROWS, ["line 4: it has 1 fields"]),
    "header again": Awkward(PLAIN + "id,name\n3,z\n", [*ROWS, (3, "z")], ["line 4: it is the header again"]),
    "hint for Excel": Awkward("sep=;\nid;name\n1;x\n", [(1, "x")], options={"delimiter": ";"}),
    "quote in the middle": Awkward('id,name\n1,5" pipe\n2,x"y"z\n', [(1, '5" pipe'), (2, 'x"y"z')]),
    "text after a quote": Awkward('id,name\n1,"x"y\n2,y\n', [(2, "y")], ["line 2: text follows a closing quote"]),
    "quote never closed": Awkward('id,name\n1,x\n2,"y\n3,z\n', [(1, "x")], ["line 3: its quote is never closed"]),
    "backslash escapes": Awkward(
        'id,name\n1,"a\\"b"\n2,"c\\\\d"\n', [(1, 'a"b'), (2, "c\\d")], options={"escape": "\\"}
    ),
    "no quotes at all": Awkward(
        'id\tname\n1\t"x\n2\ty"\n', [(1, '"x'), (2, 'y"')], options={"delimiter": "\t", "quote": ""}
    ),
    "blanks": Awkward("id,name\n 1 , x \n2,\t\n", [(1, " x "), (2, "\t")]),
    "leading zeros stay in text": Awkward("id,name\n1,007\n2,+5\n", [(1, "007"), (2, "+5")]),
    "NULL": Awkward('id,name\n,x\n2,\n"",""\n', [(None, "x"), (2, None), (None, None)]),
    "words for NULL": Awkward(
        "id,name\nNA,x\n2,-\n3,\n", [(None, "x"), (2, None), (3, "")], options={"null_words": ["NA", "-"]}
    ),
    "fractions are no whole numbers": Awkward("id,name\n1.5,x\n1e3,y\n1.0,z\n3,ok\n", [(3, "ok")], ["bigint"] * 3),
    "numbers beyond their type": Awkward("id,name\n99999999999999999999,x\n1,y\n", [(1, "y")], ["bigint"]),
    "values of all kinds": Awkward(
        "d,t,m,b,f\n"
        "2020-02-29,2020-01-01T10:00:00+02:00,1.50,yes,1e3\n"
        "2020-01-01,2020-01-01 10:00,-3,F,-0.5\n"
        ",2020-01-01,.5,1,\n",
        [
            (date(2020, 2, 29), datetime(2020, 1, 1, 8), Decimal("1.50"), True, 1000.0),  # noqa: DTZ001
            (date(2020, 1, 1), datetime(2020, 1, 1, 10), Decimal("-3.00"), False, -0.5),  # noqa: DTZ001
            (None, datetime(2020, 1, 1), Decimal("0.50"), True, None),  # noqa: DTZ001
        ],
        columns=TYPED,
    ),
    "values that would change": Awkward(
        "d,t,m,b,f\n2020-02-30,,,,\n2020-01-01 10:00,,,,\n1/2/2020,,,,\n,1577836800,,,\n,,1.234,,\n,,1e2,,\n,,,maybe,\n"
        ",,,,1e999\n,,,,\n",
        [(None,) * 5],
        [
            "d does not",
            "d does not",
            "d does not",
            "t does not",
            "m does not",
            "m does not",
            "b does not",
            "f does not",
        ],
        columns=TYPED,
    ),
    "decimal comma": Awkward(
        'd;m\n31.12.2020;"1,5"\n01.02.2021;-2\n01.02.2021;1.234,5\n',
        [(date(2020, 12, 31), Decimal("1.50")), (date(2021, 2, 1), Decimal("-2.00"))],
        ["line 4: m does not cast to decimal(9,2): 1.234,5"],
        columns={"d": "date", "m": "decimal(9,2)"},
        options={"delimiter": ";", "decimal": ",", "date_format": "%d.%m.%Y"},
    ),
    "Latin-1": Awkward("id,name\n1,é\n".encode("latin-1"), [(1, "é")], options={"encoding": "latin-1"}),
    "Windows-1252": Awkward("id,name\n1,€\n".encode("cp1252"), [(1, "€")], options={"encoding": "cp1252"}),
    "UTF-16": Awkward("id,name\n1,é😀\n".encode("utf-16"), [(1, "é😀")], options={"encoding": "utf-16"}),
    "UTF-16 that nobody named": Awkward(PLAIN.encode("utf-16"), error="it is UTF-16: set format_options.encoding"),
    "one line in another encoding": Awkward(b"id,name\n1,\xe9\n2,y\n", [(2, "y")], ["line 2: it is no text in utf-8"]),
    "no header": Awkward("1,x\n2,y\n3\n", ROWS, ["line 3: it has 1 fields"], options={"header": False}),
    "NUL": Awkward(b"id,name\n1,x\x00y\n", error="it is binary"),
    "gzip, whatever its name": Awkward(gzip.compress(PLAIN.encode()), ROWS),
    "two gzips in one": Awkward(gzip.compress(b"id,name\n1,x\n") + gzip.compress(b"2,y\n"), ROWS),
    "bzip2": Awkward(bz2.compress(PLAIN.encode()), ROWS),
    "xz": Awkward(lzma.compress(PLAIN.encode()), ROWS),
    "cut off gzip": Awkward(gzip.compress(PLAIN.encode() * 9)[:-9], error="it is cut off or damaged"),
    "damaged gzip": Awkward(b"\x1f\x8b\x08\x00junkjunkjunk", error="it is cut off or damaged"),
    "zstd": Awkward(b"\x28\xb5\x2f\xfd rest", error="compressed by zstd, which is not supported"),
    "a Parquet file": Awkward(b"PAR1....", error="it is a Parquet file"),
    "an Excel workbook": Awkward(b"PK\x03\x04....", error="a ZIP archive or an Excel workbook"),
    "a web page": Awkward("<!DOCTYPE html>\n<html>\n", error="it has none of the declared columns"),
    "another delimiter": Awkward("id;name\n1;x\n", error="it has none of the declared columns: it has id;name"),
    "header alone": Awkward("id,name\n"),
    "empty": Awkward(""),
    "column named twice": Awkward("id,ID\n1,2\n", error="names 'ID' twice"),
    "column without a name": Awkward("id,name,\n1,x,\n", error="column 3 of its header has no name"),
    "lines of JSON": Awkward('{"id":1,"name":"x"}\n\n{"name":"y","id":2}', ROWS, format="ndjson"),
    "array of JSON": Awkward(' [\n{"id":1,"name":"x"},\r\n{"id":2,"name":"y"}\n]\n', ROWS, format="json"),
    "empty array": Awkward("[]", format="json"),
    "empty JSON": Awkward("", format="ndjson"),
    "JSON with a byte order mark, in gzip": Awkward(
        gzip.compress(b'\xef\xbb\xbf{"id":1,"name":"x"}'), [(1, "x")], format="ndjson"
    ),
    "broken lines": Awkward(
        '{"id":1,"name":"x"}\n{"id":2,\n[3]\nnull\n{"id":4,"id":5}\n{"id":4,"ID":5}\n{"id":NaN}\n'
        '{"id":6}{"id":7}\n{"id":"8"}\n{"id":"9x"}\n',
        [(1, "x"), (8, None)],
        [
            "line 2: it is no JSON",
            "line 3: it is an array, and no object",
            "line 4: it is null, and no object",
            "line 5: it is no JSON: an object names a field twice",
            "line 6: an object names the field 'id' twice, in other letters",
            "line 7: it is no JSON: NaN is no value of JSON",
            "line 8: it is no JSON: Extra data",
            "line 10: id does not cast to bigint: 9x",
        ],
        format="ndjson",
    ),
    "array that breaks off": Awkward('[{"id":1},\n{"id":', error="its array breaks off in line 2", format="json"),
    "array with more behind it": Awkward('[{"id":1}]\n{"id":2}', error="more follows its array", format="json"),
    "one object over several lines": Awkward('{\n"id": 1\n}\n', error="none of its 3 records", format="json"),
    "numbers keep their digits": Awkward(
        '{"id":9007199254740993,"m":12345678901234567890.123}\n{"id":1,"m":"2.5"}\n',
        [(9007199254740993, Decimal("12345678901234567890.123")), (1, Decimal("2.500"))],
        columns={"id": "bigint", "m": "decimal(38,3)"},
        format="ndjson",
    ),
    "nested values": Awkward(
        '{"id":1,"a":{"city":"é","zip":"01","more":1},"n":[1,2]}\n{"id":2,"a":null,"n":[]}\n{"id":3,"a":{"CITY":"y"}}\n'
        '{"id":4,"n":[1,1.5]}\n{"id":5,"a":"x"}\n',
        [(1, {"city": "é", "zip": "01"}, [1, 2]), (2, None, []), (3, {"city": "y", "zip": None}, None)],
        ["line 4: n[1] does not cast to integer: 1.5", "line 5: a is no object"],
        columns={"id": "bigint", "a": "struct(city varchar, zip varchar)", "n": "integer[]"},
        format="ndjson",
    ),
    "nested values as text": Awkward(
        '{"id":1,"name":{"a":[1.50,"é"]}}\n{"id":2,"name":[]}\n',
        [(1, '{"a":[1.50,"é"]}'), (2, "[]")],
        format="ndjson",
    ),
    "characters written as escapes": Awkward('{"id":1,"name":"\\ud83d\\ude00\\n"}', [(1, "😀\n")], format="ndjson"),
    "half a surrogate pair": Awkward(
        '{"id":1,"name":"\\ud83d"}\n{"id":2,"name":"y"}',
        [(2, "y")],
        ["line 1: it is no text in utf-8"],
        format="ndjson",
    ),
}


def land_text(project: Project, name: str, content: bytes | str) -> Path:
    """Write a file below the project's root."""
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def look_at_text(project: Project, row: SourceRow, known: KnownShape | None = None) -> LakeColumns:
    """Look at a source's folder as a decision does; declared columns are known."""
    footers = LakeFooters({}, FooterMemory(project.state_dir / "footers"))
    try:
        known = known or known_shape(row, None, {})
        folder = source_folder(project, row)
        return footers.look_at(folder, list_folder(folder), None, known)
    finally:
        footers.close()


def awkward_sources(project: Project) -> Iterator[tuple[SourceRow, dict[str, Awkward]]]:
    """Land all awkward files, and yield the sources that hold them: those that are written alike in one folder."""
    groups: dict[str, dict[str, Awkward]] = {}
    for name, file in AWKWARD.items():
        groups.setdefault(repr((file.format, file.columns, file.options)), {})[name] = file
    for number, files in enumerate(groups.values()):
        location = f"lake/group_{number}"
        for name, file in files.items():
            land_text(project, f"{location}/{name}", file.content)
        example = next(iter(files.values()))
        yield example.source(location), files
