"""What is remembered of footers: only new and changed files are opened, whatever happens to the memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from flows.warehouse.lake.folder import LakeFile, LakeFolder, resolve_folder
from flows.warehouse.lake.footers import FooterMemory
from metadata_sync.project import Project

COUNT = 1_200


class Reader:
    """Counts the files whose footers are read."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(self, files: Sequence[LakeFile]) -> Mapping[str, str]:
        self.opened += [file.name for file in files]
        return {file.path: f"layout {int(file.version) % 3}" for file in files}


def files_of(count: int = COUNT, **versions: str) -> list[LakeFile]:
    return [
        LakeFile(name, 1, versions.get(name, str(number)), None, f'/lake/it\'s "{name}"\n.parquet')
        for number, name in enumerate(f"f{number}" for number in range(count))
    ]


@pytest.fixture
def folder(tmp_path: Path) -> LakeFolder:
    (tmp_path / "lake").mkdir()
    return resolve_folder(Project(tmp_path), "lake")


def look(memory: FooterMemory, folder: LakeFolder, files: Sequence[LakeFile]) -> list[str]:
    """Ask for the layouts of files, check them, and return which files were opened."""
    reader = Reader()
    found = memory.layouts(folder, files, reader)
    assert found == {file.path: f"layout {int(file.version) % 3}" for file in files}
    return reader.opened


def test_only_new_and_changed_files_are_opened(folder: LakeFolder, tmp_path: Path) -> None:
    memory = FooterMemory(tmp_path / "footers")
    assert len(look(memory, folder, files_of())) == COUNT
    assert look(FooterMemory(tmp_path / "footers"), folder, files_of()) == []
    assert look(memory, folder, files_of(f7="8")) == ["f7"]
    assert look(memory, folder, files_of(COUNT + 2, f7="8")) == [f"f{COUNT}", f"f{COUNT + 1}"]
    assert look(memory, folder, files_of(f7="8")) == []  # two are gone
    assert look(memory, folder, files_of(COUNT + 2, f7="8")) == [f"f{COUNT}", f"f{COUNT + 1}"]


def test_small_folders_are_not_remembered(folder: LakeFolder, tmp_path: Path) -> None:
    memory = FooterMemory(tmp_path / "footers")
    assert len(look(memory, folder, files_of(5))) == 5
    assert not (tmp_path / "footers").exists()


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to look like one" * 99])
def test_a_damaged_memory_costs_time_and_nothing_else(folder: LakeFolder, tmp_path: Path, damage: bytes) -> None:
    memory = FooterMemory(tmp_path / "footers")
    look(memory, folder, files_of())
    (path,) = (tmp_path / "footers").glob("*.db")
    path.write_bytes(damage)
    assert len(look(memory, folder, files_of())) == COUNT
    look(memory, folder, files_of())
    assert look(memory, folder, files_of()) == []


def test_a_memory_that_cannot_be_written_is_none(folder: LakeFolder, tmp_path: Path) -> None:
    (tmp_path / "footers").write_text("a file where the folder should be")
    memory = FooterMemory(tmp_path / "footers")
    assert len(look(memory, folder, files_of())) == COUNT
    assert len(look(memory, folder, files_of())) == COUNT


def test_runs_at_once_share_it(folder: LakeFolder, tmp_path: Path) -> None:
    memory = FooterMemory(tmp_path / "footers")
    failures: list[BaseException] = []

    def ask(first: int) -> None:
        try:
            for number in range(5):
                look(memory, folder, files_of(COUNT + first + number))
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(first,)) for first in (0, 2, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
