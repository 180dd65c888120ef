"""Appends without any key: a row is known by its file, and a file that is written again replaces its rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.gate.facts import Reason
from metadata_sync.errors import MetadataError
from metadata_sync.settings import Settings
from tests.support.engine_project import Workshop, copy_project, finish, transformation

LINES = "select l.id, l.amount * 2 as doubled, l.file from lake.lines as l where l.id is not null"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    root = tmp_path / "project"
    root.mkdir()
    copy_project(root, {"line": LINES})
    workshop = Workshop(root, Settings(lock_wait_seconds=30, tries=1))
    yield workshop
    workshop.close()


def rows(**source: Any) -> dict[str, Any]:
    lines = {"schema": "lake", "table": "lines", "kind": "lake", "format": "parquet", "location": "lake/lines"}
    append = {"load_type": "append", "max_vanish_percent": 100}
    return {
        "sources": [{**lines, "file_column": "file", "on_removed_files": "remove", **source}],
        "pipelines": [{"pipeline_id": "lines", "pipeline_name": "Lines", "template": "lake_to_warehouse"}],
        "transformations": [transformation("dwh", "line", "lines", "lake.lines", **append)],
    }


def land(shop: Workshop, name: str, *ids: int, amount: int = 1) -> Path:
    values = ", ".join(f"({id_}, {amount})" for id_ in ids)
    path = shop.lake / "lines" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    written = shop.land("elsewhere/file", f"select * from (values {values}) as v (id, amount)")
    return written.rename(path)


def loaded(shop: Workshop) -> list[tuple[Any, ...]] | None:
    """Run, and return what stands in the target; None: nothing was loaded."""
    summary, _ = shop.run()
    (outcome,) = summary.outcomes
    assert outcome.error is None, outcome.error
    if outcome.status != "loaded":
        return None
    return shop.query("select file, id, doubled from dwh.line order by all")


def test_files_without_any_key_are_read_once_and_replaced_when_they_are_written_again(shop: Workshop) -> None:
    land(shop, "a.parquet", 1, 1, 2)
    land(shop, "day=1/[b] ü'x", 3)
    shop.apply(rows())
    first = [("a.parquet", 1, 2), ("a.parquet", 1, 2), ("a.parquet", 2, 2), ("day=1/[b] ü'x", 3, 2)]
    assert loaded(shop) == first
    assert loaded(shop) is None

    land(shop, "c.parquet", 4)
    land(shop, "day=1/[b] ü'x", 5, amount=9)
    (decision,) = shop.plan().decisions
    assert decision.reason is Reason.NEW_FILES
    assert decision.message == "lake.lines holds 1 new file and 1 changed file, e.g. c.parquet"
    assert loaded(shop) == [*first[:3], ("c.parquet", 4, 2), ("day=1/[b] ü'x", 5, 18)]

    for name in ("a.parquet", "c.parquet"):
        (shop.lake / "lines" / name).unlink()
    land(shop, "merged.parquet", 1, 1, 2, 4)
    merged = [("day=1/[b] ü'x", 5, 18), *(("merged.parquet", id_, 2) for id_ in (1, 1, 2, 4))]
    assert loaded(shop) == merged
    assert loaded(shop) is None
    (shop.lake / "lines" / "day=1/[b] ü'x").unlink()
    assert loaded(shop) == merged[1:]
    assert shop.query("select count(*) from sluice.lake_files where version = ''") == [(3,)]


def test_old_files_are_not_opened(shop: Workshop) -> None:
    for number in range(5):
        land(shop, f"{number}.parquet", number)
    shop.apply(rows())
    assert len(loaded(shop) or []) == 5
    land(shop, "new.parquet", 9)
    shop.plan()  # footers are read by the gate
    read = shop.query("select count(*) from sluice.load_log")
    assert loaded(shop) is not None
    assert read == [(1,)]
    assert shop.query("select rows_read from sluice.load_log order by started_at") == [(5,), (1,)]


def test_text_files_are_known_by_their_own_names(shop: Workshop) -> None:
    folder = shop.lake / "lines"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_text("id;amount\n1;1\n2;2\n")
    (folder / "b.csv").write_text("id;amount;extra\n3;3;x\n")
    shop.apply(rows(format="csv", columns={"id": "integer", "amount": "integer"}, format_options={"delimiter": ";"}))
    assert loaded(shop) == [("a.csv", 1, 2), ("a.csv", 2, 4), ("b.csv", 3, 6)]
    (folder / "a.csv").write_text("id;amount\n2;2\n2;2\n4;4\n")
    assert loaded(shop) == [("a.csv", 2, 4), ("a.csv", 2, 4), ("a.csv", 4, 8), ("b.csv", 3, 6)]
    (folder / "b.csv").unlink()
    assert loaded(shop) == [("a.csv", 2, 4), ("a.csv", 2, 4), ("a.csv", 4, 8)]


def test_a_file_that_cannot_be_read_keeps_its_earlier_rows(shop: Workshop) -> None:
    bad = land(shop, "a.parquet", 1)
    land(shop, "b.parquet", 2)
    shop.apply(rows())
    assert loaded(shop) == [("a.parquet", 1, 2), ("b.parquet", 2, 2)]
    bad.write_bytes(b"no Parquet")
    land(shop, "b.parquet", 3)
    assert loaded(shop) == [("a.parquet", 1, 2), ("b.parquet", 3, 2)]
    land(shop, "a.parquet", 4)
    assert loaded(shop) == [("a.parquet", 4, 2), ("b.parquet", 3, 2)]


def test_files_may_differ(shop: Workshop) -> None:
    land(shop, "a.parquet", 1)
    shop.apply(rows(on_source_change="ignore"))
    assert loaded(shop) == [("a.parquet", 1, 2)]
    shop.land("lines/wider", "select 2::bigint as id, true as is_new")  # no amount
    assert loaded(shop) == [("a.parquet", 1, 2), ("wider.parquet", 2, None)]


@pytest.mark.parametrize(
    ("select", "said"),
    [
        (LINES.replace("l.file", "'x' || l.file as file"), "not always the source's own file"),
        (LINES.replace(", l.file", ""), "must yield its file column (file)"),
    ],
)
def test_a_target_yields_the_file_as_the_source_has_it(shop: Workshop, select: str, said: str) -> None:
    shop.write_select("line", select)
    land(shop, "a.parquet", 1)
    with pytest.raises(MetadataError) as caught:
        shop.apply(rows())
    assert said in " ".join(map(str, caught.value.faults))


def test_files_with_a_column_of_the_same_name_are_refused(shop: Workshop) -> None:
    shop.land("lines/a", "select 1 as id, 1 as amount, 'mine' as file")
    with pytest.raises(MetadataError) as caught:
        shop.apply(rows())
    assert "file" in str(caught.value.faults[0])
    assert "source_unreadable" in {fault.rule for fault in caught.value.faults}


def test_a_keyed_reader_sees_the_names_of_files_too(shop: Workshop) -> None:
    shop.write_select("line", "select l.id, l.at, l.file from lake.lines as l")
    given = rows(incremental_key="at", on_removed_files="keep")
    given["transformations"][0] |= {"load_type": "scd1", "business_key": ["id"]}
    for name, day in (("x/a", 1), ("b", 2)):
        shop.land(f"lines/{name}", f"select {day} as id, timestamp '2013-01-0{day}' as at")
    shop.apply(given)
    shop.run()
    assert shop.query("select file, id from dwh.line order by id") == [("x/a.parquet", 1), ("b.parquet", 2)]
    shop.land("lines/late", "select 3 as id, timestamp '2012-12-31' as at")
    shop.run()
    assert shop.query("select file from dwh.line where id = 3") == [("late.parquet",)]


def test_dbt_by_sluice_knows_the_files_and_dbt_alone_does_not(shop: Workshop) -> None:
    land(shop, "a.parquet", 1)
    shop.apply(rows())
    assert loaded(shop) is not None
    land(shop, "b.parquet", 2)
    shop.close()
    code, out, err = finish(shop.sluice("dbt", "build", "--select", "dwh__line"))
    assert code == 0, (out, err)
    assert shop.query("select id from dwh.line order by id") == [(1,), (2,)]
    land(shop, "c.parquet", 3)
    dbt = [sys.executable, "-m", "dbt.cli.main", "build", "--select", "dwh__line", "--project-dir", "dbt_project"]
    alone = subprocess.run(dbt, cwd=shop.root, capture_output=True, text=True, check=False)
    assert "the files of dwh.line were not listed" in alone.stdout
    assert shop.query("select id from dwh.line order by id") == [(1,), (2,)]
