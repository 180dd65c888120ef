"""Sluice's macros in a project's list of packages.

dbt-core 1.12 starts only when as many packages are installed as `packages.yml` (or `dependencies.yml`) lists; 1.11
counts only those that are missing. The list names the link that `flows.dbt.package` makes below `.sluice/`, so that
`dbt deps` finds it too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

from metadata_sync.errors import ConfigurationError
from metadata_sync.files import replace_file

LINK: Final = Path(".sluice", "macros")
"""Where the list finds the macros: below the project's root."""

NEW_LIST: Final = """\
# dbt counts the packages that are installed. Sluice links its macros to this place.
packages:
  - local: {entry}
"""

_COUNTING: Final = (1, 12)
"""The first dbt-core that refuses packages that nothing lists."""

LIST, _OTHER_LIST, _LOCK = "packages.yml", "dependencies.yml", "package-lock.yml"
_EMPTY: Final = re.compile(r"^packages:[ \t]*\[\s*\][ \t]*$", re.MULTILINE)
_ITEM: Final = re.compile(r"^([ \t]*)- ", re.MULTILINE)


def entry_of(root: Path, dbt_dir: Path) -> str:
    """Return what the list names: the link, relative to the dbt project.

    >>> entry_of(Path("/team/shop"), Path("/team/shop/dbt_project"))
    '../.sluice/macros'
    """
    return Path(os.path.relpath(root / LINK, dbt_dir)).as_posix()


def ensure_listed(root: Path, dbt_dir: Path) -> None:
    """Write the list where there is none, for a dbt-core that needs it.

    Raises:
        ConfigurationError: When a list exists that does not name the macros, or its lock is older.
    """
    if not _is_counting():
        return
    entry, path = entry_of(root, dbt_dir), list_of(dbt_dir)
    if path is None:
        write_list(dbt_dir / LIST, NEW_LIST.format(entry=entry))
    elif not is_listed(read_list(path), entry):
        raise ConfigurationError(
            f"{path} does not list Sluice's macros; dbt-core {version('dbt-core')} starts only with what is listed.",
            f"Add to its packages:  - local: {entry}  and run `dbt deps` when it lists others.",
        )
    locked = read_list(dbt_dir / _LOCK)
    if locked.get("packages") and not is_listed(locked, entry):
        raise ConfigurationError(
            f"{dbt_dir / _LOCK} does not name Sluice's macros.", "Run `dbt deps`: it writes it anew."
        )


def list_of(dbt_dir: Path) -> Path | None:
    """Return the file that lists a project's packages; None when there is none."""
    if (dbt_dir / LIST).exists():
        return dbt_dir / LIST
    other = dbt_dir / _OTHER_LIST
    return other if read_list(other).get("packages") else None


def is_listed(document: Mapping[str, Any], entry: str) -> bool:
    """Whether a list or a lock names the macros."""
    items = document.get("packages")
    found = [item.get("local") for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    return any(isinstance(name, str) and os.path.normpath(name) == os.path.normpath(entry) for name in found)


def with_entry(text: str, entry: str) -> str | None:
    r"""Return a list's text with the macros added behind its other packages; None when that cannot be done by text.

    >>> print(with_entry("packages:\n- package: a/b\n  version: 1.0.0", "m"))
    packages:
    - package: a/b
      version: 1.0.0
    - local: m
    <BLANKLINE>
    """
    before = _parsed(text)
    if before is None or not isinstance(before.get("packages") or [], list):
        return None
    if not before.get("packages"):
        opened = _EMPTY.sub("packages:", text)
        candidate = f"{opened.rstrip()}\n" if opened.strip() else ""
        candidate += "" if "packages" in before else "packages:\n"
        candidate += f"  - local: {entry}\n"
    else:
        head, _, items = text.partition("packages:")
        indents = _ITEM.findall(items)
        candidate = f"{head}packages:{items.rstrip()}\n{indents[0] if indents else '  '}- local: {entry}\n"
    wanted = {**before, "packages": [*(before.get("packages") or []), {"local": entry}]}
    return candidate if _parsed(candidate) == wanted else None


def _is_counting() -> bool:
    parts = re.findall(r"\d+", version("dbt-core"))[:2]
    return tuple(map(int, parts)) >= _COUNTING


def write_list(path: Path, text: str) -> None:
    """Write a list.

    Raises:
        ConfigurationError: When it cannot be written.
    """
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}.",
            f"Make {path.parent} writable, or write it yourself:\n{text}",
        ) from error


def read_list(path: Path) -> dict[str, Any]:
    """Return a list or a lock; empty when it is not there or holds none."""
    with suppress(OSError, UnicodeDecodeError):
        return _parsed(path.read_text(encoding="utf-8")) or {}
    return {}


def _parsed(text: str) -> dict[str, Any] | None:
    """Return a document; one that is not YAML is dbt's to report."""
    with suppress(yaml.YAMLError):
        document = yaml.safe_load(text)
        if document is None:
            return {}
        if isinstance(document, dict):
            return document
    return None
