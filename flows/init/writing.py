"""Write the files of a project: only those that are missing, so that a killed `sluice init` can be run again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from metadata_sync.errors import ConfigurationError


def taken(root: Path, files: Mapping[str, str]) -> list[str]:
    """Return the files that exist with another content. The beginning of a file is what a killed `init` left."""
    return [name for name, text in files.items() if _is_foreign(root / name, text.encode())]


def missing(root: Path, files: Mapping[str, str]) -> list[str]:
    """Return the files that are not there yet, or only their beginning."""
    return [name for name, text in files.items() if _content(root / name) != text.encode()]


def write_missing(root: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files that are missing, in their order.

    Args:
        root: The project's folder; it is created.
        files: Content by path below the root, none of them taken.

    Returns:
        The files that were written.

    Raises:
        ConfigurationError: When the folder cannot be written.
    """
    names = missing(root, files)
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name].encode())
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename or root} cannot be written: {error.strerror}.",
            "Correct its permissions, or choose another folder; then run the same command again.",
        ) from error
    return names


def _is_foreign(path: Path, ours: bytes) -> bool:
    if path.is_symlink() or path.is_dir():
        return True
    found = _content(path)
    return found is not None and not ours.startswith(found)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", "Correct its permissions.") from error
