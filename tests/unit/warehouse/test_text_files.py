"""Text files as they come: what is read of each, which lines are not, and which files are none."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.warehouse.lake.folder import list_folder, source_folder
from flows.warehouse.lake.formats.copies import remove_unused
from flows.warehouse.lake.shape import KnownShape
from metadata_sync.analysis.lake_location import literal_path
from metadata_sync.analysis.text_copies import copies_folder
from metadata_sync.project import Project
from metadata_sync.rows.model import SourceRow
from metadata_sync.rows.vocabulary import OnSourceChange
from tests.support.text_files import AWKWARD, Awkward, awkward_sources, land_text, look_at_text


def test_awkward_files(project: Project) -> None:
    seen = set()
    for row, files in awkward_sources(project):
        if all(file.error for file in files.values()):
            land_text(project, f"{row.location}/plain", "id,name\n1,x\n")
        found = look_at_text(project, row)
        faults = {fault.file.name: fault.error for fault in found.faults}
        assert set(faults) == {name for name, file in files.items() if file.error}
        folder = source_folder(project, row)
        assert folder.copies is not None
        listed = list_folder(folder).files
        rejects = folder.copies.rejects_of(listed)
        for item in listed:
            file = files.get(item.name)
            if file is None:
                continue
            seen.add(item.name)
            if file.error:
                assert file.error in faults[item.name]
                assert item.name not in rejects
                continue
            assert duckdb.execute(f"from read_parquet('{item.path}')").fetchall() == file.rows, item.name
            check_rejects(item.name, file, rejects.get(item.name))
    assert seen == set(AWKWARD)


def check_rejects(name: str, file: Awkward, path: str | None) -> None:
    found = duckdb.execute(f"select line, reason from read_parquet('{path}')").fetchall() if path else []
    assert len(found) == len(file.rejects), (name, found)
    for (line, reason), expected in zip(found, file.rejects, strict=True):
        assert reason.startswith(f"{name}, line {line}: ")
        assert expected in reason


def source(format_: str, columns: dict[str, str] | None = None, **options: Any) -> SourceRow:
    return Awkward("", format=format_, columns=columns or {}, options=options).source()


def land(project: Project, name: str, content: str) -> Path:
    return land_text(project, f"lake/sales/{name}", content)


def types_of(project: Project, row: SourceRow, known: KnownShape | None = None) -> dict[str, str]:
    return {column.name: column.type for column in look_at_text(project, row, known).columns}


def test_random_tables_come_back_as_they_were_written(project: Project) -> None:
    """Written by Python's own writers, in random dialects; nothing may change, and nothing be rejected."""
    chance = random.Random(18)
    letters = ["", "a", '"', ",", ";", "\n", "\r\n", "\r", " ", "\t", "ü", "😀", "\\", "'", "0", "NULL", "|"]
    for number in range(25):
        row_count, width = chance.randint(1, 30), chance.randint(2, 5)
        texts = [
            ["".join(chance.choices(letters, k=chance.randint(0, 5))) for _ in range(width)] for _ in range(row_count)
        ]
        names = [f"c{place}" for place in range(width)]
        delimiter, is_quoted = chance.choice(",;|\t"), chance.random() < 0.5
        escape = chance.choice(['"', "\\"])
        written = io.StringIO()
        writer = csv.writer(
            written,
            delimiter=delimiter,
            quoting=csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL,
            doublequote=escape == '"',
            escapechar=None if escape == '"' else escape,
            lineterminator="\n" if is_quoted else "\r\n",  # then it quotes both characters
        )
        writer.writerows([names, *texts])
        is_ascii = chance.random() < 0.5
        lines = [json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=is_ascii) for values in texts]
        declared = dict.fromkeys(names, "varchar")
        csv_row = source("csv", declared, delimiter=delimiter, escape=escape, null_words=[])
        json_row = source("ndjson", declared)
        for row, content in ((csv_row, written.getvalue()), (json_row, "\n".join(lines))):
            land(project, "a", content)
            look_at_text(project, row)
            (file,) = list_folder(source_folder(project, row)).files
            found = duckdb.execute(f"from read_parquet('{file.path}')").fetchall()
            assert found == [tuple(values) for values in texts], (number, row.format)


def test_types_are_found_once_for_all_files_and_then_kept(project: Project) -> None:
    columns = "id,code,amount,day,moment,flag,nothing,ratio"
    land(project, "1.csv", f"{columns}\n1,12,1,2020-01-01,2020-01-01 10:00,true,,1e-3\n")
    land(project, "2.csv", f"{columns}\n2,A7,1.5,2020-01-02,2020-01-01,FALSE,,2\n")
    row = source("csv")
    found = {
        "id": "bigint",
        "code": "varchar",
        "amount": "decimal(38,9)",
        "day": "date",
        "moment": "timestamp",
        "flag": "boolean",
        "nothing": '"NULL"',
        "ratio": "double",
    }
    assert types_of(project, row) == found
    folder = source_folder(project, row)
    files = list_folder(folder).files
    assert duckdb.execute(f"select code from {folder.relation(files)} order by id").fetchall() == [("12",), ("A7",)]

    land(project, "3.csv", "id,code,moment\n007,1,2020-01-03\n")
    known = KnownShape({name: type_ for name, type_ in found.items() if name != "nothing"}, OnSourceChange.ADD)
    looked = look_at_text(project, row, known)
    (fault,) = looked.faults
    assert fault.reason_for({"code"}) is None
    assert fault.reason_for({"id"}) == "3.csv has id varchar, where the source has id bigint"
    land(project, "3.csv", "id,code,moment\n7,1,2020-01-03\n")
    assert types_of(project, row, known) == found
    assert not look_at_text(project, row, known).faults


