"""Validate asks Spark's own analyzer about SELECTs, over empty tables, before a cluster is paid for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from flows.process import is_process_alive
from flows.spark.analyzer import ask_spark
from flows.spark.settings import SparkSettings
from metadata_sync.analysis.spark import SparkSelect
from tests.support.flights_project import TARGETS, FlightsProject, make_lake

SCHEMAS = {"lake__t": (("i", "INT"), ("a`b", "TIMESTAMP_NTZ"))}


def _select(sql: str) -> SparkSelect:
    return SparkSelect(sql, (), (), schemas=SCHEMAS)


def test_each_select_is_planned_and_one_refusal_stops_itself() -> None:
    answers = ask_spark(
        {
            "a.good": _select("SELECT t.i, t.`a``b` FROM lake__t AS t"),
            "a.unknown": _select("SELECT t.j FROM lake__t AS t"),
            "a.unplanned": _select("SELECT row_number() OVER () AS x FROM lake__t AS t"),
            "a.syntax": _select("SELECT (i FROM lake__t"),
        },
        SparkSettings(local_cores=2),
    )

    assert answers["a.good"] is None
    assert "`t`.`j`" in str(answers["a.unknown"])
    assert "row_number" in str(answers["a.unplanned"])
    assert "PARSE_SYNTAX_ERROR" in str(answers["a.syntax"])


HANGS: Final = """#!/bin/sh
echo $$ > {pids}
sleep 600 &
echo $! >> {pids}
for last; do :; done
{first}
wait
"""
"""A Java that does nothing but sleep, with a child."""


def _java(folder: Path, first: str) -> Path:
    home = folder / "java"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").write_text(HANGS.format(pids=folder / "pids", first=first))
    (home / "bin" / "java").chmod(0o755)
    return home


def _left(folder: Path) -> list[int]:
    """The processes that stay: a killed one may need a moment to go."""
    deadline = time.monotonic() + 10
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    while (left := [pid for pid in pids if is_process_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.mark.parametrize(
    ("first", "answered", "sentence"),
    [
        ("", [], "Spark's analyzer is starting, 10 s."),
        ("echo '{}' > $last; echo '{\"target\": \"a.one\", \"error\": null}' >> $last", ["a.one"],
         "Spark's analyzer has answered 1 of 2 SELECTs, 10 s."),
    ],
)  # fmt: skip
def test_a_spark_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, answered: list[str], sentence: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(_java(tmp_path, first)))
    said: list[str] = []
    began = time.monotonic()

    found = ask_spark(
        {name: _select("SELECT t.i FROM lake__t AS t") for name in ("a.one", "a.two")},
        SparkSettings(check_seconds=12 if not answered else 22),
        said.append,
    )

    assert list(found) == answered
    assert 11 <= time.monotonic() - began < 20
    assert said == [sentence]
    assert _left(tmp_path) == []


def test_validate_warns_that_the_list_alone_has_looked(tmp_path: Path) -> None:
    project = FlightsProject(tmp_path / "project")
    make_lake(project.lake, date(2013, 1, 2), date(2013, 1, 3))
    project.apply(engine="spark")
    project.context.store.close()
    environment = {"JAVA_HOME": str(_java(tmp_path, "")), "SLUICE_SPARK_CHECK_SECONDS": "1"}

    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "validate"],
        cwd=project.root, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    told = " ".join(done.stderr.split())
    assert all(target in told for target in TARGETS)
    assert "did not answer in its time and was ended (SLUICE_SPARK_CHECK_SECONDS)" in told
    assert "no fault found" in done.stdout
    assert _left(tmp_path) == []
