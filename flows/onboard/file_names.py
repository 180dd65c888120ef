"""What the names of files and folders say: which files are one table, of which format, and how a row names them."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Final

from flows.warehouse.lake.folder import is_hidden
from metadata_sync.errors import RequestError

FORMATS: Final[Mapping[str, str]] = {
    ".parquet": "parquet",
    ".parq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
_PACKED: Final = (".gz", ".gzip", ".bz2", ".zst")
_NO_NAME: Final = frozenset({"part", "data", "file", "export", "chunk", "batch", "sample", "rows", ""})


def groups(path: Path) -> dict[tuple[str, str], list[Path]]:
    """Return the data files of a folder by what is left of their names without dates and numbers, and by format."""
    found: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(path.iterdir()):
        format_ = format_of(file.name)
        if file.is_file() and not is_hidden(file.name) and format_:
            found.setdefault((table_of(file.name), format_), []).append(file)
    return found


def pattern(shown: str, names: Sequence[str], siblings: Sequence[str]) -> str:
    """Return a glob of some files of a folder, and of later files that are called like them, but of no other file.

    Args:
        shown: What the files are called in messages.
        names: Their names.
        siblings: The names of all files of the folder.

    Raises:
        RequestError: When each glob means other files, too.

    >>> pattern("", ["a_1.csv", "a_2.csv"], ["a_1.csv", "a_2.csv", "a_b_1.csv"])
    'a_[0-9]*.csv'
    >>> pattern("", ["2024-01-01_a.csv", "2024-01-02_a.csv"], ["2024-01-01_a.csv", "2024-01-02_a.csv", "web_a.csv"])
    '[0-9]*_a.csv'
    """
    if len(names) == 1:
        return glob.escape(names[0])
    first = re.sub(r"\d[\d\-_.:T]*$", "", _common(names))
    last = re.sub(r"^[\d\-:T]+", "", _common([name[len(first) :][::-1] for name in names])[::-1])
    for middle in ("[0-9]*", "*"):
        pattern = f"{glob.escape(first)}{middle}{glob.escape(last)}"
        if {name for name in siblings if fnmatchcase(name, pattern)} == set(names):
            return pattern
    message = f"{shown} and {len(names) - 1} files that are called like it cannot be told from others of their folder."
    raise RequestError(message, "Move them into a folder of their own.")


def _common(words: Sequence[str]) -> str:
    """Return what words begin with alike."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*words, strict=False))
    return "".join(letters[0] for letters in alike)


def is_one_table(path: Path, groups: Mapping[tuple[str, str], Sequence[Path]], folders: Sequence[Path]) -> bool:
    """Tell whether a folder is one table: files without names of their own or called like it, or partitions."""
    if folders:
        return not groups and all("=" in folder.name or not table_of(folder.name) for folder in folders)
    if len(groups) != 1:
        return False
    (((table, _), files),) = groups.items()
    return table in _NO_NAME or table == table_of(path.name) or len(files) > 1


def partitions(path: Path) -> str:
    """Return the partition columns of a folder as its location names them, `/region=*/day=*`; empty: it has none."""
    folders = [item for item in sorted(path.iterdir()) if item.is_dir() and not is_hidden(f"{item.name}/x")]
    columns = {folder.name.partition("=")[0] for folder in folders if "=" in folder.name}
    if len(columns) != 1 or any("=" not in folder.name for folder in folders):
        return ""
    below = {partitions(folder) for folder in folders}
    return f"/{columns.pop()}=*{below.pop() if len(below) == 1 else ''}"


def table_of(name: str) -> str:
    """Return what a file's name says besides dates, numbers and suffixes.

    >>> [table_of(name) for name in ("orders_2024-01-02.csv", "part-0-a1.c000.parquet", "Sales Lines.CSV.gz")]
    ['orders', 'part', 'sales_lines']
    """
    text = name.lower()
    text = text.split(".")[0] if "." in text else text
    parts = [
        part
        for part in re.split(r"[^a-z0-9]+", text)
        if part and not re.fullmatch(r"\d+|[0-9a-f]{8,}|c\d+|t\d+z?", part)
    ]
    if parts and parts[0] == "part":
        return "part"
    return re.sub(r"^(?=\d)", "t", "_".join(parts))


def format_of(name: str) -> str | None:
    """Return the format that a file's suffix names, whatever it is packed with; None: none that is known."""
    text = name.lower()
    for packed in _PACKED:
        text = text.removesuffix(packed)
    return next((found for suffix, found in FORMATS.items() if text.endswith(suffix)), None)


def format_below(path: Path) -> str | None:
    """Return the format of the first data file below a folder; None: there is none."""
    found = (format_of(file.name) for file in sorted(path.rglob("*")) if file.is_file())
    return next((item for item in found if item), None)