def test_declared_types_have_synonyms(project: Project) -> None:
    declared = {"a": "INT", "b": "numeric(9,2)", "c": "Text", "d": "datetime", "e": "float8", "f": "bool"}
    land(project, "1", "a,b,c,d,e,f\n1,1.5,x,2020-01-01,1,true\n")
    land(project, "2", "a,b,c,d,e,f\n,,,,,\n,,,,1e999,\n")
    assert types_of(project, source("csv", declared)) == {
        "a": "integer",
        "b": "decimal(9,2)",
        "c": "varchar",
        "d": "timestamp",
        "e": "double",
        "f": "boolean",
    }
    assert not look_at_text(project, source("csv", declared)).faults
    with pytest.raises(ValueError, match="declares a intger"):
        types_of(project, source("csv", {"a": "intger"}))


def test_names_of_files_and_columns_may_hold_anything(project: Project) -> None:
    name = "it's 100% {x} [a]*?.csv"
    row = source("csv", {"a\"b'; drop": "integer"})
    land(project, name, '"a""b\'; drop",é,{{ x }}\n1,2,3\nx,2,3\n1\n')
    assert types_of(project, row) == {"a\"b'; drop": "integer", "é": "bigint", "{{ x }}": "bigint"}
    folder = source_folder(project, row)
    files = list_folder(folder).files
    assert duckdb.execute(f"from {folder.relation(files)}").fetchall() == [(1, 2, 3)]
    assert folder.copies is not None
    path = literal_path(folder.copies.rejects_of(files)[name])
    assert [reason for (reason,) in duckdb.execute("select reason from read_parquet(?)", [path]).fetchall()] == [
        f"{name}, line 3: a\"b'; drop does not cast to integer: x",
        f"{name}, line 4: it has 1 fields, and 3 columns are expected",
    ]


def test_types_of_json_are_those_of_its_values(project: Project) -> None:
    lines = '{"n":1,"text":"007","day":"2020-01-01","b":true,"mixed":1,"o":{"a":1}}\n{"n":2.5,"text":"1","mixed":"x"}\n'
    land(project, "a", lines)
    assert types_of(project, source("json")) == {
        "n": "decimal(38,9)",
        "text": "varchar",
        "day": "date",
        "b": "boolean",
        "mixed": "varchar",
        "o": "varchar",
    }


def test_columns_that_nobody_declared_follow_the_policy(project: Project) -> None:
    land(project, "1", '{"id":1}\n')
    land(project, "2", '{"id":2,"extra":"x"}\n')
    row = source("ndjson", {"id": "integer"})
    assert types_of(project, row) == {"id": "integer", "extra": "varchar"}
    ignoring = row.model_copy(update={"on_source_change": OnSourceChange.IGNORE})
    assert types_of(project, ignoring) == {"id": "integer"}
    holding = row.model_copy(update={"on_source_change": OnSourceChange.HOLD})
    (fault,) = look_at_text(project, holding).faults
    assert fault.error == "it has the new column extra (on_source_change: hold)"


def test_a_file_is_opened_once(project: Project) -> None:
    """Old files are replaced by junk of the same size and time: whoever opened one would find none of its rows."""
    row = source("csv", {"id": "integer"})
    for number in range(50):
        path = land(project, f"{number}.csv", f"id\n{number}\n")
    look_at_text(project, row)
    folder = source_folder(project, row)
    for path in (project.root / "lake/sales").iterdir():
        status = path.stat()
        path.write_bytes(b"\0" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    new = land(project, "new.csv", "id\n50\n")
    assert not look_at_text(project, row).faults
    files = list_folder(folder).files
    assert duckdb.execute(f"select count(*), max(id) from {folder.relation(files)}").fetchall() == [(51, 50)]

    new.write_text("no number\n1\n")
    (fault,) = look_at_text(project, row).faults
    assert fault.error == "it has none of the declared columns: it has no number"
    assert not Path(files[-1].path).exists(), "nobody reads the copy of an earlier version"
    new.write_text("id\n51\n")
    assert not look_at_text(project, row).faults
    assert Path(files[-1].path).exists()

    new.unlink()
    assert not look_at_text(project, row).faults
    assert Path(files[-1].path).exists(), "another process may have made it of a file that came just now"
    os.utime(files[-1].path, (0, 0))
    land(project, "newer.csv", "id\n52\n")
    assert not look_at_text(project, row).faults
    assert not Path(files[-1].path).exists(), "the copy goes with its file"
    (project.root / "lake/sales/newer.csv").unlink()
    assert len(list_folder(folder).files) == 50
    assert folder.copies is not None
    (folder.copies.folder / "index.json").write_text("{")  # it is lost: everything is read again
    with pytest.raises(ValueError, match="it is binary"):
        look_at_text(project, row)


def test_copies_of_a_removed_source_go_when_nobody_reads_them(project: Project) -> None:
    values = {"source_schema": "lake", "kind": "lake", "format": "csv", "columns": {"id": "integer"}}
    sources = []
    for table in ("kept", "used_elsewhere", "removed"):
        row = SourceRow.model_validate({**values, "source_table": table, "location": f"lake/{table}"})
        land_text(project, f"lake/{table}/a.csv", "id\n1\n")
        look_at_text(project, row)
        sources.append(row)
    folders = {row.source_table: copies_folder(project, row) for row in sources}
    long_ago = time.time() - 3 * 24 * 3600
    for folder in folders.values():
        os.utime(folder / "index.json", (long_ago, long_ago))
    look_at_text(project, sources[1])
    assert remove_unused(project, sources[:1]) == 1
    assert {name for name, folder in folders.items() if folder.exists()} == {"kept", "used_elsewhere"}
    assert remove_unused(project, sources[:1]) == 0
