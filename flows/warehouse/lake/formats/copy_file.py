"""One text file becomes a Parquet file: its records as values, and next to it those that cannot be read."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from flows.warehouse.connection import first_line
from flows.warehouse.lake.folder import LakeFile
from flows.warehouse.lake.formats.content import open_text
from flows.warehouse.lake.formats.nested import known_type
from flows.warehouse.lake.formats.rows import RowReader, reader_of
from flows.warehouse.lake.formats.values import (
    NOTHING,
    guesses,
    kept_type,
    literal,
    present_text,
    typed_value,
)
from metadata_sync.rows.model import FormatOptions, SourceRow
from metadata_sync.rows.names import quote_identifier

if TYPE_CHECKING:
    import duckdb

_ENCODE: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_LEAST_OBJECT: Final = 16 * 2**20
"""DuckDB's own limit for one line of JSON, in bytes."""


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """What came of one file.

    Attributes:
        types: Column → type, in the file's order.
        reject_count: Lines that cannot be read.
    """

    types: Mapping[str, str]
    reject_count: int


@dataclass(frozen=True, slots=True)
class _Split:
    """The records of a file, in a file of JSON lines, each a list: the line, then the values as texts."""

    reader: RowReader
    records: Path
    bad: Path
    row_count: int
    bad_count: int
    longest: int
    example: str


