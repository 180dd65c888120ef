"""The characters of a text file: found by its content, never by its name."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

from flows.warehouse.lake.s3 import open_object
from metadata_sync.errors import SoftRunError

_LOOKED_AT: Final = 64 * 1024
"""Bytes at a file's beginning that tell what it is."""
_OTHERS: Final = {
    b"PAR1": "a Parquet file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"%PDF": "a PDF",
    b"\xd0\xcf\x11\xe0": "an Office document",
    b"SQLite format 3": "an SQLite database",
    b"\x28\xb5\x2f\xfd": "compressed by zstd, which is not supported: gzip, bzip2 and xz are",
    b"\x04\x22\x4d\x18": "compressed by lz4, which is not supported: gzip, bzip2 and xz are",
    b"\xff\x06\x00\x00sNaPpY": "compressed by snappy, which is not supported: gzip, bzip2 and xz are",
}
"""How files begin that are no text."""


@contextmanager
def open_text(path: str, encoding: str) -> Iterator[IO[str]]:
    """Open a file for reading its characters; line breaks stay as they are.

    Bytes that are no UTF-8 become lone surrogates, so that one bad line does not stop a file.

    Args:
        path: An absolute path, or an s3 URI.
        encoding: The encoding, as Python names it; a byte order mark of UTF-8 is skipped.

    Raises:
        ValueError: When it is no text in this encoding.
        OSError, SoftRunError: When it cannot be opened now.
    """
    with _opened(path) as raw, _decompressed(raw) as data:
        name = codecs.lookup(encoding).name
        _refuse_binary(data.peek(_LOOKED_AT)[:_LOOKED_AT], name)
        is_utf8 = name in ("utf-8", "utf-8-sig")
        decoded, errors = ("utf-8-sig", "surrogateescape") if is_utf8 else (encoding, "strict")
        with io.TextIOWrapper(data, decoded, errors, newline="") as text:
            yield text


def _refuse_binary(start: bytes, encoding: str) -> None:
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise ValueError(f"it is {what}")
    if encoding.startswith(("utf-16", "utf-32")):
        return
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it is UTF-16: set format_options.encoding to utf-16")
    if start.startswith(codecs.BOM_UTF8) and encoding != "utf-8":
        raise ValueError("it begins with the byte order mark of UTF-8: set format_options.encoding to utf-8")
    if b"\0" in start:
        raise ValueError("it is binary: it holds NUL bytes")


def _decompressed(raw: io.BufferedReader) -> io.BufferedReader:
    start = raw.peek(8)
    found: object = None
    if start.startswith(b"\x1f\x8b"):
        found = gzip.GzipFile(fileobj=raw)
    elif start.startswith(b"BZh"):
        found = bz2.BZ2File(raw)
    elif start.startswith(b"\xfd7zXZ\x00"):
        found = lzma.LZMAFile(raw)  # noqa: SIM115 - the caller closes it
    return raw if found is None else io.BufferedReader(cast("io.RawIOBase", found), _LOOKED_AT)


def _opened(path: str) -> io.BufferedReader:
    raw = cast("io.RawIOBase", _Body(open_object(path))) if path.startswith("s3://") else io.FileIO(path)
    return io.BufferedReader(raw, _LOOKED_AT)


class _Body(io.RawIOBase):
    """The body of an object in S3 as a stream that may be read ahead."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        from botocore.exceptions import BotoCoreError

        try:
            found = self._body.read(len(buffer))
        except BotoCoreError as error:  # the connection broke: that says nothing of the file
            raise SoftRunError(f"S3 broke off: {error}") from error
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._body.close()
        super().close()
