"""Write a file whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

TEMPORARY: Final = ".tmp"
"""Suffix of a file that is being written; its name begins with a dot."""


def replace_file(path: Path, content: bytes) -> None:
    """Give a file other content: who reads it meanwhile sees the old one, or the new one. Its folder is made.

    Raises:
        OSError: When it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