@dataclass(frozen=True, slots=True)
class FileCopier:
    """Copies files of one source.

    Attributes:
        connection: A database of its own, in memory.
        source: The source.
        known: Column in lower case → the type that the source has for it. Declared ones are not part of it.
        scratch: A folder for temporary files.
    """

    connection: duckdb.DuckDBPyConnection
    source: SourceRow
    known: Mapping[str, str]
    scratch: Path

    @property
    def _options(self) -> FormatOptions:
        return self.source.format_options or FormatOptions()

    def copy(self, file: LakeFile, data: Path, rejects: Path) -> CopiedFile:
        """Copy a file.

        Args:
            file: The file.
            data: Where its copy is written.
            rejects: Where the lines are written that cannot be read; nothing is, when all can.

        Raises:
            ValueError: When nothing of the file can be read.
            OSError, SoftRunError: When it cannot be opened now, or the copy not be written.
        """
        import duckdb

        split = self._split(file)
        try:
            types = self._types(split)
            self._load_texts(split)
            types = self._with_guesses(split, types)
            self._load_values(split, types)
            data.parent.mkdir(parents=True, exist_ok=True)
            self._write_data(split, types, data)
            return CopiedFile(types, self._write_rejects(file, split, types, rejects))
        except duckdb.IOException:  # the disk is full, say: that says nothing of the file
            raise
        except duckdb.Error as error:
            raise ValueError(f"it cannot be read: {first_line(error)}") from error
        finally:
            self.connection.execute("drop table if exists texts; drop table if exists typed")
            split.records.unlink(missing_ok=True)
            split.bad.unlink(missing_ok=True)

    def _split(self, file: LakeFile) -> _Split:
        records, bad = self.scratch / "records.json", self.scratch / "bad.json"
        reader = reader_of(self.source)
        encoding = self._options.encoding
        rows = longest = 0
        try:
            with open_text(file.original, encoding) as text, records.open("wb") as out, bad.open("wb") as bad_out:
                told = _BadLines(file.name, bad_out)
                for line, values in reader.records(text, told.tell):
                    try:
                        written = (_ENCODE([str(line), *values]) + "\n").encode()
                    except UnicodeEncodeError:
                        told.tell(line, f"it is no text in {encoding}", _shown(values))
                        continue
                    longest = max(longest, len(written))
                    rows += 1
                    out.write(written)
        except (EOFError, zlib.error) as error:
            raise ValueError(f"it is cut off or damaged: {error}") from error
        except UnicodeError as error:
            raise ValueError(f"it is no text in {encoding}: {error}") from error
        except OSError as error:
            if error.errno is not None:  # the file system's; a damaged compression has no number
                raise
            raise ValueError(f"it is cut off or damaged: {error}") from error
        if told.count and not rows:
            raise ValueError(f"none of its {told.count:,} records can be read, e.g. {told.example}")
        return _Split(reader, records, bad, rows, told.count, longest, told.example)

    def _types(self, split: _Split) -> dict[str, str]:
        """Return the declared columns of a file, and of an empty one all that are known."""
        listed = {column.name: known_type(column.type) for column in self.source.columns}
        declared = {name.lower(): type_ for name, type_ in listed.items()}
        names = split.reader.names
        if not names:
            found = listed or dict(self.known)
            if not found:
                raise ValueError("it is empty, and its source has no columns yet")
            return found
        if declared and not any(name.lower() in declared for name in names):
            raise ValueError(f"it has none of the declared columns: it has {', '.join(names)[:500]}")
        return {name: declared.get(name.lower(), "") for name in names}

    def _load_texts(self, split: _Split) -> None:
        size = max(_LEAST_OBJECT, 2 * split.longest)
        self.connection.execute(
            "create temp table texts as select json as r from "  # noqa: S608 - a path of ours
            f"read_json({literal(str(split.records))}, format = 'newline_delimited', records = false, "
            f"columns = {{'json': 'varchar[]'}}, compression = 'none', maximum_object_size = {size})"
        )

    def _load_values(self, split: _Split, types: Mapping[str, str]) -> None:
        """Make the table of values: of each column its text t… and its value v…, and the column that has none."""
        texts, values, bad = ["r[1] as line"], ["*"], []
        for place, name in enumerate(split.reader.names):
            text = present_text(f"r[{place + 2}]", types[name], self._options, split.reader.kinds[place])
            texts.append(f"{text} as t{place}")
            values.append(f"{typed_value(f't{place}', types[name], self._options)} as v{place}")
            bad.append(f"when t{place} is not null and v{place} is null then {place}")
        first_bad = f"case {' '.join(bad)} end" if bad else "cast(null as integer)"
        self.connection.execute(
            f"create temp table typed as select *, {first_bad} as bad from "  # noqa: S608
            f"(select {', '.join(values)} from (select {', '.join(texts)} from texts))"
        )

    def _with_guesses(self, split: _Split, types: Mapping[str, str]) -> dict[str, str]:
        """Return the types of all columns: of those that are not declared by what their texts look like."""
        names, kinds = split.reader.names, split.reader.kinds
        todo = [place for place, name in enumerate(names) if types.get(name) == ""]
        texts, asked, options = [], [], []
        for place in todo:
            text = f"t{place}"
            possible = guesses(text, self._options, kinds[place])
            options.append(list(possible))
            texts.append(f"{present_text(f'r[{place + 2}]', 'varchar', self._options, kinds[place])} as {text}")
            asked += [f"count({text})", *(f"bool_and({condition})" for condition in possible.values())]
        found: Sequence[Any] | None = ()
        if asked:
            query = f"select {', '.join(asked)} from (select {', '.join(texts)} from texts)"  # noqa: S608
            found = self.connection.execute(query).fetchone()
        answers = iter(found or ())
        types = dict(types)
        for place, possible_types in zip(todo, options, strict=True):
            has_values = next(answers)
            fitting = [type_ for type_ in possible_types if next(answers)]
            guessed = next(iter(fitting), "varchar") if has_values else NOTHING
            types[names[place]] = kept_type(guessed, self.known.get(names[place].lower()))
        return types

    def _write_data(self, split: _Split, types: Mapping[str, str], data: Path) -> None:
        held = {name: f"v{place}" for place, name in enumerate(split.reader.names)}
        columns = [
            f"{held.get(name) or f'cast(null as {type_})'} as {quote_identifier(name)}" for name, type_ in types.items()
        ]
        self.connection.execute(
            f"copy (select {', '.join(columns)} from typed where bad is null) "  # noqa: S608
            f"to {literal(str(data))} (format parquet)"
        )

    def _write_rejects(self, file: LakeFile, split: _Split, types: Mapping[str, str], rejects: Path) -> int:
        """Write the lines that cannot be read, and return their number."""
        row = self.connection.execute("select count(bad) from typed").fetchone()
        count = split.bad_count + (row[0] if row else 0)
        if not count:
            rejects.unlink(missing_ok=True)
            return 0
        names = split.reader.names
        reasons = " ".join(
            f"when {place} then {literal(f'{name} does not cast to {types[name]}: ')} || left(t{place}, 200)"
            for place, name in enumerate(names)
        )
        texts = ", ".join(f"{literal(f'{name}=')} || coalesce(t{place}, 'NULL')" for place, name in enumerate(names))
        place = literal(f"{file.name}, line ")
        rejects.parent.mkdir(parents=True, exist_ok=True)
        no_values = f"""
            select cast(line as bigint) as line, {place} || line || ': ' || case bad {reasons} end as reason,
                left(concat_ws(', ', {texts}), 2000) as row_text
            from typed where bad is not null
        """  # noqa: S608
        no_records = f"""
            select cast(json[1] as bigint) as line, json[2] as reason, json[3] as row_text
            from read_json({literal(str(split.bad))}, format = 'newline_delimited', records = false,
                columns = {{'json': 'varchar[]'}}, compression = 'none')
        """  # noqa: S608
        parts = " union all ".join(([no_values] if names else []) + ([no_records] if split.bad_count else []))
        self.connection.execute(
            f"copy (select * from ({parts}) order by line) to {literal(str(rejects))} (format parquet)"  # noqa: S608
        )
        return count


class _BadLines:
    """Writes lines that hold no record."""

    def __init__(self, name: str, out: IO[bytes]) -> None:
        self._name = name
        self._out = out
        self.count = 0
        self.example = ""

    def tell(self, line: int, reason: str, text: str) -> None:
        told = f"{self._name}, line {line}: {reason}"
        self._out.write((_ENCODE([str(line), told, text[:2000]]) + "\n").encode(errors="replace"))
        self.count += 1
        self.example = self.example or f"line {line}: {reason}"


def _shown(values: Sequence[str | None]) -> str:
    return ", ".join("NULL" if value is None else value for value in values)
