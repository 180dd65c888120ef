"""Test files that name a renamed target: its own one moves with it, and those of its readers give rows of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from metadata_sync.analysis.unit_tests import find_test_files, is_untouched, marked_again, test_file_path
from metadata_sync.control.renaming import Renaming
from metadata_sync.errors import ConfigurationError
from metadata_sync.project import Project

_GIVEN: Final = re.compile(
    r"^(?P<before>\s*(?:- )?input: )(?P<quote>[\"']?)(?P<input>(?:source|ref)\(.*\))(?P=quote)\s*$"
)


def renamed_test_files(project: Project, renaming: Renaming) -> list[tuple[Path, Path, str]]:
    """Return path, new path and new text of the test files that a renaming changes.

    Raises:
        ConfigurationError: When one cannot be read, or the new name has another test file already.
    """
    own = test_file_path(project, renaming.old)
    found = []
    for path in find_test_files(project):
        try:
            before = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{path.relative_to(project.root)} cannot be read: {error}.", "Correct it."
            ) from error
        after = rename_in_test(before, renaming)
        moved = test_file_path(project, renaming.new) if path == own else path
        if moved != path and moved.exists() and moved.read_bytes().decode(errors="replace") != after:
            shown, other = moved.relative_to(project.root), path.relative_to(project.root)
            raise ConfigurationError(f"{shown} exists already beside {other}.", f"Remove or move {shown}.")
        if (moved, after) != (path, before):
            found.append((path, moved, after))
    return found


def rename_in_test(text: str, renaming: Renaming) -> str:
    """Return the text of a test file under the new name; values of rows stay as they are."""
    after = "".join(_renamed_line(line, renaming) for line in text.splitlines(keepends=True))
    return marked_again(after) if after != text and is_untouched(text) else after


def _renamed_line(line: str, renaming: Renaming) -> str:
    old, new = renaming.old, renaming.new
    name = re.escape(str(old))
    for pattern, put in (
        (rf"^(target: *[\"']?){name}(?=[\"']?\s*$)", rf"\g<1>{new}"),
        (rf"^(\s+[\"']?){name}(?=[\"']?:(?:\s|$))", rf"\g<1>{new}"),
        (rf"^(\s*(?:- )?model: *[\"']?){re.escape(old.model_name)}(?=[\"']?\s*$)", rf"\g<1>{new.model_name}"),
        (rf"^(\s*(?:- )?name: *[\"']?){re.escape(old.model_name)}(?=_|[\"']?\s*$)", rf"\g<1>{new.model_name}"),
    ):
        line = re.sub(pattern, put, line)
    given = _GIVEN.match(line)
    if given is None:
        return line
    words = re.sub(rf"^ref\((['\"]){re.escape(old.model_name)}\1\)$", rf"ref('{new.model_name}')", given["input"])
    schema, table = re.escape(old.schema), re.escape(old.table)
    pair = rf"^source\((['\"]){schema}\1, *(['\"]){table}\2\)$"
    words = re.sub(pair, f"source('{new.schema}', '{new.table}')", words)
    return line if words == given["input"] else line.replace(given["input"], words)
