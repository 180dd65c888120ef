"""dbt's log file: every event, masked; put aside when it is long; no reason to stop a load."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.dbt import log_file
from flows.dbt.log_file import LogFile


def event(text: str) -> Any:
    return SimpleNamespace(info=SimpleNamespace(level="debug", thread="Thread-1", msg=text))


def write(log: LogFile, *texts: str) -> None:
    with log.open():
        for text in texts:
            log.hear(event(text))


def test_each_event_is_a_line_and_secrets_are_masked(tmp_path: Path) -> None:
    write(LogFile(tmp_path / "logs"), "select 1", "connecting with password=correct-horse-7 as sluice")
    write(LogFile(tmp_path / "logs"), "select 2")

    lines = (tmp_path / "logs" / "dbt.log").read_text().splitlines()
    assert [line.partition("]: ")[2] for line in lines] == [
        "select 1",
        "connecting with password=*** as sluice",
        "select 2",
    ]
    assert "[debug] [Thread-1]" in lines[0]


def test_long_file_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "MOST_BYTES", 10)
    for text in ("first", "second", "third"):
        write(LogFile(tmp_path), text)

    assert (tmp_path / "dbt.log").read_text().endswith("third\n")
    assert (tmp_path / "dbt.log.1").read_text().endswith("second\n")


def test_file_that_cannot_be_written_stops_no_load(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        write(LogFile(tmp_path / "logs"), "select 1")

    assert "dbt_log written=false" in caplog.text
